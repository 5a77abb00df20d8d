//! Random gateways, public addresses and routes to them, for [`crate::random`].

use crate::Rng;

/// What a VPC has of ways in and out. Names are `v0x` for the egress-only gateway, `v0m1` for NAT gateways, `v0p1` for the
/// Elastic IP address of ENI 1, `v0l` for the prefix list, `v0edge` for the internet gateway's own table.
#[derive(Debug, Clone)]
pub(crate) struct Ways {
    vpc: usize,
    subnets: usize,
    enis: usize,
    nats: usize,
}

const OUTSIDE: [&str; 4] = ["203.0.113.9", "203.0.113.9", "203.0.113.77", "192.168.7.7"];
const OUTSIDE_IPV6: [&str; 3] = ["2001:db8:ffff::1", "2001:db8:ffff::1", "fd00::9"];
const PORTS: [u16; 5] = [80, 443, 4000, 40000, 53];
/// Few, so that connections of one NAT gateway go to one destination.
const SERVER_PORTS: [u16; 3] = [80, 80, 53];

impl Ways {
    pub(crate) fn new(rng: &mut Rng, vpc: usize, subnets: usize, enis: usize) -> Self {
        Self { vpc, subnets, enis, nats: rng.below(3) }
    }

    pub(crate) fn statements(&self, rng: &mut Rng) -> Vec<String> {
        let mut statements = vec![self.prefix_list(rng)];
        statements.extend(rng.chance(50).then(|| self.egress_only()));
        statements.extend((0..self.nats).map(|index| self.nat(rng, index)));
        for index in 0..self.enis {
            if rng.chance(50) {
                statements.push(self.elastic(rng, index));
            }
        }
        statements.extend(rng.chance(25).then(|| self.edge(rng)));
        statements
    }

    pub(crate) fn change(&self, rng: &mut Rng) -> String {
        let Self { vpc, enis, nats, .. } = self;
        match rng.below(10) {
            0 => self.prefix_list(rng),
            1 => self.egress_only(),
            2 => format!("delete eigw v{vpc}x"),
            3 | 4 if *nats > 0 => {
                let index = rng.below(*nats);
                self.nat(rng, index)
            }
            5 => self.edge(rng),
            6 => format!("delete rtb v{vpc}edge"),
            7 => format!("delete eip v{vpc}p{}", rng.below(*enis)),
            _ => {
                let index = rng.below(*enis);
                self.elastic(rng, index)
            }
        }
    }

    /// A packet to or from the outside.
    pub(crate) fn packet(&self, rng: &mut Rng) -> String {
        let Self { vpc, subnets, enis, .. } = self;
        let (eni, is_ipv6) = (rng.below(*enis), rng.chance(30));
        let outside = if is_ipv6 { *rng.pick(&OUTSIDE_IPV6) } else { *rng.pick(&OUTSIDE) };
        let held = if is_ipv6 {
            format!("2001:db8:{vpc}:{}::{:x}", rng.below(*subnets), 0x10 + eni)
        } else {
            self.public_address(rng)
        };
        let (from, to) = match rng.below(4) {
            0 => (format!("uplink[{outside}]"), held),
            1 if !is_ipv6 => (format!("v{vpc}e{eni}"), held),
            _ if is_ipv6 && rng.chance(30) => (format!("v{vpc}e{eni}/6"), format!("64:ff9b::{}", rng.pick(&OUTSIDE))),
            _ if is_ipv6 => (format!("v{vpc}e{eni}/6"), outside.to_owned()),
            _ => (format!("v{vpc}e{eni}"), outside.to_owned()),
        };
        let (src, dst) = (rng.pick(&PORTS), rng.pick(&SERVER_PORTS));
        let size = if rng.chance(15) { format!(" len {}", rng.below(9000)) } else { String::new() };
        let kind = match rng.below(9) {
            0..4 => format!("tcp {src}:{dst}{}", rng.pick(&[" syn", " syn", " ack", " syn+ack", " rst"])),
            4 | 5 => format!("udp {src}:{dst}"),
            6 => format!("icmp echo id {}", rng.below(3000)),
            7 if is_ipv6 => format!("icmp 1/4 about udp {src}:{dst}"),
            7 => format!("icmp 3/3 about udp {src}:{dst}"),
            _ => "proto 50".to_owned(),
        };
        format!("{from} > {to} {kind}{size}")
    }

    /// One that somebody of this VPC may have, or nobody.
    fn public_address(&self, rng: &mut Rng) -> String {
        let Self { vpc, enis, .. } = self;
        let last = match rng.below(4) {
            0 => 200 + 10 * vpc + rng.below(4),
            1 => 130 + 20 * vpc + rng.below(*enis),
            _ => 10 + 20 * vpc + rng.below(*enis),
        };
        format!("198.51.100.{last}")
    }

    /// The automatic public address of an ENI, where it has one.
    pub(crate) fn public(&self, rng: &mut Rng, index: usize) -> String {
        if rng.chance(25) { format!(" public 198.51.100.{}", 130 + 20 * self.vpc + index) } else { String::new() }
    }

    pub(crate) fn routes(&self, rng: &mut Rng) -> String {
        let Self { vpc, subnets, enis, nats } = self;
        let mut routes = String::new();
        let target = |rng: &mut Rng| match rng.below(5) {
            0 | 1 if *nats > 0 => format!("nat v{vpc}m{}", rng.below(*nats)),
            2 => format!("eni v{vpc}e{}", rng.below(*enis)),
            _ => format!("v{vpc}i"),
        };
        for (destination, chance) in [("203.0.113.0/24", 70), ("203.0.113.64/26", 10)] {
            if rng.chance(chance) {
                routes += &format!(" route {destination} via {}", target(rng));
            }
        }
        if rng.chance(20) {
            routes += &format!(" route v{vpc}l via {}", target(rng));
        }
        if rng.chance(10) {
            routes += &format!(" route 10.0.{}.0/24 via eni v{vpc}e{}", rng.below(*subnets), rng.below(*enis));
        }
        if rng.chance(40) {
            routes += &format!(" route 2001:db8:ffff::/48 via eigw v{vpc}x");
        }
        if *nats > 0 && rng.chance(40) {
            routes += &format!(" route 64:ff9b::/96 via nat v{vpc}m0");
        }
        routes
    }

    fn prefix_list(&self, rng: &mut Rng) -> String {
        format!(
            "pl v{}l {}",
            self.vpc,
            rng.pick(&["203.0.113.0/25", "203.0.113.8/29,198.51.100.0/24", "192.168.0.0/16"])
        )
    }

    fn egress_only(&self) -> String {
        format!("eigw v{0}x v{0}", self.vpc)
    }

    /// Its addresses are reserved ones that no ENI has; the first one is always the same.
    fn nat(&self, rng: &mut Rng, index: usize) -> String {
        let Self { vpc, subnets, .. } = self;
        let subnet = index % subnets;
        let last = 200 + 10 * vpc + 2 * index;
        let second = if rng.chance(40) { format!(",10.0.{subnet}.{}", 7 + index) } else { String::new() };
        let addresses = format!("10.0.{subnet}.{}{second}", 4 + index);
        let publics = match rng.below(4) {
            0 => String::new(),
            1 => format!(" eip 198.51.100.{last}"),
            _ => format!(" eip 198.51.100.{last},198.51.100.{}", last + 1),
        };
        let state = if rng.chance(10) { " deleting" } else { "" };
        let drains = if rng.chance(20) { second.replace(',', " drains ") } else { String::new() };
        let ports = if rng.chance(60) { " ports 1" } else { "" };
        format!("nat v{vpc}m{index} v{vpc}s{subnet} {addresses}{publics}{state}{drains}{ports}")
    }

    fn elastic(&self, rng: &mut Rng, index: usize) -> String {
        let Self { vpc, subnets, .. } = self;
        let private = format!("10.0.{}.{}", rng.below(*subnets), 10 + index);
        format!("eip v{vpc}p{index} 198.51.100.{} v{vpc}e{index} {private}", 10 + 20 * vpc + index)
    }

    fn edge(&self, rng: &mut Rng) -> String {
        let Self { vpc, subnets, enis, .. } = self;
        let (subnet, eni) = (rng.below(*subnets), rng.below(*enis));
        format!("rtb v{vpc}edge v{vpc} edge v{vpc}i route 10.0.{subnet}.0/24 via eni v{vpc}e{eni}")
    }
}

/// The same packet from another source port, if it has ports.
pub(crate) fn from_another_port(text: &str) -> Option<String> {
    let protocol = [" tcp ", " udp "].into_iter().find(|protocol| text.contains(*protocol))?;
    let (ends, rest) = text.split_once(protocol)?;
    let (_, rest) = rest.split_once(':').filter(|_| !ends.contains(" about"))?;
    Some(format!("{ends}{protocol}5001:{rest}"))
}
