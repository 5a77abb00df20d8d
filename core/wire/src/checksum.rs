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

/// What has changed under a checksum (RFC 1624, equation 3). Fields must lie on even offsets of what is summed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delta(u64);

impl Delta {
    /// These bytes are no longer there.
    pub(crate) fn without(self, bytes: &[u8]) -> Self {
        // The complement of their folded sum stands for the sum of their complements.
        Self(self.0 + u64::from(Sum::default().add(bytes).finish()))
    }

    /// These bytes are there now.
    pub(crate) fn with(self, bytes: &[u8]) -> Self {
        Self(self.0 + u64::from(!Sum::default().add(bytes).finish()))
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// Brings the checksum in this field of two bytes up to date.
    pub(crate) fn mend(self, field: &mut [u8]) {
        let [high, low] = *field else { return };
        let mut sum = u64::from(!u16::from_be_bytes([high, low])) + self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        field.copy_from_slice(&(!(sum as u16)).to_be_bytes());
    }
}
