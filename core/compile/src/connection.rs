//! Tracked connection ↔ its entry in the kernel's table of connections.

use crate::key::{family, mapped, unmapped};
use gp_abi::{ConnectionKey, ConnectionValue, OPENED_BY_EGRESS, OPENED_BY_INGRESS, TRACKER_ENI};
use gp_model::{Direction, EniId};
use gp_trace::Connection;
use gp_wire::FiveTuple;

/// The key of an ENI's connection, and the code of who opened it, for the value.
pub fn connection_key(eni: EniId, connection: &Connection) -> (ConnectionKey, u8) {
    let tuple = &connection.tuple;
    let key = ConnectionKey {
        tracker: eni.bits().to_be_bytes(),
        src: mapped(tuple.src),
        dst: mapped(tuple.dst),
        src_port: tuple.src_port,
        dst_port: tuple.dst_port,
        protocol: tuple.protocol,
        family: family(tuple.src),
        tracker_kind: TRACKER_ENI,
        reserved: 0,
    };
    let opened_by = match connection.opened_by {
        Direction::Egress => OPENED_BY_EGRESS,
        Direction::Ingress => OPENED_BY_INGRESS,
    };
    (key, opened_by)
}

/// What an entry stands for; `None` where nobody of this version wrote it.
pub fn connection_of(key: &ConnectionKey, value: &ConnectionValue) -> Option<(EniId, Connection)> {
    let opened_by = match value.opened_by {
        OPENED_BY_EGRESS => Direction::Egress,
        OPENED_BY_INGRESS => Direction::Ingress,
        _ => return None,
    };
    let tuple = FiveTuple {
        protocol: key.protocol,
        src: unmapped(key.src, key.family),
        dst: unmapped(key.dst, key.family),
        src_port: key.src_port,
        dst_port: key.dst_port,
    };
    Some((EniId::from_bits(u128::from_be_bytes(key.tracker)), Connection { tuple, opened_by, translated: None }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;

    #[test]
    fn a_connection_survives_the_way_through_the_table() {
        let eni = EniId::from_bits(0x0123_4567_89ab_cdef);
        for (src, dst) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
            for opened_by in [Direction::Egress, Direction::Ingress] {
                let tuple = FiveTuple { protocol: 6, src, dst, src_port: 1000, dst_port: 443 };
                let connection = Connection { tuple, opened_by, translated: None };
                let (key, code) = connection_key(eni, &connection);
                let value = ConnectionValue { opened_by: code, ..Zeroable::zeroed() };
                assert_eq!(connection_of(&key, &value), Some((eni, connection)));
            }
        }
    }

    #[test]
    fn an_unknown_opener_is_nobodys_connection() {
        assert_eq!(connection_of(&Zeroable::zeroed(), &Zeroable::zeroed()), None);
    }
}
