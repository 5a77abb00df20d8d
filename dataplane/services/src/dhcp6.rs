//! DHCPv6 (RFC 8415): an ENI's guest gets the ENI's first IPv6 address as a non-temporary one.
//!
//! As with DHCP, requests are read here and answers are encoded by dhcproto.

use crate::Asker;
use crate::frame::{Ends, emit_udp, parse_udp};
use crate::options::OptionSet;
use dhcproto::v6::{DhcpOption, DhcpOptions, IAAddr, IANA, IAPD, IATA, Message, MessageType, Status, StatusCode};
use dhcproto::{Encodable, Encoder};
use gp_trace::ROUTER_LINK_LOCAL;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

const CLIENT_PORT: u16 = 546;
const SERVER_PORT: u16 = 547;

/// As AWS hands them out; the preferred lifetime comes from the DHCP option set.
const VALID_SECS: u32 = 450;

/// Message types (RFC 8415, 7.3).
const SOLICIT: u8 = 1;
const REQUEST: u8 = 3;
const CONFIRM: u8 = 4;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const RELEASE: u8 = 8;
const DECLINE: u8 = 9;
const INFORMATION_REQUEST: u8 = 11;

/// A DUID is at most 128 bytes and its type long (RFC 8415, 11.1).
const DUID_BYTES_MAX: usize = 130;

/// Identity associations of one message: more than one of each kind is unusual, a hundred is an attack on us.
const ASSOCIATIONS_MAX: usize = 16;

/// What a client says, as far as the answer depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Request {
    kind: u8,
    xid: [u8; 3],
    client: Option<Vec<u8>>,
    server: Option<Vec<u8>>,
    rapid_commit: bool,
    associations: Vec<Association>,
}

/// An identity association that the client asks to be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Association {
    kind: AssociationKind,
    id: u32,
    addresses: Vec<Ipv6Addr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AssociationKind {
    NonTemporary,
    Temporary,
    Prefix,
}

impl Request {
    pub fn parse(message: &[u8]) -> Option<Self> {
        let (header, options) = message.split_first_chunk::<4>()?;
        let [kind, xid @ ..] = *header;
        let mut request = Self { kind, xid, ..Self::default() };
        for option in Options(options) {
            let (code, value) = option?;
            match code {
                1 => request.client = Some(parse_duid(value)?),
                2 => request.server = Some(parse_duid(value)?),
                3 => request.push(AssociationKind::NonTemporary, value, 12)?,
                4 => request.push(AssociationKind::Temporary, value, 4)?,
                14 => request.rapid_commit = true,
                25 => request.push(AssociationKind::Prefix, value, 12)?,
                _ => {}
            }
        }
        Some(request)
    }

    /// Reads an association: its id, `fixed_bytes` of fixed fields in all, and then options.
    fn push(&mut self, kind: AssociationKind, value: &[u8], fixed_bytes: usize) -> Option<()> {
        let id = u32::from_be_bytes(*value.first_chunk()?);
        let mut addresses = Vec::new();
        for option in Options(value.get(fixed_bytes..)?) {
            if let (5, value) = option? {
                addresses.push(Ipv6Addr::from(*value.first_chunk::<16>()?));
            }
        }
        self.associations.push(Association { kind, id, addresses });
        (self.associations.len() <= ASSOCIATIONS_MAX).then_some(())
    }
}

fn parse_duid(value: &[u8]) -> Option<Vec<u8>> {
    (3..=DUID_BYTES_MAX).contains(&value.len()).then(|| value.to_vec())
}

/// Options in a row; an item is `None` where one runs over the end, and then the row is over.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = Option<(u16, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let option = split_option(self.0);
        self.0 = option.map_or(&[], |(_, _, rest)| rest);
        Some(option.map(|(code, value, _)| (code, value)))
    }
}

fn split_option(options: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (header, rest) = options.split_first_chunk::<4>()?;
    let [c0, c1, l0, l1] = *header;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
    Some((u16::from_be_bytes([c0, c1]), value, rest))
}

pub(crate) fn reply(asker: &Asker<'_>, frame: &[u8]) -> Option<Vec<u8>> {
    let datagram = parse_udp(frame).filter(|udp| udp.dst_port == SERVER_PORT)?;
    // Clients speak from their link-local address (RFC 8415, 17.2).
    let IpAddr::V6(client) = datagram.src else { return None };
    if !client.is_unicast_link_local() {
        return None;
    }
    let request = Request::parse(datagram.payload)?;
    let answer = answer(asker, &request)?;
    let mut payload = Vec::new();
    answer.encode(&mut Encoder::new(&mut payload)).ok()?;
    let ends = Ends {
        src_mac: asker.router_mac(),
        dst_mac: asker.eni.mac,
        src: IpAddr::V6(ROUTER_LINK_LOCAL),
        dst: datagram.src,
    };
    emit_udp(&ends, SERVER_PORT, CLIENT_PORT, &payload)
}

/// The answer, as a value; `None` where the server keeps silent.
pub(crate) fn answer(asker: &Asker<'_>, request: &Request) -> Option<Message> {
    let address = asker.eni.ipv6.first().copied()?;
    let own = server_duid(asker);
    // RFC 8415, 16: what names a server is for that one; these kinds must name one, and those must not.
    let names_us = request.server.as_ref().map(|server| *server == own);
    match request.kind {
        REQUEST | RENEW | RELEASE | DECLINE if names_us == Some(true) => {}
        SOLICIT | CONFIRM | REBIND if names_us.is_none() => {}
        INFORMATION_REQUEST if names_us != Some(false) => {}
        _ => return None,
    }
    if request.client.is_none() && request.kind != INFORMATION_REQUEST {
        return None;
    }
    let advertise = request.kind == SOLICIT && !request.rapid_commit;
    let kind = if advertise { MessageType::Advertise } else { MessageType::Reply };
    let mut answer = Message::new_with_id(kind, request.xid);
    let options = answer.opts_mut();
    if let Some(client) = &request.client {
        options.insert(DhcpOption::ClientId(client.clone()));
    }
    options.insert(DhcpOption::ServerId(own));
    if request.kind == SOLICIT && request.rapid_commit {
        options.insert(DhcpOption::RapidCommit);
    }
    match request.kind {
        CONFIRM => options.insert(confirm(asker, request)?),
        RELEASE | DECLINE => options.insert(status(Status::Success, "the address stays the network interface's")),
        INFORMATION_REQUEST => insert_configuration(asker, options),
        _ => {
            insert_associations(asker, request, address, options);
            insert_configuration(asker, options);
        }
    }
    Some(answer)
}

/// DUID-LL (RFC 8415, 11.4) of the router: the same for ever, without any state.
fn server_duid(asker: &Asker<'_>) -> Vec<u8> {
    [&[0, 3, 0, 1][..], &asker.router_mac().0].concat()
}

fn insert_associations(asker: &Asker<'_>, request: &Request, address: Ipv6Addr, options: &mut DhcpOptions) {
    let preferred = OptionSet::of(asker).preferred_secs().min(VALID_SECS);
    let mut is_given = false;
    for association in &request.associations {
        let id = association.id;
        let option = match association.kind {
            AssociationKind::NonTemporary if !is_given => {
                is_given = true;
                DhcpOption::IANA(lease(association, address, preferred))
            }
            AssociationKind::NonTemporary => {
                let opts = [status(Status::NoAddrsAvail, "no more addresses")].into_iter().collect();
                DhcpOption::IANA(IANA { id, t1: 0, t2: 0, opts })
            }
            AssociationKind::Temporary => {
                let opts = [status(Status::NoAddrsAvail, "no temporary addresses")].into_iter().collect();
                DhcpOption::IATA(IATA { id, opts })
            }
            AssociationKind::Prefix => {
                let opts = [status(Status::NoPrefixAvail, "no prefixes")].into_iter().collect();
                DhcpOption::IAPD(IAPD { id, t1: 0, t2: 0, opts })
            }
        };
        options.insert(option);
    }
}

/// The address for an association; those that the client had and has no longer get lifetimes of 0 (RFC 8415, 18.3.4).
fn lease(association: &Association, address: Ipv6Addr, preferred: u32) -> IANA {
    let item = |addr, preferred_life, valid_life| {
        DhcpOption::IAAddr(IAAddr { addr, preferred_life, valid_life, opts: DhcpOptions::new() })
    };
    let lost = association.addresses.iter().filter(|had| **had != address).map(|had| item(*had, 0, 0));
    let opts = lost.chain([item(address, preferred, VALID_SECS)]).collect();
    // T1 and T2: a half and four fifths of the preferred lifetime, as RFC 8415, 21.4 recommends.
    IANA { id: association.id, t1: preferred / 2, t2: preferred / 5 * 4, opts }
}

fn confirm(asker: &Asker<'_>, request: &Request) -> Option<DhcpOption> {
    let mut addresses = request.associations.iter().flat_map(|association| &association.addresses).peekable();
    addresses.peek()?;
    let on_link = addresses.all(|address| asker.subnet.contains(IpAddr::V6(*address)));
    Some(if on_link { status(Status::Success, "on link") } else { status(Status::NotOnLink, "not on link") })
}

fn insert_configuration(asker: &Asker<'_>, options: &mut DhcpOptions) {
    let set = OptionSet::of(asker);
    let servers: Vec<_> = set
        .name_servers
        .iter()
        .filter_map(|server| match server {
            IpAddr::V6(a) => Some(*a),
            IpAddr::V4(_) => None,
        })
        .collect();
    if !servers.is_empty() {
        options.insert(DhcpOption::DomainNameServers(servers));
    }
    if let Some(name) = set.domain_name.and_then(|name| dhcproto::Name::from_str(&name).ok()) {
        options.insert(DhcpOption::DomainSearchList(vec![name]));
    }
}

fn status(status: Status, text: &str) -> DhcpOption {
    DhcpOption::StatusCode(StatusCode { status, msg: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Subnet, subnet};
    use dhcproto::v6::OptionCode;
    use dhcproto::{Decodable, Decoder};
    use gp_model::Mac;
    use gp_trace::LocalService;

    const CLIENT_DUID: [u8; 10] = [0, 3, 0, 1, 2, 2, 2, 2, 2, 2];

    fn server_id(s: &Subnet) -> DhcpOption {
        DhcpOption::ServerId([&[0, 3, 0, 1][..], &gp_trace::router_mac(s.a.subnet).0].concat())
    }

    fn association(addresses: &[Ipv6Addr]) -> DhcpOption {
        let item =
            |addr| DhcpOption::IAAddr(IAAddr { addr, preferred_life: 9, valid_life: 9, opts: DhcpOptions::new() });
        DhcpOption::IANA(IANA { id: 7, t1: 0, t2: 0, opts: addresses.iter().copied().map(item).collect() })
    }

    fn send(s: &Subnet, kind: MessageType, options: &[DhcpOption]) -> Option<Message> {
        let mut message = Message::new_with_id(kind, [1, 2, 3]);
        message.opts_mut().insert(DhcpOption::ClientId(CLIENT_DUID.to_vec()));
        options.iter().for_each(|option| message.opts_mut().insert(option.clone()));
        let mut payload = Vec::new();
        message.encode(&mut Encoder::new(&mut payload)).unwrap();
        let ends = Ends {
            src_mac: s.a.mac,
            dst_mac: Mac([0x33, 0x33, 0, 1, 0, 2]),
            src: IpAddr::V6(s.a.mac.link_local()),
            dst: "ff02::1:2".parse().unwrap(),
        };
        let frame = emit_udp(&ends, CLIENT_PORT, SERVER_PORT, &payload).unwrap();
        let packet = gp_wire::parse(&frame).unwrap();
        let answer = crate::reply(&s.world, &s.a, &packet, &frame, LocalService::Dhcp)?;
        let datagram = parse_udp(&answer).unwrap();
        assert_eq!((datagram.src, datagram.dst_port), (IpAddr::V6(ROUTER_LINK_LOCAL), CLIENT_PORT));
        let message = Message::decode(&mut Decoder::new(datagram.payload)).unwrap();
        assert_eq!(message.xid(), [1, 2, 3]);
        assert_eq!(message.opts().get(OptionCode::ClientId), Some(&DhcpOption::ClientId(CLIENT_DUID.to_vec())));
        assert_eq!(message.opts().get(OptionCode::ServerId), Some(&server_id(s)));
        Some(message)
    }

    /// Addresses and valid lifetimes in the answer's only association.
    fn leased(message: &Message) -> Vec<(Ipv6Addr, u32)> {
        let Some(DhcpOption::IANA(association)) = message.opts().get(OptionCode::IANA) else { return vec![] };
        assert_eq!(association.id, 7);
        let items = association.opts.iter().filter_map(|option| match option {
            DhcpOption::IAAddr(item) => Some((item.addr, item.valid_life)),
            _ => None,
        });
        items.collect()
    }

    #[test]
    fn a_solicitation_is_offered_the_address_and_with_rapid_commit_given_it() {
        let s = subnet();
        let offer = send(&s, MessageType::Solicit, &[association(&[])]).unwrap();
        assert_eq!(offer.msg_type(), MessageType::Advertise);
        assert_eq!(leased(&offer), [(s.a.ipv6[0], VALID_SECS)]);
        let given = send(&s, MessageType::Solicit, &[DhcpOption::RapidCommit, association(&[])]).unwrap();
        assert_eq!(given.msg_type(), MessageType::Reply);
        assert!(given.opts().get(OptionCode::RapidCommit).is_some());
        assert_eq!(leased(&given), [(s.a.ipv6[0], VALID_SECS)]);
    }

    #[test]
    fn requests_renewals_and_rebinds_give_the_address_and_take_back_others() {
        let s = subnet();
        let stale: Ipv6Addr = "2001:db8:dead::1".parse().unwrap();
        let asked = [association(&[stale, s.a.ipv6[0]]), server_id(&s)];
        for kind in [MessageType::Request, MessageType::Renew] {
            let answer = send(&s, kind, &asked).unwrap();
            assert_eq!(answer.msg_type(), MessageType::Reply);
            assert_eq!(leased(&answer), [(stale, 0), (s.a.ipv6[0], VALID_SECS)]);
        }
        let answer = send(&s, MessageType::Rebind, &asked[..1]).unwrap();
        assert_eq!(leased(&answer), [(stale, 0), (s.a.ipv6[0], VALID_SECS)]);
    }

    #[test]
    fn a_confirmation_says_whether_the_addresses_are_on_link() {
        let s = subnet();
        let answer = |address: Ipv6Addr| {
            let message = send(&s, MessageType::Confirm, &[association(&[address])]).unwrap();
            let Some(DhcpOption::StatusCode(code)) = message.opts().get(OptionCode::StatusCode) else { panic!() };
            code.status
        };
        assert_eq!(answer(s.a.ipv6[0]), Status::Success);
        assert_eq!(answer("2001:db8:dead::1".parse().unwrap()), Status::NotOnLink);
        assert_eq!(send(&s, MessageType::Confirm, &[association(&[])]), None);
    }

    #[test]
    fn information_comes_without_addresses() {
        let s = subnet();
        let answer = send(&s, MessageType::InformationRequest, &[]).unwrap();
        assert_eq!(leased(&answer), []);
        assert!(answer.opts().get(OptionCode::DomainSearchList).is_some());
        assert!(answer.opts().get(OptionCode::DomainNameServers).is_none());
    }

    #[test]
    fn messages_for_other_servers_or_of_the_wrong_kind_are_ignored() {
        let s = subnet();
        let other = DhcpOption::ServerId(vec![0, 3, 0, 1, 9, 9, 9, 9, 9, 9]);
        assert_eq!(send(&s, MessageType::Request, &[association(&[]), other]), None);
        assert_eq!(send(&s, MessageType::Request, &[association(&[])]), None);
        assert_eq!(send(&s, MessageType::Solicit, &[association(&[]), server_id(&s)]), None);
        assert_eq!(send(&s, MessageType::Advertise, &[association(&[])]), None);
    }

    #[test]
    fn malformed_messages_are_no_requests() {
        for message in [&[1, 2, 3][..], &[1, 0, 0, 0, 0, 1, 0, 9, 1][..], &[1, 0, 0, 0, 0, 3, 0, 2, 1, 1][..]] {
            assert_eq!(Request::parse(message), None, "{message:?}");
        }
        let many: Vec<u8> = [1, 0, 0, 0].into_iter().chain([0, 4, 0, 4, 0, 0, 0, 1].repeat(100)).collect();
        assert_eq!(Request::parse(&many), None);
    }
}
