//! Random worlds, packets and changes, as text: what fails can be printed, shortened and kept as a case.
//!
//! ```
//! let world = gp_worlds::random::RandomWorld::new(7);
//! let mut scenario = world.scenario();
//! let mut rng = gp_worlds::Rng::new(7);
//! for packet in world.packets(&mut rng, 20) {
//!     scenario.send(&packet).unwrap();
//! }
//! scenario.apply(&world.change(&mut rng)).unwrap();
//! ```
//! Everything leans towards what is worth a test: VPCs with the same blocks, few ports, references between groups,
//! lists that deny something, ENIs that are not there, foreign addresses.

use crate::random_ways::Ways;
use crate::{Rng, Scenario};

/// A world that a seed stands for.
#[derive(Debug, Clone)]
pub struct RandomWorld {
    /// Its statements, one per line.
    pub text: String,
    vpcs: Vec<Shape>,
}

/// How many of what a VPC has. Names are `v0` for VPCs and `v0s1`, `v0g1`, `v0n1`, `v0t1`, `v0i`, `v0e1` for its
/// subnets, groups, network ACLs, route tables, internet gateway and ENIs.
#[derive(Debug, Clone)]
struct Shape {
    vpc: usize,
    subnets: usize,
    groups: usize,
    acls: usize,
    tables: usize,
    enis: usize,
    has_ipv6: bool,
    ways: Option<Ways>,
}

const PORTS: [u16; 8] = [0, 22, 53, 80, 443, 8080, 40000, 65535];
const PORT_RANGES: [&str; 8] = ["*", "*", "22", "80", "443", "80-443", "1024-65535", "53"];
const BLOCKS: [&str; 7] =
    ["0.0.0.0/0", "0.0.0.0/0", "::/0", "10.0.0.0/16", "10.0.1.0/24", "10.0.0.10/32", "2001:db8:0:1::/64"];
const SPECIAL_IPV4: [&str; 12] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.1.255",
    "10.0.250.7",
    "169.254.169.254",
    "169.254.1.1",
    "224.0.0.251",
    "255.255.255.255",
    "198.51.100.7",
    "198.51.100.7",
    "203.0.113.9",
    "203.0.113.9",
];
const SPECIAL_IPV6: [&str; 6] =
    ["fd00:ec2::254", "fe80:ec2::1", "fe80::1", "ff02::1", "2001:db8:0:ff::9", "2001:db8:ffff::1"];

impl RandomWorld {
    /// Without gateways but the internet gateway, and without public addresses: nothing is ever translated.
    pub fn new(seed: u64) -> Self {
        Self::make(seed, false)
    }

    /// With ways in and out of all kinds.
    pub fn with_ways(seed: u64) -> Self {
        Self::make(seed, true)
    }

    fn make(seed: u64, has_ways: bool) -> Self {
        let mut rng = Rng::new(seed);
        let count = rng.between(1, 4);
        let mut vpcs: Vec<Shape> = (0..count).map(|vpc| Shape::new(&mut rng, vpc)).collect();
        if has_ways {
            for shape in &mut vpcs {
                shape.ways = Some(Ways::new(&mut rng, shape.vpc, shape.subnets, shape.enis));
            }
        }
        let mut text = String::new();
        for shape in &vpcs {
            for statement in shape.statements(&mut rng) {
                text.push_str(&statement);
                text.push('\n');
            }
        }
        Self { text, vpcs }
    }

    /// The world itself, with no connection open.
    ///
    /// # Panics
    /// If this module writes what the parser does not read.
    pub fn scenario(&self) -> Scenario {
        self.text.parse().unwrap_or_else(|error| panic!("a random world must parse: {error}"))
    }

    /// A statement that changes something of this world.
    pub fn change(&self, rng: &mut Rng) -> String {
        rng.pick(&self.vpcs).change(rng)
    }

    /// Packets, of which many answer to or repeat one before.
    pub fn packets(&self, rng: &mut Rng, count: usize) -> Vec<String> {
        let mut talks: Vec<Talk> = Vec::new();
        let mut texts = Vec::new();
        for _ in 0..count {
            let talk = match talks.len() {
                0 => Talk::new(rng, &self.vpcs),
                known => match rng.below(10) {
                    0..4 => talks[rng.below(known)].reversed(),
                    4 => talks[rng.below(known)].clone(),
                    _ => Talk::new(rng, &self.vpcs),
                },
            };
            let outside = self.vpcs.iter().filter_map(|shape| shape.ways.as_ref()).nth(rng.below(self.vpcs.len()));
            match outside.filter(|_| rng.chance(35)) {
                Some(ways) => {
                    let text = ways.packet(rng);
                    // Several to one server, as clients behind a gateway are.
                    let again = crate::random_ways::from_another_port(&text).filter(|_| rng.chance(30));
                    texts.push(text);
                    texts.extend(again);
                }
                None => texts.push(talk.text(rng)),
            }
            talks.push(talk);
        }
        texts
    }
}

impl Shape {
    fn new(rng: &mut Rng, vpc: usize) -> Self {
        Self {
            vpc,
            subnets: rng.between(1, 4),
            groups: rng.between(1, 4),
            acls: rng.below(3),
            tables: rng.below(3),
            enis: rng.between(2, 7),
            has_ipv6: rng.chance(60),
            ways: None,
        }
    }

    fn statements(&self, rng: &mut Rng) -> Vec<String> {
        let Self { vpc, .. } = self;
        let six = self.six();
        let ipv6 = if self.has_ipv6 { format!(",2001:db8:{six}::/48") } else { String::new() };
        let mut statements = vec![format!("vpc v{vpc} 10.0.0.0/16{ipv6}")];
        statements.push(self.gateway(rng));
        statements.extend((0..self.acls).map(|index| self.acl(rng, index)));
        statements.extend((0..self.subnets).map(|index| self.subnet(rng, index)));
        statements.push(self.main_table(rng));
        statements.extend((0..self.tables).map(|index| self.table(rng, index)));
        statements.extend((0..self.groups).map(|index| self.group(rng, index)));
        statements.extend((0..self.enis).map(|index| self.eni(rng, index)));
        statements.extend(self.ways.iter().flat_map(|ways| ways.statements(rng)));
        statements
    }

    /// Blocks that are routed from outside can't be the same in two VPCs.
    fn six(&self) -> usize {
        if self.ways.is_some() { self.vpc } else { 0 }
    }

    fn change(&self, rng: &mut Rng) -> String {
        if let Some(ways) = self.ways.as_ref().filter(|_| rng.chance(40)) {
            return ways.change(rng);
        }
        match rng.below(20) {
            0..7 => {
                let index = rng.below(self.enis);
                self.eni(rng, index)
            }
            7..12 => {
                let index = rng.below(self.groups);
                self.group(rng, index)
            }
            12..14 if self.acls > 0 => {
                let index = rng.below(self.acls);
                self.acl(rng, index)
            }
            14 | 15 => {
                // One more than there are: sometimes a subnet is new.
                let index = rng.below(self.subnets + 1);
                self.subnet(rng, index)
            }
            16 if self.tables > 0 => {
                let index = rng.below(self.tables);
                self.table(rng, index)
            }
            17 => self.main_table(rng),
            18 => self.gateway(rng),
            _ => format!("delete eni v{}e{}", self.vpc, rng.below(self.enis)),
        }
    }

    fn gateway(&self, rng: &mut Rng) -> String {
        let Self { vpc, .. } = self;
        if rng.chance(70) { format!("igw v{vpc}i v{vpc}") } else { format!("igw v{vpc}i") }
    }

    fn subnet(&self, rng: &mut Rng, index: usize) -> String {
        let Self { vpc, .. } = self;
        let six = self.six();
        let ipv6 = if self.has_ipv6 { format!(",2001:db8:{six}:{index}::/64") } else { String::new() };
        let acl = match self.acls {
            0 => String::new(),
            acls if rng.chance(60) => format!(" acl v{vpc}n{}", rng.below(acls)),
            _ => String::new(),
        };
        format!("subnet v{vpc}s{index} v{vpc} 10.0.{index}.0/24{ipv6}{acl}")
    }

    fn routes(&self, rng: &mut Rng) -> String {
        let mut routes = String::new();
        for destination in ["0.0.0.0/0", "::/0", "198.51.100.0/24"] {
            if rng.chance(40) {
                routes += &format!(" route {destination} via v{}i", self.vpc);
            }
        }
        if let Some(ways) = &self.ways {
            routes += &ways.routes(rng);
        }
        routes
    }

    fn main_table(&self, rng: &mut Rng) -> String {
        let Self { vpc, .. } = self;
        format!("rtb v{vpc}.main v{vpc}{}", self.routes(rng))
    }

    /// Table 0 may have subnet 0, and so on: no subnet has two tables.
    fn table(&self, rng: &mut Rng, index: usize) -> String {
        let Self { vpc, subnets, .. } = self;
        let subnets = if index < *subnets && rng.chance(70) { format!(" for v{vpc}s{index}") } else { String::new() };
        format!("rtb v{vpc}t{index} v{vpc}{subnets}{}", self.routes(rng))
    }

    fn acl(&self, rng: &mut Rng, index: usize) -> String {
        let mut text = format!("acl v{0}n{index} v{0}", self.vpc);
        for direction in ["in", "out"] {
            for number in 1..rng.between(1, 4) {
                let action = if rng.chance(60) { "deny" } else { "allow" };
                text += &format!(" {direction} {} {action} {} {}", number * 10, traffic(rng), block(rng));
            }
            if rng.chance(85) {
                text += &format!(" {direction} 100 allow all 0.0.0.0/0 {direction} 101 allow all ::/0");
            }
        }
        text
    }

    fn group(&self, rng: &mut Rng, index: usize) -> String {
        let mut text = format!("sg v{0}g{index} v{0}", self.vpc);
        for _ in 0..rng.between(1, 6) {
            text += &format!(" in {} from {}", traffic(rng), self.peer(rng));
        }
        match rng.below(10) {
            0 => text += " out none",
            1 | 2 => {
                for _ in 0..rng.between(1, 4) {
                    text += &format!(" out {} to {}", traffic(rng), self.peer(rng));
                }
            }
            // As a new group has it: everything may leave.
            _ => {}
        }
        text
    }

    fn peer(&self, rng: &mut Rng) -> String {
        if rng.chance(35) { format!("v{}g{}", self.vpc, rng.below(self.groups)) } else { block(rng).to_owned() }
    }

    /// Its addresses follow from its number, so no two ENIs of a VPC ever hold the same one.
    fn eni(&self, rng: &mut Rng, index: usize) -> String {
        let Self { vpc, .. } = self;
        let subnet = rng.below(self.subnets);
        let mut addresses = vec![format!("10.0.{subnet}.{}", 10 + index)];
        if rng.chance(30) {
            addresses.push(format!("10.0.{subnet}.{}", 100 + index));
        }
        if rng.chance(25) {
            addresses.push(format!("10.0.{subnet}.{}/28", 128 + 16 * index));
        }
        if self.has_ipv6 && rng.chance(85) {
            let six = self.six();
            addresses.push(format!("2001:db8:{six}:{subnet}::{:x}", 0x10 + index));
            if rng.chance(25) {
                addresses.push(format!("2001:db8:{six}:{subnet}:{:x}::/80", 0xa0 + index));
            }
        }
        let mut groups = vec![format!("v{vpc}g{}", rng.below(self.groups))];
        let other = format!("v{vpc}g{}", rng.below(self.groups));
        if rng.chance(40) && !groups.contains(&other) {
            groups.push(other);
        }
        let public = self.ways.as_ref().map(|ways| ways.public(rng, index)).unwrap_or_default();
        let unchecked = if rng.chance(15) { " unchecked" } else { "" };
        let state = match rng.below(30) {
            0 => " unattached",
            1 => " stopped",
            2 => " pending",
            _ => "",
        };
        format!(
            "eni v{vpc}e{index} v{vpc}s{subnet} {} sg {}{public}{unchecked}{state}",
            addresses.join(","),
            groups.join(",")
        )
    }
}

fn traffic(rng: &mut Rng) -> String {
    match rng.below(10) {
        0..4 => format!("tcp {}", rng.pick(&PORT_RANGES)),
        4..6 => format!("udp {}", rng.pick(&PORT_RANGES)),
        6 => format!("icmp {}", rng.pick(&["*", "8", "8/0", "3"])),
        7 => format!("icmp6 {}", rng.pick(&["*", "128", "128/0", "1"])),
        8 => format!("proto {}", rng.pick(&[50, 47, 132])),
        _ => "all".to_owned(),
    }
}

fn block(rng: &mut Rng) -> &'static str {
    BLOCKS[rng.below(BLOCKS.len())]
}

/// One packet's text, in parts, so that it can be answered.
#[derive(Debug, Clone)]
struct Talk {
    from: String,
    to: String,
    /// Protocol with its own numbers; for TCP and UDP the ports follow.
    protocol: &'static str,
    ports: Option<(u16, u16)>,
    id: usize,
}

impl Talk {
    fn new(rng: &mut Rng, vpcs: &[Shape]) -> Self {
        let shape = rng.pick(vpcs);
        let (from, to) = (rng.below(shape.enis), rng.below(shape.enis));
        let family = if shape.has_ipv6 { *rng.pick(&["", "", "", "/6", "/6", "/ll"]) } else { "" };
        let vpc = shape.vpc;
        let mut talk = Self {
            from: format!("v{vpc}e{from}{family}"),
            to: format!("v{vpc}e{to}{family}"),
            protocol: *rng.pick(&["tcp", "tcp", "tcp", "udp", "udp", "icmp echo", "icmp 3/3", "icmp 128", "proto 50"]),
            ports: None,
            id: rng.below(3),
        };
        if matches!(talk.protocol, "tcp" | "udp") {
            talk.ports = Some((*rng.pick(&PORTS), *rng.pick(&PORTS)));
        }
        talk.make_special(rng, family, vpc, shape.subnets);
        talk
    }

    /// Sometimes an end that is nobody's, or not the sender's own.
    fn make_special(&mut self, rng: &mut Rng, family: &str, vpc: usize, subnets: usize) {
        let is_ipv4 = family.is_empty();
        match rng.below(20) {
            0 | 1 if is_ipv4 => self.to = (*rng.pick(&SPECIAL_IPV4)).to_owned(),
            0 | 1 => self.to = (*rng.pick(&SPECIAL_IPV6)).to_owned(),
            2 if is_ipv4 => self.to = format!("10.0.{}.{}", rng.below(subnets + 1), rng.between(0, 256)),
            8 if is_ipv4 => self.to = format!("10.0.{}.{}", rng.below(subnets + 1), rng.between(0, 4)),
            3 if is_ipv4 => {
                let foreign = format!("10.0.{}.{}", rng.below(4), rng.between(1, 200));
                self.from = format!("{}[{foreign}]", self.from);
            }
            // The same ENI's secondary address or its prefix.
            4 if is_ipv4 => self.to = format!("10.0.{}.{}", rng.below(subnets), 100 + rng.below(7)),
            5 if is_ipv4 => self.to = format!("10.0.{}.{}", rng.below(subnets), 128 + rng.below(112)),
            6 if !is_ipv4 => self.to = format!("2001:db8:0:{}:{:x}::7", rng.below(subnets), 0xa0 + rng.below(7)),
            7 if is_ipv4 => self.to = format!("v{vpc}e{}", rng.below(2)),
            _ => {}
        }
    }

    /// The answer, if the other end is an ENI that can send one.
    fn reversed(&self) -> Self {
        if !self.to.starts_with('v') || self.from.contains('[') {
            return self.clone();
        }
        Self {
            from: self.to.clone(),
            to: self.from.clone(),
            protocol: if self.protocol == "icmp echo" { "icmp reply" } else { self.protocol },
            ports: self.ports.map(|(src, dst)| (dst, src)),
            id: self.id,
        }
    }

    fn text(&self, rng: &mut Rng) -> String {
        let Self { from, to, protocol, ports, id } = self;
        if rng.chance(4) && !from.contains('/') {
            let target = if to.starts_with('v') || to.contains(':') { "10.0.0.10" } else { to };
            return format!("{from} arp {target}");
        }
        let mut text = format!("{from} > {to} {protocol}");
        if let Some((src, dst)) = ports {
            text += &format!(" {src}:{dst}");
        }
        match *protocol {
            "tcp" => text += *rng.pick(&[" syn", " syn", " ack", " syn+ack", " rst", ""]),
            "icmp echo" | "icmp reply" => text += &format!(" id {id}"),
            "icmp 3/3" if !from.contains('/') && !to.contains(':') && rng.chance(70) => {
                text += &format!(" about udp {}:{}", rng.pick(&PORTS), rng.pick(&PORTS));
            }
            _ => {}
        }
        match rng.below(30) {
            0 => text += " frag 0+",
            1 => text += " frag 1480",
            2 => text += " mac 02:00:00:00:00:01",
            3 | 4 => text += &format!(" len {}", rng.below(1400)),
            _ => {}
        }
        text
    }
}
