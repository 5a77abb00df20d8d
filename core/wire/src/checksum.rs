//! The internet checksum (RFC 1071) and its pseudo-header (RFC 9293, 3.1; RFC 8200, 8.1).

use crate::FiveTuple;
use std::net::IpAddr;

/// A sum of 16-bit words under way. Parts but the last must have an even number of bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    pub(crate) fn add(mut self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<2>();
        for word in words {
            self.0 += u64::from(u16::from_be_bytes(*word));
        }
        if let [last] = rest {
            self.0 += u64::from(*last) << 8;
        }
        self
    }

    pub(crate) fn add_pseudo_header(self, tuple: &FiveTuple, body_bytes: u32) -> Self {
        let sum = self.add_address(tuple.src).add_address(tuple.dst);
        sum.add(&body_bytes.to_be_bytes()).add(&[0, tuple.protocol])
    }

    fn add_address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(a) => self.add(&a.octets()),
            IpAddr::V6(a) => self.add(&a.octets()),
        }
    }

    pub(crate) fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}
