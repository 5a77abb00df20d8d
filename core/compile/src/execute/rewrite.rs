//! What is written into a frame: `lib/rewrite.h`. Tags are kept beside the frame, here as there.

use super::parse::Parsed;
use gp_abi::{FlowValue, TRANSLATE_ADDRESSES, TRANSLATE_MSS, TRANSLATE_PORTS};
use gp_wire::{TcpFlags, protocol};

const ETHERNET_ADDRESSES: usize = 12;
const IPV4_CHECKSUM: usize = 14 + 10;
const IPV4_ADDRESSES: usize = 14 + 12;
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;
const ICMP_CHECKSUM: usize = 2;
const ICMP_ID: usize = 4;
/// Headers of Ethernet, IPv4 and TCP, without options.
const TCP_FRAME_HEADERS: u16 = 14 + 40;

/// Writes the Ethernet addresses that the receiver must see. Leaves bytes that are too few for them alone.
pub fn rewrite(frame: &mut [u8], flow: &FlowValue) {
    if let Some(addresses) = frame.first_chunk_mut::<ETHERNET_ADDRESSES>() {
        addresses[..6].copy_from_slice(&flow.dst_mac);
        addresses[6..].copy_from_slice(&flow.src_mac);
    }
}

/// Writes addresses and ports, and mends the checksums by the difference.
pub(super) fn translate(frame: &mut [u8], flow: &FlowValue, parsed: &Parsed) {
    if parsed.key.family != 4 {
        return;
    }
    if flow.translate & TRANSLATE_ADDRESSES != 0 {
        let old = [&parsed.key.src[12..], &parsed.key.dst[12..]].concat();
        let new = [flow.new_src, flow.new_dst].concat();
        mend(frame, IPV4_CHECKSUM, &old, &new, false);
        mend_transport(frame, parsed, &old, &new);
        write(frame, IPV4_ADDRESSES, &new);
    }
    if flow.translate & TRANSLATE_PORTS != 0 {
        let ports = |src: u16, dst: u16| [src.to_be_bytes(), dst.to_be_bytes()].concat();
        let old = ports(parsed.key.src_port, parsed.key.dst_port);
        let new = ports(flow.new_src_port, flow.new_dst_port);
        match parsed.key.protocol {
            protocol::ICMP => {
                // The kernel's helper counts in words of 32 bits.
                let [old_word, new_word] = [&old, &new].map(|ports| [ports[0], ports[1], 0, 0]);
                mend(frame, parsed.transport + ICMP_CHECKSUM, &old_word, &new_word, false);
                write(frame, parsed.transport + ICMP_ID, &new[..2]);
            }
            protocol::TCP | protocol::UDP => {
                mend_transport(frame, parsed, &old, &new);
                write(frame, parsed.transport, &new);
            }
            _ => {}
        }
    }
    if flow.translate & TRANSLATE_MSS != 0 && parsed.tcp_flags & TcpFlags::SYN != 0 {
        gp_wire::lower_mss(frame, flow.mtu.wrapping_sub(TCP_FRAME_HEADERS));
    }
}

fn mend_transport(frame: &mut [u8], parsed: &Parsed, old: &[u8], new: &[u8]) {
    match parsed.key.protocol {
        protocol::TCP => mend(frame, parsed.transport + TCP_CHECKSUM, old, new, false),
        // RFC 768: 0 stands for no checksum, and is never the result of one.
        protocol::UDP => mend(frame, parsed.transport + UDP_CHECKSUM, old, new, true),
        _ => {}
    }
}

/// RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
fn mend(frame: &mut [u8], at: usize, old: &[u8], new: &[u8], zero_is_none: bool) {
    let Some(checksum) = frame.get(at..).and_then(|rest| rest.first_chunk::<2>()) else { return };
    let checksum = u16::from_be_bytes(*checksum);
    if zero_is_none && checksum == 0 {
        return;
    }
    let words = |bytes: &[u8], invert: u16| -> u32 {
        bytes.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]) ^ invert)).sum()
    };
    let sum = u32::from(!checksum) + words(old, 0xffff) + words(new, 0);
    let folded = (sum & 0xffff) + (sum >> 16);
    let mended = !((folded & 0xffff) + (folded >> 16)) as u16;
    let mended = if zero_is_none && mended == 0 { 0xffff } else { mended };
    write(frame, at, &mended.to_be_bytes());
}

fn write(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}
