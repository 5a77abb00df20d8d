//! The only clock and the only source of randomness of the control plane.

use gp_actions::Ids;
use gp_model::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock. Before 1970 it reads 0.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Random bits from the kernel.
#[derive(Debug)]
pub(crate) struct Randomness;

impl Ids for Randomness {
    fn bits(&mut self) -> u128 {
        random_bits()
    }
}

fn random_bits() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("getrandom(2) does not fail on a kernel that Groundplane runs on");
    u128::from_ne_bytes(bytes)
}

/// A request's id: a random UUID (RFC 9562, version 4).
pub(crate) fn request_id() -> String {
    const VERSION_AND_VARIANT: u128 = 0xf000_c000_0000_0000_0000;
    const VERSION_4_VARIANT_1: u128 = 0x4000_8000_0000_0000_0000;
    let bits = random_bits() & !VERSION_AND_VARIANT | VERSION_4_VARIANT_1;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_a_random_uuid() {
        let (one, other) = (request_id(), request_id());
        assert_ne!(one, other);
        for id in [one, other] {
            let lengths: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12]);
            assert_eq!(id.as_bytes()[14], b'4', "{id}");
            assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
        }
    }
}
