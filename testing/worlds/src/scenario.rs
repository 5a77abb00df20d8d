//! A world made of statements, with the connections of the packets that were sent through it.

use crate::connections::ConnectionTable;
use crate::packet::{self, Sent};
use crate::statement;
use crate::tokens::{TextError, Tokens};
use gp_model::*;
use gp_trace::{Effect, Ingress, Path, Reply, Resource, Tracker, Verdict, trace};
use gp_wire::{FiveTuple, Fragment, IpPacket, Packet, Transport};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

#[derive(Debug, Clone)]
pub struct Scenario {
    pub world: World,
    pub connections: ConnectionTable,
    /// Of packets whose first fragment has been sent: what later ones don't tell.
    firsts: BTreeMap<FragmentId, FirstFragment>,
}

/// Where fragments come in, the ends and the protocol of their packet, and its number.
type FragmentId = (Ingress, IpAddr, IpAddr, u8, u32);

#[derive(Debug, Clone, Copy)]
struct FirstFragment {
    src_port: u16,
    dst_port: u16,
    transport: Transport,
}

/// One record before and after a statement; `None` stands for its absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordChange {
    pub old: Option<Record>,
    pub new: Option<Record>,
}

impl FromStr for Scenario {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        let world = World::new(Region::new("eu-central-1"));
        let mut scenario = Self { world, connections: ConnectionTable::default(), firsts: BTreeMap::new() };
        scenario.apply(text)?;
        Ok(scenario)
    }
}

impl Scenario {
    /// Applies statements, divided by `;` or by lines. `#` starts a comment.
    ///
    /// # Errors
    /// What can't be understood; statements before it are applied.
    pub fn apply(&mut self, text: &str) -> Result<Vec<RecordChange>, TextError> {
        let mut changes = Vec::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            for statement in line.split(';').filter(|s| !s.trim().is_empty()) {
                for change in statement::changes(&self.world, &mut Tokens::new(statement))? {
                    changes.push(self.change(change));
                }
            }
        }
        Ok(changes)
    }

    fn change(&mut self, change: Change) -> RecordChange {
        let old = record(&self.world, &change.key());
        let new = match &change {
            Change::Put(record) => Some(record.clone()),
            Change::Delete(_) => None,
        };
        self.world.apply(change);
        RecordChange { old, new }
    }

    /// The packet of a text like `c > w tcp 4000:80 syn`; see [`Sent`].
    ///
    /// # Errors
    /// What can't be understood.
    pub fn packet(&self, text: &str) -> Result<Sent, TextError> {
        packet::from_text(&self.world, text)
    }

    /// Traces the packet of a text without changing any connection. A fragment behind the first has the ports of a first
    /// one that was sent.
    ///
    /// # Errors
    /// What can't be understood or decided.
    pub fn trace(&self, text: &str) -> Result<Path, TextError> {
        let Sent { ingress, mut packet } = self.packet(text)?;
        if let Packet::Ip(packet) = &mut packet
            && let Some(fragment) = packet.fragment.filter(|fragment| fragment.offset > 0)
            && let Some(first) = self.firsts.get(&fragment_id(ingress, packet, fragment))
        {
            (packet.tuple.src_port, packet.tuple.dst_port) = (first.src_port, first.dst_port);
            packet.transport = first.transport;
            packet.fragment = Some(Fragment { offset: 0, ..fragment });
        }
        trace(&self.world, &self.connections, ingress, &packet, Timestamp(0)).map_err(|e| TextError(e.to_string()))
    }

    /// Traces the packet of a text and opens the connections that its path asks for.
    ///
    /// # Errors
    /// What can't be understood or decided.
    pub fn send(&mut self, text: &str) -> Result<Path, TextError> {
        let path = self.trace(text)?;
        self.connections.apply(&path);
        if let Sent { ingress, packet: Packet::Ip(packet) } = self.packet(text)?
            && let Some(fragment) = packet.fragment.filter(|fragment| fragment.offset == 0)
        {
            let FiveTuple { src_port, dst_port, .. } = packet.tuple;
            let first = FirstFragment { src_port, dst_port, transport: packet.transport };
            self.firsts.insert(fragment_id(ingress, &packet, fragment), first);
        }
        Ok(path)
    }

    /// Forgets all that packets have left behind.
    pub fn forget(&mut self) {
        (self.connections, self.firsts) = Default::default();
    }

    /// A path in one line of names: `deliver w opens c,w`, `security-group-ingress sg:web`, `arp`. Where the packet has
    /// been translated, its tuple stands behind `as`, and that of what an ICMP error quotes behind `about`.
    pub fn full_summary(&self, path: &Path) -> String {
        let mut text = self.summary(path);
        if path.translated() != path.tuple() {
            text += &format!(" as {}", path.translated());
        }
        if let Some(related) = path.related() {
            text += &format!(" about {related}");
        }
        if let Verdict::Drop(gp_trace::Drop { reply: Some(reply), .. }) = path.verdict() {
            text += &match reply {
                Reply::TcpReset => " reply reset".to_owned(),
                Reply::PacketTooBig { mtu } => format!(" reply too-big {mtu}"),
                Reply::TimeExceeded => " reply time-exceeded".to_owned(),
            };
        }
        text
    }

    /// The same without translations and replies.
    pub fn summary(&self, path: &Path) -> String {
        let verdict = match path.verdict() {
            Verdict::Deliver { eni, .. } => format!("deliver {}", self.eni_name(*eni)),
            Verdict::Uplink => "uplink".to_owned(),
            Verdict::LocalService(service) => service.name().to_owned(),
            Verdict::Drop(drop) => match drop.resource {
                Some(resource) => format!("{} {}", drop.reason.name(), self.resource_name(resource)),
                None => drop.reason.name().to_owned(),
            },
        };
        let openers = path.effects().iter().map(|Effect::OpenConnection { tracker, .. }| self.tracker_name(*tracker));
        match openers.collect::<Vec<_>>().join(",") {
            openers if openers.is_empty() => verdict,
            openers => format!("{verdict} opens {openers}"),
        }
    }

    fn eni_name(&self, id: EniId) -> &str {
        name(self.world.eni(id).map(|eni| &eni.tags))
    }

    fn tracker_name(&self, tracker: Tracker) -> &str {
        match tracker {
            Tracker::Eni(id) => self.eni_name(id),
            Tracker::NatGateway(id) => name(self.world.nat_gateway(id).map(|gateway| &gateway.tags)),
            Tracker::EgressOnlyInternetGateway(id) => {
                name(self.world.egress_only_internet_gateway(id).map(|gateway| &gateway.tags))
            }
        }
    }

    fn resource_name(&self, resource: Resource) -> String {
        let world = &self.world;
        match resource {
            Resource::Eni { id } => format!("eni:{}", self.eni_name(id)),
            Resource::Subnet { id } => format!("subnet:{}", name(world.subnet(id).map(|v| &v.tags))),
            Resource::Vpc { id } => format!("vpc:{}", name(world.vpc(id).map(|v| &v.tags))),
            Resource::SecurityGroup { id } | Resource::SecurityGroupRule { group: id, .. } => {
                format!("sg:{}", name(world.security_group(id).map(|v| &v.tags)))
            }
            Resource::NetworkAcl { id, rule_number } => {
                format!("acl:{}#{rule_number}", name(world.network_acl(id).map(|v| &v.tags)))
            }
            Resource::RouteTable { id } => format!("rtb:{}", name(world.route_table(id).map(|v| &v.tags))),
            Resource::InternetGateway { id } => format!("igw:{}", name(world.internet_gateway(id).map(|v| &v.tags))),
            Resource::EgressOnlyInternetGateway { id } => {
                format!("eigw:{}", name(world.egress_only_internet_gateway(id).map(|v| &v.tags)))
            }
            Resource::NatGateway { id } => format!("nat:{}", name(world.nat_gateway(id).map(|v| &v.tags))),
        }
    }

    pub fn eni(&self, name: &str) -> EniId {
        EniId::from_bits(statement::bits("eni", name))
    }
    pub fn vpc(&self, name: &str) -> VpcId {
        VpcId::from_bits(statement::bits("vpc", name))
    }
    pub fn subnet(&self, name: &str) -> SubnetId {
        SubnetId::from_bits(statement::bits("subnet", name))
    }
    pub fn security_group(&self, name: &str) -> SecurityGroupId {
        SecurityGroupId::from_bits(statement::bits("sg", name))
    }
    pub fn network_acl(&self, name: &str) -> NetworkAclId {
        NetworkAclId::from_bits(statement::bits("acl", name))
    }
    pub fn route_table(&self, name: &str) -> RouteTableId {
        RouteTableId::from_bits(statement::bits("rtb", name))
    }
    pub fn internet_gateway(&self, name: &str) -> InternetGatewayId {
        InternetGatewayId::from_bits(statement::bits("igw", name))
    }
    pub fn nat_gateway(&self, name: &str) -> NatGatewayId {
        NatGatewayId::from_bits(statement::bits("nat", name))
    }
    pub fn instance(&self, eni_name: &str) -> InstanceId {
        InstanceId::from_bits(statement::bits("instance", eni_name))
    }
}

fn fragment_id(ingress: Ingress, packet: &IpPacket, fragment: Fragment) -> FragmentId {
    let FiveTuple { src, dst, protocol, .. } = packet.tuple;
    (ingress, src, dst, protocol, fragment.id)
}

fn name(tags: Option<&Tags>) -> &str {
    tags.and_then(|tags| tags.get("Name")).map_or("?", String::as_str)
}

/// The record with this key, of the kinds that statements make.
fn record(world: &World, key: &RecordKey) -> Option<Record> {
    match key {
        RecordKey::Vpc(id) => world.vpc(*id).map(|v| Record::Vpc((**v).clone())),
        RecordKey::Subnet(id) => world.subnet(*id).map(|v| Record::Subnet((**v).clone())),
        RecordKey::RouteTable(id) => world.route_table(*id).map(|v| Record::RouteTable((**v).clone())),
        RecordKey::NetworkAcl(id) => world.network_acl(*id).map(|v| Record::NetworkAcl((**v).clone())),
        RecordKey::InternetGateway(id) => world.internet_gateway(*id).map(|v| Record::InternetGateway((**v).clone())),
        RecordKey::EgressOnlyInternetGateway(id) => {
            world.egress_only_internet_gateway(*id).map(|v| Record::EgressOnlyInternetGateway((**v).clone()))
        }
        RecordKey::Address(id) => world.address(*id).map(|v| Record::Address((**v).clone())),
        RecordKey::NatGateway(id) => world.nat_gateway(*id).map(|v| Record::NatGateway((**v).clone())),
        RecordKey::PrefixList(id) => world.prefix_list(*id).map(|v| Record::PrefixList((**v).clone())),
        RecordKey::SecurityGroup(id) => world.security_group(*id).map(|v| Record::SecurityGroup((**v).clone())),
        RecordKey::Eni(id) => world.eni(*id).map(|v| Record::Eni((**v).clone())),
        RecordKey::TrunkAssociation(id) => {
            world.tables().trunk_associations.get(id).map(|v| Record::TrunkAssociation((**v).clone()))
        }
        RecordKey::Instance(id) => world.instance(*id).map(|v| Record::Instance((**v).clone())),
        _ => None,
    }
}
