//! DHCP for IPv4 (RFC 2131, options of RFC 2132): an ENI's guest gets the ENI's primary address, and no other.
//!
//! Requests are read here and not by dhcproto, whose decoder panics on some malformed messages (an address longer than
//! its field, options shorter than their kind); answers, which we make ourselves, are encoded by it.

use crate::frame::{Ends, emit_udp, parse_udp};
use crate::options::{OptionSet, host_name, only_v4};
use crate::{Asker, VPC_MTU_BYTES};
use dhcproto::v4::{DhcpOption, DhcpOptions, Flags, HType, Message, MessageType, NodeType, Opcode};
use dhcproto::{Encodable, Encoder};
use gp_model::Mac;
use std::net::{IpAddr, Ipv4Addr};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;

/// As AWS hands them out. T1 and T2 are RFC 2131's defaults: a half and seven eighths.
const LEASE_SECS: u32 = 3600;
const RENEWAL_SECS: u32 = LEASE_SECS / 2;
const REBINDING_SECS: u32 = LEASE_SECS / 8 * 7;

/// BOOTP's message length, which some clients insist on (RFC 1542, 2.1).
const MESSAGE_BYTES_MIN: usize = 300;

/// What a client says, as far as the answer depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    kind: u8,
    xid: u32,
    secs: u16,
    flags: u16,
    /// The address that the client already uses.
    ciaddr: Ipv4Addr,
    chaddr: Mac,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
}

/// Message types (RFC 2132, 9.6).
const DISCOVER: u8 = 1;
const REQUEST: u8 = 3;
const INFORM: u8 = 8;

const FIXED_BYTES: usize = 236;
const MAGIC: [u8; 4] = [99, 130, 83, 99];

impl Request {
    /// `None` for whatever is not a request of an Ethernet client that speaks to this link directly.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let fixed: &[u8; FIXED_BYTES] = message.get(..FIXED_BYTES)?.try_into().ok()?;
        let [op, htype, hlen, ..] = *fixed;
        let giaddr = field::<4>(fixed, 24);
        if op != 1 || htype != 1 || hlen != 6 || giaddr != [0; 4] {
            return None;
        }
        let options = message.get(FIXED_BYTES..)?.strip_prefix(&MAGIC)?;
        let mut request = Self {
            kind: 0,
            xid: u32::from_be_bytes(field(fixed, 4)),
            secs: u16::from_be_bytes(field(fixed, 8)),
            flags: u16::from_be_bytes(field(fixed, 10)),
            ciaddr: field::<4>(fixed, 12).into(),
            chaddr: Mac(field(fixed, 28)),
            requested: None,
            server: None,
        };
        request.parse_options(options)?;
        (request.kind != 0).then_some(request)
    }

    fn parse_options(&mut self, mut options: &[u8]) -> Option<()> {
        while let [code, rest @ ..] = options {
            match *code {
                0 => options = rest,
                255 => return Some(()),
                code => {
                    let (length, rest) = rest.split_first()?;
                    let (value, rest) = rest.split_at_checked(usize::from(*length))?;
                    match code {
                        50 => self.requested = Some(<[u8; 4]>::try_from(value).ok()?.into()),
                        53 => self.kind = *value.first()?,
                        54 => self.server = Some(<[u8; 4]>::try_from(value).ok()?.into()),
                        _ => {}
                    }
                    options = rest;
                }
            }
        }
        Some(())
    }
}

fn field<const N: usize>(fixed: &[u8; FIXED_BYTES], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&fixed[at..at + N]);
    bytes
}

pub(crate) fn reply(asker: &Asker<'_>, frame: &[u8]) -> Option<Vec<u8>> {
    let datagram = parse_udp(frame).filter(|udp| udp.dst_port == SERVER_PORT)?;
    let request = Request::parse(datagram.payload)?;
    let answer = answer(asker, &request)?;
    let is_nak = answer.opts().has_msg_type(MessageType::Nak);
    let (dst, dst_mac) = destination(asker, &request, answer.yiaddr(), is_nak);
    let ends = Ends { src_mac: asker.router_mac(), dst_mac, src: IpAddr::V4(router(asker)?), dst: IpAddr::V4(dst) };
    emit_udp(&ends, SERVER_PORT, CLIENT_PORT, &encode(&answer)?)
}

/// RFC 2131, 4.1: to the client's address if it has one, broadcast if it asks for that or is refused.
fn destination(asker: &Asker<'_>, request: &Request, offered: Ipv4Addr, is_nak: bool) -> (Ipv4Addr, Mac) {
    if is_nak {
        (Ipv4Addr::BROADCAST, Mac::BROADCAST)
    } else if !request.ciaddr.is_unspecified() {
        (request.ciaddr, asker.eni.mac)
    } else if Flags::from(request.flags).broadcast() {
        (Ipv4Addr::BROADCAST, Mac::BROADCAST)
    } else {
        (offered, asker.eni.mac)
    }
}

/// The answer, as a value; `None` where the server keeps silent.
pub(crate) fn answer(asker: &Asker<'_>, request: &Request) -> Option<Message> {
    let address = asker.eni.primary_ipv4()?;
    let server = router(asker)?;
    // Another machine behind the ENI (a bridge, a nested guest) has no address in this VPC.
    if request.chaddr != asker.eni.mac || request.server.is_some_and(|chosen| chosen != server) {
        return None;
    }
    match request.kind {
        DISCOVER => Some(lease(asker, request, MessageType::Offer, address, server)),
        REQUEST => {
            let wanted = request.requested.unwrap_or(request.ciaddr);
            if wanted.is_unspecified() {
                return None;
            }
            let uses_other = !request.ciaddr.is_unspecified() && request.ciaddr != address;
            if wanted != address || uses_other {
                return Some(refuse(request, server));
            }
            Some(lease(asker, request, MessageType::Ack, address, server))
        }
        INFORM => Some(inform(asker, request, server)),
        // Declined and released addresses stay the ENI's.
        _ => None,
    }
}

fn router(asker: &Asker<'_>) -> Option<Ipv4Addr> {
    gp_trace::router_ipv4(asker.subnet)
}

fn message(request: &Request, kind: MessageType, server: Ipv4Addr) -> Message {
    let mut message = Message::default();
    message
        .set_opcode(Opcode::BootReply)
        .set_htype(HType::Eth)
        .set_xid(request.xid)
        .set_secs(request.secs)
        .set_flags(request.flags.into())
        .set_chaddr(&request.chaddr.0);
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    message.opts_mut().insert(DhcpOption::ServerIdentifier(server));
    message
}

fn lease(asker: &Asker<'_>, request: &Request, kind: MessageType, address: Ipv4Addr, server: Ipv4Addr) -> Message {
    let mut answer = message(request, kind, server);
    answer.set_yiaddr(address).set_ciaddr(request.ciaddr);
    let options = answer.opts_mut();
    options.insert(DhcpOption::AddressLeaseTime(LEASE_SECS));
    options.insert(DhcpOption::Renewal(RENEWAL_SECS));
    options.insert(DhcpOption::Rebinding(REBINDING_SECS));
    insert_configuration(asker, &mut answer, server);
    answer
}

fn inform(asker: &Asker<'_>, request: &Request, server: Ipv4Addr) -> Message {
    let mut answer = message(request, MessageType::Ack, server);
    answer.set_ciaddr(request.ciaddr);
    insert_configuration(asker, &mut answer, server);
    answer
}

fn refuse(request: &Request, server: Ipv4Addr) -> Message {
    let mut answer = message(request, MessageType::Nak, server);
    // The client has no usable address, so the answer must not be sent to one (RFC 2131, 4.3.2).
    answer.set_flags(Flags::from(request.flags).set_broadcast());
    let text = "the address is not this network interface's".to_owned();
    answer.opts_mut().insert(DhcpOption::Message(text));
    answer
}

fn insert_configuration(asker: &Asker<'_>, answer: &mut Message, router: Ipv4Addr) {
    let set = OptionSet::of(asker);
    let options = answer.opts_mut();
    if let Some(net) = asker.subnet.cidr {
        options.insert(DhcpOption::SubnetMask(net.netmask()));
        options.insert(DhcpOption::BroadcastAddr(net.broadcast()));
    }
    options.insert(DhcpOption::Router(vec![router]));
    options.insert(DhcpOption::InterfaceMtu(VPC_MTU_BYTES));
    if let Some(name) = host_name(asker) {
        options.insert(DhcpOption::Hostname(name));
    }
    if let Some(domain) = set.domain_name {
        options.insert(DhcpOption::DomainName(domain));
    }
    insert_servers(options, &set.name_servers, DhcpOption::DomainNameServer);
    insert_servers(options, &set.time_servers, DhcpOption::NtpServers);
    insert_servers(options, &set.netbios_name_servers, DhcpOption::NetBiosNameServers);
    if let Some(kind) = set.netbios_node_type {
        options.insert(DhcpOption::NetBiosNodeType(NodeType::from(kind)));
    }
}

/// An empty list is no valid option.
fn insert_servers(options: &mut DhcpOptions, servers: &[IpAddr], option: fn(Vec<Ipv4Addr>) -> DhcpOption) {
    let servers = only_v4(servers);
    if !servers.is_empty() {
        options.insert(option(servers));
    }
}

fn encode(message: &Message) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(MESSAGE_BYTES_MIN);
    message.encode(&mut Encoder::new(&mut bytes)).ok()?;
    if bytes.len() < MESSAGE_BYTES_MIN {
        bytes.resize(MESSAGE_BYTES_MIN, 0);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Subnet, subnet};
    use dhcproto::v4::OptionCode;
    use dhcproto::{Decodable, Decoder};
    use gp_trace::LocalService;

    struct Ask {
        kind: MessageType,
        ciaddr: Ipv4Addr,
        requested: Option<Ipv4Addr>,
        server: Option<Ipv4Addr>,
        chaddr: Mac,
        broadcast: bool,
    }

    fn ask(s: &Subnet, kind: MessageType) -> Ask {
        Ask { kind, ciaddr: Ipv4Addr::UNSPECIFIED, requested: None, server: None, chaddr: s.a.mac, broadcast: false }
    }

    /// The frame and the message in it, encoded and decoded by dhcproto as the stranger.
    fn send(s: &Subnet, ask: Ask) -> Option<(Vec<u8>, Message)> {
        let mut message = Message::default();
        message.set_opcode(Opcode::BootRequest).set_htype(HType::Eth).set_xid(0xfeed).set_chaddr(&ask.chaddr.0);
        message.set_ciaddr(ask.ciaddr);
        if ask.broadcast {
            message.set_flags(Flags::default().set_broadcast());
        }
        message.opts_mut().insert(DhcpOption::MessageType(ask.kind));
        message.opts_mut().insert(DhcpOption::ClientIdentifier(vec![1; 7]));
        let requested = ask.requested.map(DhcpOption::RequestedIpAddress);
        let server = ask.server.map(DhcpOption::ServerIdentifier);
        for option in requested.into_iter().chain(server) {
            message.opts_mut().insert(option);
        }
        let ends = Ends {
            src_mac: s.a.mac,
            dst_mac: Mac::BROADCAST,
            src: IpAddr::V4(ask.ciaddr),
            dst: IpAddr::V4(Ipv4Addr::BROADCAST),
        };
        let frame = emit_udp(&ends, CLIENT_PORT, SERVER_PORT, &encode(&message).unwrap()).unwrap();
        let packet = gp_wire::parse(&frame).unwrap();
        let answer = crate::reply(&s.world, &s.a, &packet, &frame, LocalService::Dhcp)?;
        let payload = parse_udp(&answer).unwrap();
        assert_eq!(payload.dst_port, CLIENT_PORT);
        let message = Message::decode(&mut Decoder::new(payload.payload)).unwrap();
        assert_eq!((message.xid(), message.chaddr()), (0xfeed, &s.a.mac.0[..]));
        Some((answer, message))
    }

    fn option(message: &Message, code: OptionCode) -> Option<DhcpOption> {
        message.opts().get(code).cloned()
    }

    #[test]
    fn a_discovery_is_offered_the_primary_address() {
        let s = subnet();
        let own = s.a.primary_ipv4().unwrap();
        let (frame, offer) = send(&s, ask(&s, MessageType::Discover)).unwrap();
        assert_eq!(offer.opts().msg_type(), Some(MessageType::Offer));
        assert_eq!(offer.yiaddr(), own);
        let router: Ipv4Addr = "10.0.1.1".parse().unwrap();
        let expected = [
            DhcpOption::SubnetMask("255.255.255.0".parse().unwrap()),
            DhcpOption::Router(vec![router]),
            DhcpOption::ServerIdentifier(router),
            DhcpOption::InterfaceMtu(9001),
            DhcpOption::AddressLeaseTime(3600),
            DhcpOption::DomainName("eu-central-1.compute.internal".into()),
            DhcpOption::Hostname("ip-10-0-1-10".into()),
            DhcpOption::BroadcastAddr("10.0.1.255".parse().unwrap()),
        ];
        for expected in expected {
            assert_eq!(option(&offer, OptionCode::from(&expected)), Some(expected));
        }
        assert_eq!(option(&offer, OptionCode::DomainNameServer), None, "no resolver is there to answer");
        let to = gp_wire::parse(&frame).unwrap();
        let gp_wire::Packet::Ip(to) = to else { panic!("not IP") };
        assert_eq!((to.dst_mac, to.tuple.dst, to.tuple.src), (s.a.mac, IpAddr::V4(own), IpAddr::V4(router)));
    }

    #[test]
    fn a_request_for_the_address_is_acknowledged_in_every_state_of_the_client() {
        let s = subnet();
        let own = s.a.primary_ipv4();
        let server = Some("10.0.1.1".parse().unwrap());
        let selecting = Ask { requested: own, server, ..ask(&s, MessageType::Request) };
        let rebooting = Ask { requested: own, ..ask(&s, MessageType::Request) };
        let renewing = Ask { ciaddr: own.unwrap(), ..ask(&s, MessageType::Request) };
        for request in [selecting, rebooting, renewing] {
            let (_, answer) = send(&s, request).unwrap();
            assert_eq!(answer.opts().msg_type(), Some(MessageType::Ack));
            assert_eq!(Some(answer.yiaddr()), own);
        }
    }

    #[test]
    fn a_request_for_another_address_is_refused_by_broadcast() {
        let s = subnet();
        let other = s.b.primary_ipv4();
        for request in [
            Ask { requested: other, ..ask(&s, MessageType::Request) },
            Ask { ciaddr: other.unwrap(), ..ask(&s, MessageType::Request) },
        ] {
            let (frame, answer) = send(&s, request).unwrap();
            assert_eq!(answer.opts().msg_type(), Some(MessageType::Nak));
            assert_eq!(answer.yiaddr(), Ipv4Addr::UNSPECIFIED);
            assert_eq!(frame[..6], [0xff; 6]);
        }
    }

    #[test]
    fn a_client_that_asks_for_broadcast_gets_it() {
        let s = subnet();
        let (frame, _) = send(&s, Ask { broadcast: true, ..ask(&s, MessageType::Discover) }).unwrap();
        assert_eq!(frame[..6], [0xff; 6]);
        assert_eq!(frame[30..34], [255; 4]);
    }

    #[test]
    fn information_comes_without_a_lease() {
        let s = subnet();
        let own = s.a.primary_ipv4().unwrap();
        let (_, answer) = send(&s, Ask { ciaddr: own, ..ask(&s, MessageType::Inform) }).unwrap();
        assert_eq!(answer.opts().msg_type(), Some(MessageType::Ack));
        assert_eq!(option(&answer, OptionCode::AddressLeaseTime), None);
        assert_eq!(option(&answer, OptionCode::InterfaceMtu), Some(DhcpOption::InterfaceMtu(9001)));
    }

    #[test]
    fn nobody_answers_strangers_other_servers_clients_and_farewells() {
        let s = subnet();
        let own = s.a.primary_ipv4();
        let stranger = Ask { chaddr: s.b.mac, ..ask(&s, MessageType::Discover) };
        let elsewhere =
            Ask { requested: own, server: Some("10.0.1.99".parse().unwrap()), ..ask(&s, MessageType::Request) };
        let empty = ask(&s, MessageType::Request);
        let farewells = [MessageType::Decline, MessageType::Release].map(|kind| ask(&s, kind));
        for silent in [stranger, elsewhere, empty].into_iter().chain(farewells) {
            assert!(send(&s, silent).is_none());
        }
    }

    #[test]
    fn name_servers_that_are_addresses_are_handed_on() {
        let mut s = subnet();
        s.set_dhcp_options(&[
            ("domain-name-servers", &["10.0.1.53", "AmazonProvidedDNS"]),
            ("ntp-servers", &["10.0.1.123"]),
        ]);
        let (_, offer) = send(&s, ask(&s, MessageType::Discover)).unwrap();
        let expected = DhcpOption::DomainNameServer(vec!["10.0.1.53".parse().unwrap()]);
        assert_eq!(option(&offer, OptionCode::DomainNameServer), Some(expected));
        let expected = DhcpOption::NtpServers(vec!["10.0.1.123".parse().unwrap()]);
        assert_eq!(option(&offer, OptionCode::NtpServers), Some(expected));
        assert_eq!(option(&offer, OptionCode::DomainName), None);
    }

    #[test]
    fn malformed_messages_are_no_requests() {
        let mut message = vec![0; FIXED_BYTES];
        message[..3].copy_from_slice(&[1, 1, 6]);
        message.extend(MAGIC);
        let with = |options: &[u8]| [&message[..], options].concat();
        assert!(Request::parse(&with(&[53, 1, 1, 255])).is_some());
        for options in [&[53, 0, 255][..], &[53][..], &[53, 9, 1][..], &[50, 2, 1, 1, 53, 1, 1][..], &[255][..]] {
            assert_eq!(Request::parse(&with(options)), None, "{options:?}");
        }
        let mut long_address = with(&[53, 1, 1, 255]);
        long_address[2] = 200;
        assert_eq!(Request::parse(&long_address), None);
        assert_eq!(Request::parse(&message[..100]), None);
    }
}
