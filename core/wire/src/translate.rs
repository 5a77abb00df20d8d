//! Other addresses, ports and ICMP identifiers for a frame that there is, with checksums kept right by differences.
//!
//! ```text
//! parse(translate(frame, to, related)).tuple == to        and the same for what an ICMP error quotes
//! ```
//!
//! Promises: a checksum that was right stays right and a wrong one stays wrong (RFC 1624); a UDP checksum that is absent
//! stays absent (RFC 768); a later fragment, which has no ports, gets its addresses alone; bytes that are not
//! what the tuple says are refused and left as they were.
//! Sources: RFC 3022, 4.1 to 4.3; RFC 5508 (ICMP errors).

use crate::checksum::Delta;
use crate::extension::walk_extensions;
use crate::parse::is_echo;
use crate::{FiveTuple, protocol};
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};
use std::net::IpAddr;
use std::ops::Range;

pub(crate) const ETHERNET_BYTES: usize = 14;
const ICMP_HEADER_BYTES: usize = 8;

/// Why a frame can't be translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TranslateError {
    #[error("the frame is no well-formed IP packet")]
    Malformed,
    #[error("the new tuple is of another address family or protocol")]
    Mismatch,
}

/// Gives the frame the addresses and ports (or ICMP identifier) of `to` and, if it is an ICMP error, the packet that it
/// quotes those of `related`.
///
/// # Errors
/// The frame is no IP packet, or one of another family or protocol than `to`; it is left as it was.
pub fn translate(frame: &mut [u8], to: &FiveTuple, related: Option<&FiveTuple>) -> Result<(), TranslateError> {
    let at = Layout::of(frame, ETHERNET_BYTES)?;
    at.check(to)?;
    let quoted = match related {
        Some(related) => {
            let start = at.transport.start + ICMP_HEADER_BYTES;
            let quoted = Layout::of(frame, start)?;
            quoted.check(related)?;
            Some((quoted, related))
        }
        None => None,
    };
    if let Some((quoted, related)) = quoted {
        let message = quoted.network..at.transport.end;
        let before = Delta::default().without(&frame[message.clone()]);
        quoted.write(frame, related, Delta::default());
        at.write(frame, to, before.with(&frame[message]));
    } else {
        at.write(frame, to, Delta::default());
    }
    Ok(())
}

/// Where things are in a frame, or in the quote of one.
pub(crate) struct Layout {
    /// First byte of the IP header.
    network: usize,
    is_ipv4: bool,
    pub(crate) protocol: u8,
    pub(crate) is_later_fragment: bool,
    /// As far as it is there: quotes are cut short.
    pub(crate) transport: Range<usize>,
}

impl Layout {
    pub(crate) fn of(frame: &[u8], network: usize) -> Result<Self, TranslateError> {
        let malformed = TranslateError::Malformed;
        let bytes = frame.get(network..).ok_or(malformed)?;
        match bytes.first().map(|first| first >> 4) {
            Some(4) => {
                let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|_| malformed)?;
                let start = network + header.slice().len();
                let end = (network + usize::from(header.total_len())).clamp(start, frame.len());
                Ok(Self {
                    network,
                    is_ipv4: true,
                    protocol: header.protocol().0,
                    is_later_fragment: header.fragments_offset().value() > 0,
                    transport: start..end,
                })
            }
            Some(6) => {
                let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|_| malformed)?;
                let start = network + header.slice().len();
                let end = (start + usize::from(header.payload_length())).min(frame.len());
                let upper = walk_extensions(header.next_header().0, &frame[start..end]).map_err(|_| malformed)?;
                Ok(Self {
                    network,
                    is_ipv4: false,
                    protocol: upper.protocol,
                    is_later_fragment: upper.fragment.is_some_and(|fragment| fragment.offset > 0),
                    transport: end - upper.payload.len()..end,
                })
            }
            _ => Err(malformed),
        }
    }

    fn check(&self, to: &FiveTuple) -> Result<(), TranslateError> {
        let is_same =
            to.protocol == self.protocol && to.src.is_ipv4() == self.is_ipv4 && to.dst.is_ipv4() == self.is_ipv4;
        if is_same { Ok(()) } else { Err(TranslateError::Mismatch) }
    }

    /// Writes the tuple. `message` is what else has changed under the transport's checksum.
    fn write(&self, frame: &mut [u8], to: &FiveTuple, message: Delta) {
        let addresses = self.write_addresses(frame, to);
        if self.is_later_fragment {
            return;
        }
        let ports = self.write_ports(frame, to);
        let has_pseudo_header = self.protocol != protocol::ICMP;
        let pseudo_header = if has_pseudo_header { addresses } else { Delta::default() };
        self.mend_transport(frame, pseudo_header.and(ports).and(message));
    }

    fn write_addresses(&self, frame: &mut [u8], to: &FiveTuple) -> Delta {
        let (start, bytes) = if self.is_ipv4 { (self.network + 12, 4) } else { (self.network + 8, 16) };
        let mut delta = Delta::default();
        for (index, address) in [to.src, to.dst].into_iter().enumerate() {
            let field = &mut frame[start + index * bytes..start + (index + 1) * bytes];
            delta = delta.without(field);
            match address {
                IpAddr::V4(a) => field.copy_from_slice(&a.octets()),
                IpAddr::V6(a) => field.copy_from_slice(&a.octets()),
            }
            delta = delta.with(field);
        }
        if self.is_ipv4 {
            delta.mend(&mut frame[self.network + 10..self.network + 12]);
        }
        delta
    }

    /// The ports of TCP and UDP; the identifier of an echo, whose type and code stay.
    fn write_ports(&self, frame: &mut [u8], to: &FiveTuple) -> Delta {
        let start = self.transport.start;
        let is_echo = frame.get(start).is_some_and(|icmp_type| is_echo(self.protocol, *icmp_type));
        let (field, values) = match self.protocol {
            protocol::TCP | protocol::UDP => (start..start + 4, [to.src_port, to.dst_port]),
            protocol::ICMP | protocol::ICMPV6 if is_echo => (start + 4..start + 6, [to.src_port, 0]),
            _ => return Delta::default(),
        };
        if field.end > self.transport.end {
            return Delta::default();
        }
        let field = &mut frame[field];
        let before = Delta::default().without(field);
        for (bytes, value) in field.chunks_exact_mut(2).zip(values) {
            bytes.copy_from_slice(&value.to_be_bytes());
        }
        before.with(field)
    }

    fn mend_transport(&self, frame: &mut [u8], delta: Delta) {
        let offset = match self.protocol {
            protocol::TCP => 16,
            protocol::UDP => 6,
            protocol::ICMP | protocol::ICMPV6 => 2,
            _ => return,
        };
        let start = self.transport.start + offset;
        if start + 2 > self.transport.end {
            return;
        }
        let field = &mut frame[start..start + 2];
        if self.protocol == protocol::UDP {
            if field == [0, 0] {
                return;
            }
            delta.mend(field);
            if field == [0, 0] {
                field.copy_from_slice(&[0xff; 2]);
            }
        } else {
            delta.mend(field);
        }
    }
}

/// For fuzzers: whatever the bytes, this returns, and what it translates can be translated back.
pub fn fuzz_translate(frame: &[u8]) {
    let Ok(crate::Packet::Ip(packet)) = crate::parse(frame) else { return };
    let to = packet.tuple.reversed();
    let to = FiveTuple { protocol: packet.tuple.protocol, src_port: to.src_port, ..to };
    let mut there = frame.to_vec();
    if translate(&mut there, &to, packet.related.map(|related| related.reversed()).as_ref()).is_ok() {
        let back = translate(&mut there, &packet.tuple, packet.related.as_ref());
        assert!(back.is_ok(), "what could be translated can be translated back");
        assert_eq!(crate::parse(&there).map(|p| p.tuple()), Ok(packet.tuple));
    }
    let four = |tuple: FiveTuple| FiveTuple { src: [10, 0, 0, 1].into(), dst: [10, 0, 0, 2].into(), ..tuple };
    let _ = crate::nat64::translate(frame, &four(packet.tuple), packet.related.map(four).as_ref());
    let _ = crate::fragment(frame, 576);
    let _ = crate::tcp_reset(frame);
    let _ = crate::time_exceeded(frame, packet.tuple.dst);
    let _ = crate::packet_too_big(frame, packet.tuple.dst, 1280);
}
