//! The largest segment that an end of a TCP connection announces: the MSS option of its SYN, lowered on the way.
//!
//! Promises: never raised, never added; the checksum is kept right by the difference (RFC 1624), wherever the option lies;
//! bytes that are no well-formed SYN are left as they were.
//! Source: RFC 9293, 3.1 (options) and 3.7.1; RFC 6691 (it counts no headers' options).

use crate::checksum::Delta;
use crate::translate::Layout;
use crate::{TcpFlags, protocol};

const FLAGS: usize = 13;
const CHECKSUM: usize = 16;
const OPTIONS: usize = 20;
/// End of the list, and filling: one byte each. All others say how long they are.
const END: u8 = 0;
const FILLING: u8 = 1;
const MSS: u8 = 2;
const MSS_BYTES: usize = 4;

/// Lowers what the frame's SYN announces to `limit`; leaves every other frame alone.
pub fn lower_mss(frame: &mut [u8], limit: u16) {
    let Some(segment) = tcp_header(frame) else { return };
    if segment.get(FLAGS).is_none_or(|flags| flags & TcpFlags::SYN == 0) {
        return;
    }
    let Some(at) = mss_at(segment) else { return };
    let value = [segment[at + 2], segment[at + 3]];
    if u16::from_be_bytes(value) <= limit {
        return;
    }
    let lowered = limit.to_be_bytes();
    // Words are summed from the header's start: behind an odd number of bytes the two lie in two of them.
    let in_sum = |[high, low]: [u8; 2]| if at.is_multiple_of(2) { [high, low] } else { [low, high] };
    let delta = Delta::default().without(&in_sum(value)).with(&in_sum(lowered));
    segment[at + 2..at + 4].copy_from_slice(&lowered);
    delta.mend(&mut segment[CHECKSUM..CHECKSUM + 2]);
}

/// With its options.
fn tcp_header(frame: &mut [u8]) -> Option<&mut [u8]> {
    let at = Layout::of(frame, crate::translate::ETHERNET_BYTES).ok()?;
    if at.protocol != protocol::TCP || at.is_later_fragment {
        return None;
    }
    let segment = frame.get_mut(at.transport)?;
    let bytes = usize::from(segment.get(12)? >> 4) * 4;
    segment.get_mut(..bytes).filter(|header| header.len() >= OPTIONS)
}

/// Where the option lies in a TCP header.
fn mss_at(header: &[u8]) -> Option<usize> {
    let mut at = OPTIONS;
    while at + MSS_BYTES <= header.len() {
        match (header[at], header[at + 1]) {
            (END, _) => return None,
            (FILLING, _) => at += 1,
            (MSS, 4) => return Some(at),
            (_, bytes @ 2..) => at += usize::from(bytes),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Sum;
    use crate::{Packet, build, parse};
    use std::net::IpAddr;

    /// A frame with these flags and options, and 2 bytes of payload, its checksums right.
    fn tcp(family: u8, flags: u8, options: &[u8]) -> Vec<u8> {
        let [src, dst]: [IpAddr; 2] = if family == 4 {
            ["10.0.0.1".parse().unwrap(), "203.0.113.9".parse().unwrap()]
        } else {
            ["fd00::1".parse().unwrap(), "64:ff9b::cb00:7109".parse().unwrap()]
        };
        let ends = build::Ends { src_mac: gp_mac(1), dst_mac: gp_mac(2), src, dst };
        let plain = build::emit(&Packet::Ip(build::tcp(ends, 1025, 80, TcpFlags(flags), 2)));
        let start = 14 + if family == 4 { 20 } else { 40 };
        let mut frame = [&plain[..start + OPTIONS], options, &plain[start + OPTIONS..]].concat();
        frame[start + 12] = (((OPTIONS + options.len()) / 4) << 4) as u8;
        let bytes = (frame.len() - start) as u16;
        if family == 4 {
            frame[16..18].copy_from_slice(&(bytes + 20).to_be_bytes());
        } else {
            frame[18..20].copy_from_slice(&bytes.to_be_bytes());
        }
        let sum = checksum(&frame, start);
        frame[start + CHECKSUM..start + CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    fn gp_mac(last: u8) -> gp_model::Mac {
        gp_model::Mac([2, 0, 0, 0, 0, last])
    }

    /// What the TCP checksum must be.
    fn checksum(frame: &[u8], start: usize) -> u16 {
        let mut frame = frame.to_vec();
        frame[start + CHECKSUM..start + CHECKSUM + 2].fill(0);
        let addresses = if start == 34 { 26..34 } else { 22..54 };
        let body = &frame[start..];
        Sum::default()
            .add(&frame[addresses])
            .add(&[0, protocol::TCP])
            .add(&(body.len() as u16).to_be_bytes())
            .add(body)
            .finish()
    }

    fn lowered(family: u8, flags: u8, options: &[u8], limit: u16) -> Vec<u8> {
        let mut frame = tcp(family, flags, options);
        lower_mss(&mut frame, limit);
        let start = 14 + if family == 4 { 20 } else { 40 };
        let is = u16::from_be_bytes([frame[start + CHECKSUM], frame[start + CHECKSUM + 1]]);
        assert_eq!(is, checksum(&frame, start), "{options:?}");
        assert!(parse(&frame).is_ok());
        frame[start + OPTIONS..start + OPTIONS + options.len()].to_vec()
    }

    #[test]
    fn what_a_syn_announces_is_lowered_wherever_it_says_so() {
        for family in [4, 6] {
            for flags in [TcpFlags::SYN, TcpFlags::SYN | TcpFlags::ACK] {
                assert_eq!(lowered(family, flags, &[2, 4, 0x23, 0x05], 1460), [2, 4, 0x05, 0xb4]);
                assert_eq!(
                    lowered(family, flags, &[1, 2, 4, 0x23, 0x05, 1, 1, 0], 1460),
                    [1, 2, 4, 0x05, 0xb4, 1, 1, 0]
                );
                let behind = [4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 2, 4, 0xff, 0xff];
                assert_eq!(lowered(family, flags, &behind, 8460)[12..], [2, 4, 0x21, 0x0c]);
            }
        }
    }

    #[test]
    fn nothing_is_raised_or_added_and_others_are_left_alone() {
        let kept = |flags, options: &[u8]| assert_eq!(lowered(4, flags, options, 1460), options);
        kept(TcpFlags::SYN, &[2, 4, 0x05, 0xb4]);
        kept(TcpFlags::SYN, &[2, 4, 0x02, 0x18]);
        kept(TcpFlags::SYN, &[]);
        kept(TcpFlags::SYN, &[1, 1, 1, 1]);
        kept(TcpFlags::ACK, &[2, 4, 0x23, 0x05]);
        // Behind the end of the list, of another length, in a list that says nothing sensible.
        kept(TcpFlags::SYN, &[0, 0, 0, 0, 2, 4, 0x23, 0x05]);
        kept(TcpFlags::SYN, &[2, 3, 0x23, 0x05]);
        kept(TcpFlags::SYN, &[8, 1, 2, 4, 0x23, 0x05, 0, 0]);
        kept(TcpFlags::SYN, &[8, 0, 0, 0, 2, 4, 0x23, 0x05]);
        kept(TcpFlags::SYN, &[1, 1, 2, 4]);
    }

    #[test]
    fn whatever_the_bytes_it_returns() {
        let frame = tcp(4, TcpFlags::SYN, &[1, 2, 4, 0x23, 0x05, 1, 1, 0]);
        for end in 0..frame.len() {
            lower_mss(&mut frame[..end].to_vec(), 1);
        }
        for at in 0..frame.len() {
            for byte in [0, 1, 0x4f, 0xff] {
                let mut frame = frame.clone();
                frame[at] = byte;
                lower_mss(&mut frame, 1);
            }
        }
    }
}
