//! Tracked connection ↔ its entry in the kernel's table of connections.

use crate::key::{family, mapped, unmapped};
use bytemuck::Zeroable;
use gp_abi::{
    ConnectionKey, ConnectionValue, OPENED_BY_EGRESS, OPENED_BY_INGRESS, TRACKER_EGRESS_ONLY_INTERNET_GATEWAY,
    TRACKER_ENI, TRACKER_NAT_GATEWAY,
};
use gp_model::{Direction, EgressOnlyInternetGatewayId, EniId, NatGatewayId};
use gp_trace::{Connection, Tracker};
use gp_wire::FiveTuple;

/// A connection's entry, with nothing seen of it yet.
pub fn connection_entry(tracker: Tracker, connection: &Connection) -> (ConnectionKey, ConnectionValue) {
    let (tracker_kind, bits) = match tracker {
        Tracker::Eni(id) => (TRACKER_ENI, id.bits()),
        Tracker::NatGateway(id) => (TRACKER_NAT_GATEWAY, id.bits()),
        Tracker::EgressOnlyInternetGateway(id) => (TRACKER_EGRESS_ONLY_INTERNET_GATEWAY, id.bits()),
    };
    let tuple = &connection.tuple;
    let key = ConnectionKey {
        tracker: bits.to_be_bytes(),
        src: mapped(tuple.src),
        dst: mapped(tuple.dst),
        src_port: tuple.src_port,
        dst_port: tuple.dst_port,
        protocol: tuple.protocol,
        family: family(tuple.src),
        tracker_kind,
        reserved: 0,
    };
    let opened_by = match connection.opened_by {
        Direction::Egress => OPENED_BY_EGRESS,
        Direction::Ingress => OPENED_BY_INGRESS,
    };
    let mut value = ConnectionValue { opened_by, ..Zeroable::zeroed() };
    if let Some(translated) = connection.translated {
        value.translated_src = mapped(translated.src);
        value.translated_dst = mapped(translated.dst);
        value.translated_src_port = translated.src_port;
        value.translated_dst_port = translated.dst_port;
        value.translated_protocol = translated.protocol;
        value.translated_family = family(translated.src);
    }
    (key, value)
}

/// What an entry stands for; `None` where nobody of this version wrote it.
pub fn connection_of(key: &ConnectionKey, value: &ConnectionValue) -> Option<(Tracker, Connection)> {
    let opened_by = match value.opened_by {
        OPENED_BY_EGRESS => Direction::Egress,
        OPENED_BY_INGRESS => Direction::Ingress,
        _ => return None,
    };
    let bits = u128::from_be_bytes(key.tracker);
    let tracker = match key.tracker_kind {
        TRACKER_ENI => Tracker::Eni(EniId::from_bits(bits)),
        TRACKER_NAT_GATEWAY => Tracker::NatGateway(NatGatewayId::from_bits(bits)),
        TRACKER_EGRESS_ONLY_INTERNET_GATEWAY => {
            Tracker::EgressOnlyInternetGateway(EgressOnlyInternetGatewayId::from_bits(bits))
        }
        _ => return None,
    };
    let tuple = FiveTuple {
        protocol: key.protocol,
        src: unmapped(key.src, key.family),
        dst: unmapped(key.dst, key.family),
        src_port: key.src_port,
        dst_port: key.dst_port,
    };
    let translated = (value.translated_family != 0).then(|| FiveTuple {
        protocol: value.translated_protocol,
        src: unmapped(value.translated_src, value.translated_family),
        dst: unmapped(value.translated_dst, value.translated_family),
        src_port: value.translated_src_port,
        dst_port: value.translated_dst_port,
    });
    Some((tracker, Connection { tuple, opened_by, translated }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_survives_the_way_through_the_table() {
        let trackers = [
            Tracker::Eni(EniId::from_bits(0x0123_4567_89ab_cdef)),
            Tracker::NatGateway(NatGatewayId::from_bits(7)),
            Tracker::EgressOnlyInternetGateway(EgressOnlyInternetGatewayId::from_bits(7)),
        ];
        for (src, dst) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
            let tuple = FiveTuple { protocol: 6, src, dst, src_port: 1000, dst_port: 443 };
            let translated = FiveTuple { src: "10.9.9.9".parse().unwrap(), src_port: 1, ..tuple };
            for tracker in trackers {
                for opened_by in [Direction::Egress, Direction::Ingress] {
                    for translated in [None, Some(translated).filter(|_| src.is_ipv4())] {
                        let connection = Connection { tuple, opened_by, translated };
                        let (key, value) = connection_entry(tracker, &connection);
                        assert_eq!(connection_of(&key, &value), Some((tracker, connection)));
                    }
                }
            }
        }
    }

    #[test]
    fn an_unknown_opener_is_nobodys_connection() {
        assert_eq!(connection_of(&Zeroable::zeroed(), &Zeroable::zeroed()), None);
    }
}
