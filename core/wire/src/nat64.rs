//! IPv6 that stands for IPv4: addresses and ICMP messages of the one in the other.
//!
//! Sources: RFC 6052 (64:ff9b::/96), RFC 7915, 4.2 and 5.2 (ICMP).

use std::net::{Ipv4Addr, Ipv6Addr};

/// First six groups of the well-known prefix.
const WELL_KNOWN: [u16; 6] = [0x0064, 0xff9b, 0, 0, 0, 0];

/// The IPv4 address that an address of 64:ff9b::/96 stands for.
pub fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, ..] = address.segments();
    let [.., w, x, y, z] = address.octets();
    ([a, b, c, d, e, f] == WELL_KNOWN).then(|| Ipv4Addr::new(w, x, y, z))
}

/// The address of 64:ff9b::/96 that stands for an IPv4 address.
pub fn embed(address: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = WELL_KNOWN;
    let [w, x, y, z] = address.octets();
    Ipv6Addr::new(a, b, c, d, e, f, u16::from_be_bytes([w, x]), u16::from_be_bytes([y, z]))
}

/// Type and code (`type << 8 | code`) of an ICMPv6 message as ICMP has them. `None` where ICMP has no such message.
pub fn icmp_to_ipv4(type_and_code: u16) -> Option<u16> {
    let [icmp_type, code] = type_and_code.to_be_bytes();
    let translated = match (icmp_type, code) {
        (128, 0) => [8, 0],
        (129, 0) => [0, 0],
        (1, 0 | 2 | 3) => [3, 1],
        (1, 1) => [3, 10],
        (1, 4) => [3, 3],
        (2, _) => [3, 4],
        (3, code) => [11, code],
        (4, 1) => [3, 2],
        _ => return None,
    };
    Some(u16::from_be_bytes(translated))
}

/// Type and code of an ICMP message as ICMPv6 has them.
pub fn icmp_to_ipv6(type_and_code: u16) -> Option<u16> {
    let [icmp_type, code] = type_and_code.to_be_bytes();
    let translated = match (icmp_type, code) {
        (8, 0) => [128, 0],
        (0, 0) => [129, 0],
        (3, 0 | 1 | 5..=8 | 11 | 12) => [1, 0],
        (3, 9 | 10 | 13 | 15) => [1, 1],
        (3, 3) => [1, 4],
        (3, 2) => [4, 1],
        (3, 4) => [2, 0],
        (11, code) => [3, code],
        _ => return None,
    };
    Some(u16::from_be_bytes(translated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_comes_back_from_its_ipv6_one() {
        let address = Ipv4Addr::new(198, 51, 100, 7);
        assert_eq!(embed(address).to_string(), "64:ff9b::c633:6407");
        assert_eq!(embedded(embed(address)), Some(address));
        assert_eq!(embedded("64:ff9b:1::1".parse().unwrap()), None);
    }

    #[test]
    fn echos_and_errors_keep_their_meaning() {
        for (six, four) in [(0x8000, 0x0800), (0x8100, 0x0000), (0x0104, 0x0303), (0x0200, 0x0304), (0x0300, 0x0b00)] {
            assert_eq!((icmp_to_ipv4(six), icmp_to_ipv6(four)), (Some(four), Some(six)));
        }
        assert_eq!((icmp_to_ipv4(0x8700), icmp_to_ipv6(0x0500)), (None, None));
    }
}
