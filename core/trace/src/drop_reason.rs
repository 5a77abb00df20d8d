//! The closed list of reasons for which a packet dies. C, metrics and docs are generated from it.
//!
//! Codes are for ever: a retired reason keeps its number, and a new one takes the next.

use serde::Serialize;

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $text:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        #[repr(u16)]
        pub enum DropReason { $($(#[doc = $doc])+ $name = $code,)* }

        impl DropReason {
            pub const ALL: &'static [DropReason] = &[$(DropReason::$name),*];

            /// The name in metrics, in JSON and in the C header.
            pub fn name(self) -> &'static str {
                match self { $(DropReason::$name => $text,)* }
            }

            /// What happened, in one sentence.
            pub fn description(self) -> &'static str {
                match self { $(DropReason::$name => concat!($($doc),+).trim_ascii(),)* }
            }

            pub fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(DropReason::$name),)* _ => None }
            }
        }
    };
}

impl DropReason {
    pub fn code(self) -> u16 {
        self as u16
    }
}

drop_reasons! {
    /// The frame is not a well-formed Ethernet, ARP, IPv4 or IPv6 packet.
    Malformed = 1, "malformed";
    /// The EtherType is neither ARP, IPv4 nor IPv6.
    UnsupportedEtherType = 2, "unsupported-ether-type";
    /// Broadcast and multicast are not delivered in a VPC.
    Multicast = 3, "multicast";
    /// A later fragment came without its first one.
    FragmentWithoutFirst = 4, "fragment-without-first";
    /// The source address or MAC address is not the ENI's own and its source/destination check is on.
    SourceCheck = 5, "source-check";
    /// The destination address is not the ENI's own and its source/destination check is on.
    DestinationCheck = 6, "destination-check";
    /// No egress rule of the sender's security groups allows it.
    SecurityGroupEgress = 7, "security-group-egress";
    /// No ingress rule of the receiver's security groups allows it.
    SecurityGroupIngress = 8, "security-group-ingress";
    /// The network ACL of the sender's subnet denies it.
    NetworkAclEgress = 9, "network-acl-egress";
    /// The network ACL of the receiver's subnet denies it.
    NetworkAclIngress = 10, "network-acl-ingress";
    /// The route table has no route to the destination.
    NoRoute = 11, "no-route";
    /// The route's target is gone.
    Blackhole = 12, "blackhole";
    /// The address belongs to the VPC but no ENI holds it.
    NoSuchAddress = 13, "no-such-address";
    /// The ENI that holds the address is not attached to a running instance.
    EniNotAttached = 14, "eni-not-attached";
    /// The internet gateway knows no public address for the source.
    NoPublicAddress = 15, "no-public-address";
    /// The address is reserved for the VPC itself and does not answer this.
    ReservedAddress = 16, "reserved-address";
    /// The link-local service at this address is not offered.
    ServiceUnavailable = 17, "service-unavailable";
    /// The ENI sent more new flows per second than its budget allows.
    UpcallBudget = 18, "upcall-budget";
    /// The ENI is not known to this host.
    UnknownEni = 19, "unknown-eni";
    /// The ENI tracks as many connections as its instance type allows.
    ConnectionBudget = 20, "connection-budget";
    /// The packet is larger than the MTU of the receiver or of a gateway on the way.
    TooLarge = 21, "too-large";
    /// An ARP or neighbour discovery message that asks nothing of the VPC: an announcement, an answer, a probe.
    NeighborAnnouncement = 22, "neighbor-announcement";
    /// The host had no memory to treat the packet.
    NoMemory = 23, "no-memory";
    /// No network interface stands behind the public address.
    NoSuchPublicAddress = 24, "no-such-public-address";
    /// No internet gateway is attached to the VPC of the public address.
    NoInternetGateway = 25, "no-internet-gateway";
    /// A gateway to the internet lets nothing out to an address that the internet has no way to.
    PrivateDestination = 26, "private-destination";
    /// What comes from outside claims a private source address, or one of the region's own.
    SpoofedSource = 27, "spoofed-source";
    /// An egress-only internet gateway lets in only what answers a connection from inside.
    EgressOnly = 28, "egress-only";
    /// A NAT gateway translates TCP, UDP and ICMP over IPv4, and IPv6 to 64:ff9b::/96, and nothing else.
    NatProtocol = 29, "nat-protocol";
    /// A NAT gateway translates no fragments but those of UDP.
    NatFragment = 30, "nat-fragment";
    /// The packet belongs to no connection that was opened through the NAT gateway.
    NatNoConnection = 31, "nat-no-connection";
    /// The TCP connection is not known to the NAT gateway: it was idle for more than 350 seconds, or never opened.
    NatIdleTimeout = 32, "nat-idle-timeout";
    /// All ports of the NAT gateway towards this destination are taken (metric ErrorPortAllocation).
    NatPortExhausted = 33, "nat-port-exhausted";
    /// The routes lead the packet in a circle.
    RoutingLoop = 34, "routing-loop";
    /// The sender's instance has used up the bandwidth that its type allows it to send (ENA's bw_out_allowance_exceeded).
    BandwidthOutAllowance = 35, "bandwidth-out-allowance";
    /// The receiver's instance has used up the bandwidth that its type allows it to receive (ENA's bw_in_allowance_exceeded).
    BandwidthInAllowance = 36, "bandwidth-in-allowance";
    /// So many first packets of the ENI waited for a decision that this one found no room.
    UpcallQueue = 37, "upcall-queue";
}
