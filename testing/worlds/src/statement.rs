//! One statement → the changes that make it true.
//!
//! ```text
//! vpc NAME CIDR[,CIDR]
//! subnet NAME VPC CIDR[,CIDR] [acl ACL]
//! rtb NAME VPC [for SUBNET[,SUBNET]] [edge IGW] [route CIDR|PL via TARGET]…      VPC.main is the VPC's main table
//! igw NAME [VPC]
//! eigw NAME VPC
//! eip NAME ADDRESS [ENI PRIVATE]                                 an Elastic IP address, associated if an ENI is given
//! nat NAME SUBNET ADDRESS[,ADDRESS] [eip ADDRESS[,ADDRESS]] [STATE] [drains ADDRESS[,ADDRESS]] [ports N]
//!                                                                                     private without eip
//! pl NAME CIDR[,CIDR]
//! acl NAME VPC [in|out NUMBER allow|deny TRAFFIC CIDR]…         VPC.acl is the VPC's default list
//! sg NAME VPC [in TRAFFIC from PEER | out TRAFFIC to PEER | out none]…    VPC.default is the VPC's default group
//! eni NAME SUBNET [ADDRESS|PREFIX[,…]] [sg GROUP[,GROUP]] [public ADDRESS] [unchecked] [unattached | STATE]
//! branch NAME TRUNK vlan N                                       makes an ENI, unattached, a branch of another one
//! delete KIND NAME
//! ```
//! TARGET: `local`, an internet gateway's name, or `nat NAME`, `eni NAME`, `eigw NAME`. A `sg` peer `pl:NAME` is a
//! prefix list.
//! TRAFFIC: `all`, `tcp 80`, `udp 1-9`, `tcp *`, `icmp *`, `icmp 8/0`, `icmp6 128`, `proto 50`. PEER: a block or a
//! group's name. A group without `out` lets everything out, as a new one does on EC2. An ENI is attached to a running
//! instance of its own, and in its VPC's default group, unless the text says otherwise.

use crate::gateways;
use crate::tokens::{TextError, Tokens};
use gp_model::*;
use ipnet::IpNet;
use std::net::IpAddr;

type Result<T> = std::result::Result<T, TextError>;

const TAG_NAME: &str = "Name";

/// Id bits that follow from a kind and a name (FNV-1a, 128 bits).
pub(crate) fn bits(kind: &str, name: &str) -> u128 {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    // The last bytes of a text would leave the upper bits alone; the zeros spread them.
    for byte in kind.bytes().chain([b' ']).chain(name.bytes()).chain([0; 8]) {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    hash ^ (hash >> 60)
}

pub(crate) fn owner() -> AccountId {
    AccountId::default()
}

pub(crate) fn tags(name: &str) -> Tags {
    Tags::from([(TAG_NAME.to_owned(), name.to_owned())])
}

pub(crate) fn changes(world: &World, tokens: &mut Tokens<'_>) -> Result<Vec<Change>> {
    let kind = tokens.word("statement")?;
    if kind == "delete" {
        return delete(tokens);
    }
    let name = tokens.word("name")?;
    let records = match kind {
        "vpc" => vpc(world, name, tokens)?,
        "subnet" => vec![subnet(world, name, tokens)?.into()],
        "rtb" => vec![route_table(world, name, tokens)?.into()],
        "igw" => vec![internet_gateway(name, tokens).into()],
        "eigw" => vec![gateways::egress_only(name, tokens)?.into()],
        "eip" => vec![gateways::elastic_ip(name, tokens)?.into()],
        "nat" => gateways::nat(world, name, tokens)?,
        "pl" => vec![gateways::prefix_list(name, tokens)?.into()],
        "acl" => vec![network_acl(name, tokens)?.into()],
        "sg" => vec![security_group(name, tokens)?.into()],
        "eni" => eni(world, name, tokens)?,
        "branch" => vec![branch(name, tokens)?.into()],
        other => return Err(tokens.error(format_args!("{other} is no statement"))),
    };
    if let Some(word) = tokens.peek() {
        return Err(tokens.error(format_args!("{word} is not understood")));
    }
    Ok(records.into_iter().map(Change::Put).collect())
}

fn delete(tokens: &mut Tokens<'_>) -> Result<Vec<Change>> {
    let (kind, name) = (tokens.word("kind")?, tokens.word("name")?);
    let bits = bits(kind, name);
    Ok(vec![Change::Delete(match kind {
        "vpc" => RecordKey::Vpc(VpcId::from_bits(bits)),
        "subnet" => RecordKey::Subnet(SubnetId::from_bits(bits)),
        "rtb" => RecordKey::RouteTable(RouteTableId::from_bits(bits)),
        "igw" => RecordKey::InternetGateway(InternetGatewayId::from_bits(bits)),
        "eigw" => RecordKey::EgressOnlyInternetGateway(EgressOnlyInternetGatewayId::from_bits(bits)),
        "eip" => RecordKey::Address(AllocationId::from_bits(bits)),
        "nat" => RecordKey::NatGateway(NatGatewayId::from_bits(bits)),
        "pl" => RecordKey::PrefixList(PrefixListId::from_bits(bits)),
        "acl" => RecordKey::NetworkAcl(NetworkAclId::from_bits(bits)),
        "sg" => RecordKey::SecurityGroup(SecurityGroupId::from_bits(bits)),
        "eni" => RecordKey::Eni(EniId::from_bits(bits)),
        "branch" => RecordKey::TrunkAssociation(TrunkAssociationId::from_bits(bits)),
        "instance" => RecordKey::Instance(InstanceId::from_bits(bits)),
        other => return Err(tokens.error(format_args!("{other} is no kind"))),
    })])
}

pub(crate) fn id<T>(make: fn(u128) -> T, kind: &str, name: &str) -> T {
    make(bits(kind, name))
}

pub(crate) fn vpc_id(tokens: &mut Tokens<'_>) -> Result<VpcId> {
    Ok(id(VpcId::from_bits, "vpc", tokens.word("VPC")?))
}

fn vpc(world: &World, name: &str, tokens: &mut Tokens<'_>) -> Result<Vec<Record>> {
    let (mut cidrs, mut ipv6_cidrs) = (Vec::new(), Vec::new());
    for word in tokens.word("block")?.split(',') {
        let id = VpcCidrAssociationId::from_bits(bits(name, word));
        match tokens.parse(word, "block")? {
            IpNet::V4(cidr) => cidrs.push(VpcCidr { id, cidr }),
            IpNet::V6(cidr) => ipv6_cidrs.push(VpcIpv6Cidr {
                id,
                cidr,
                pool: VpcIpv6Cidr::AMAZON.into(),
                network_border_group: "eu-central-1".into(),
            }),
        }
    }
    let vpc = Vpc {
        id: id(VpcId::from_bits, "vpc", name),
        owner: owner(),
        cidrs,
        ipv6_cidrs,
        is_default: false,
        tenancy: "default".into(),
        dhcp_options: None,
        dns_support: true,
        dns_hostnames: false,
        network_address_usage_metrics: false,
        main_route_table: id(RouteTableId::from_bits, "rtb", &format!("{name}.main")),
        default_security_group: id(SecurityGroupId::from_bits, "sg", &format!("{name}.default")),
        default_network_acl: id(NetworkAclId::from_bits, "acl", &format!("{name}.acl")),
        tags: tags(name),
    };
    let is_new = world.vpc(vpc.id).is_none();
    let mut records = vec![Record::from(vpc)];
    if is_new {
        let main = format!("rtb {name}.main {name}");
        let list = format!(
            "acl {name}.acl {name} in 100 allow all 0.0.0.0/0 in 101 allow all ::/0 out 100 allow all 0.0.0.0/0 \
             out 101 allow all ::/0"
        );
        let group = format!("sg {name}.default {name} in all from {name}.default out all to 0.0.0.0/0 out all to ::/0");
        for statement in [main, list, group] {
            for change in changes(world, &mut Tokens::new(&statement))? {
                if let Change::Put(record) = change {
                    records.push(record);
                }
            }
        }
    }
    Ok(records)
}

fn subnet(world: &World, name: &str, tokens: &mut Tokens<'_>) -> Result<Subnet> {
    let vpc = vpc_id(tokens)?;
    let (mut cidr, mut ipv6_cidrs) = (None, Vec::new());
    for word in tokens.word("block")?.split(',') {
        match tokens.parse(word, "block")? {
            IpNet::V4(block) => cidr = Some(block),
            IpNet::V6(block) => ipv6_cidrs
                .push(SubnetIpv6Cidr { id: SubnetCidrAssociationId::from_bits(bits(name, word)), cidr: block }),
        }
    }
    let network_acl = if tokens.take("acl") {
        id(NetworkAclId::from_bits, "acl", tokens.word("ACL")?)
    } else {
        world.vpc(vpc).ok_or_else(|| tokens.error("unknown VPC"))?.default_network_acl
    };
    Ok(Subnet {
        id: id(SubnetId::from_bits, "subnet", name),
        owner: owner(),
        vpc,
        zone: world.region.zone('a'),
        cidr,
        ipv6_cidrs,
        default_for_az: false,
        map_public_ip_on_launch: false,
        assign_ipv6_address_on_creation: false,
        enable_dns64: false,
        hostname_type: HostnameType::IpName,
        resource_name_dns_a_record: false,
        resource_name_dns_aaaa_record: false,
        network_acl,
        network_acl_association: id(NetworkAclAssociationId::from_bits, "aclassoc", name),
        tags: tags(name),
    })
}

fn route_table(world: &World, name: &str, tokens: &mut Tokens<'_>) -> Result<RouteTable> {
    let vpc_name = tokens.peek().unwrap_or_default();
    let main = name.strip_suffix(".main") == Some(vpc_name);
    let vpc = vpc_id(tokens)?;
    let mut associations = Vec::new();
    let association = |subnet: Option<&str>| RouteTableAssociation {
        id: id(RouteTableAssociationId::from_bits, name, subnet.unwrap_or("main")),
        subnet: subnet.map(|subnet| id(SubnetId::from_bits, "subnet", subnet)),
        gateway: None,
        main: subnet.is_none(),
    };
    if main {
        associations.push(association(None));
    }
    if tokens.take("for") {
        associations.extend(tokens.word("subnets")?.split(',').map(|subnet| association(Some(subnet))));
    }
    if tokens.take("edge") {
        let gateway = tokens.word("gateway")?;
        associations.push(RouteTableAssociation {
            id: id(RouteTableAssociationId::from_bits, name, gateway),
            subnet: None,
            gateway: Some(id(InternetGatewayId::from_bits, "igw", gateway)),
            main: false,
        });
    }
    let mut routes = Vec::new();
    while tokens.take("route") {
        routes.push(gateways::route(tokens)?);
    }
    debug_assert!(
        !main || world.vpc(vpc).is_none_or(|v| v.main_route_table == id(RouteTableId::from_bits, "rtb", name))
    );
    Ok(RouteTable {
        id: id(RouteTableId::from_bits, "rtb", name),
        owner: owner(),
        vpc,
        routes,
        associations,
        tags: tags(name),
    })
}

fn internet_gateway(name: &str, tokens: &mut Tokens<'_>) -> InternetGateway {
    InternetGateway {
        id: id(InternetGatewayId::from_bits, "igw", name),
        owner: owner(),
        attached_to: vpc_id(tokens).ok(),
        tags: tags(name),
    }
}

fn direction(tokens: &mut Tokens<'_>) -> Option<Direction> {
    if tokens.take("in") {
        Some(Direction::Ingress)
    } else if tokens.take("out") {
        Some(Direction::Egress)
    } else {
        None
    }
}

fn network_acl(name: &str, tokens: &mut Tokens<'_>) -> Result<NetworkAcl> {
    let vpc_name = tokens.peek().unwrap_or_default();
    let is_default = name.strip_suffix(".acl") == Some(vpc_name);
    let vpc = vpc_id(tokens)?;
    let mut entries = Vec::new();
    while let Some(direction) = direction(tokens) {
        let rule_number = tokens.value("rule number")?;
        let allow = match tokens.word("allow or deny")? {
            "allow" => true,
            "deny" => false,
            other => return Err(tokens.error(format_args!("{other} is neither allow nor deny"))),
        };
        let traffic = tokens.traffic()?;
        entries.push(NetworkAclEntry { rule_number, direction, block: tokens.value("block")?, traffic, allow });
    }
    entries.sort_by_key(|entry| entry.rule_number);
    Ok(NetworkAcl {
        id: id(NetworkAclId::from_bits, "acl", name),
        owner: owner(),
        vpc,
        is_default,
        entries,
        tags: tags(name),
    })
}

fn security_group(name: &str, tokens: &mut Tokens<'_>) -> Result<SecurityGroup> {
    let vpc = vpc_id(tokens)?;
    let mut group = SecurityGroup {
        id: id(SecurityGroupId::from_bits, "sg", name),
        owner: owner(),
        vpc,
        name: name.into(),
        description: name.into(),
        rules: Default::default(),
        tags: tags(name),
    };
    let mut says_out = false;
    while let Some(direction) = direction(tokens) {
        says_out |= direction == Direction::Egress;
        if tokens.take("none") {
            continue;
        }
        let traffic = tokens.traffic()?;
        tokens.expect(if direction == Direction::Ingress { "from" } else { "to" })?;
        let word = tokens.word("peer")?;
        let peer = match word.parse() {
            Ok(IpNet::V4(block)) => RulePeer::Ipv4(block),
            Ok(IpNet::V6(block)) => RulePeer::Ipv6(block),
            Err(_) if word.starts_with("pl:") => {
                RulePeer::PrefixList(id(PrefixListId::from_bits, "pl", word.trim_start_matches("pl:")))
            }
            Err(_) => RulePeer::Group { group: id(SecurityGroupId::from_bits, "sg", word), owner: owner() },
        };
        add_rule(&mut group, name, direction, traffic, peer);
    }
    if !says_out {
        for peer in [RulePeer::Ipv4(Default::default()), RulePeer::Ipv6(Default::default())] {
            add_rule(&mut group, name, Direction::Egress, TrafficMatch::All, peer);
        }
    }
    Ok(group)
}

fn add_rule(group: &mut SecurityGroup, name: &str, direction: Direction, traffic: TrafficMatch, peer: RulePeer) {
    let id = SecurityGroupRuleId::from_bits(bits(name, &format!("{direction:?} {traffic:?} {peer:?}")));
    let rule = SecurityGroupRule { id, direction, traffic, peer, description: None, tags: Tags::new() };
    group.rules.insert(id, rule);
}

/// An address or a prefix that an ENI holds, put where it belongs.
fn hold(eni: &mut Eni, word: &str, tokens: &Tokens<'_>) -> Result<()> {
    if word.contains('/') {
        match tokens.parse(word, "prefix")? {
            IpNet::V4(prefix) => eni.ipv4_prefixes.push(prefix),
            IpNet::V6(prefix) => eni.ipv6_prefixes.push(prefix),
        }
    } else {
        match tokens.parse(word, "address")? {
            IpAddr::V4(address) => eni.private_ipv4.push(address),
            IpAddr::V6(address) => eni.ipv6.push(address),
        }
    }
    Ok(())
}

fn eni(world: &World, name: &str, tokens: &mut Tokens<'_>) -> Result<Vec<Record>> {
    let subnet = id(SubnetId::from_bits, "subnet", tokens.word("subnet")?);
    let subnet = world.subnet(subnet).ok_or_else(|| tokens.error("unknown subnet"))?.clone();
    let mut eni = bare_eni(name, &subnet);
    if let Some(word) = tokens.peek().filter(|word| word.contains(['.', ':'])) {
        tokens.word("addresses")?;
        word.split(',').try_for_each(|word| hold(&mut eni, word, tokens))?;
    }
    if tokens.take("sg") {
        let groups = tokens.word("groups")?.split(',');
        eni.groups = groups.map(|group| id(SecurityGroupId::from_bits, "sg", group)).collect();
    } else {
        eni.groups = world.vpc(subnet.vpc).map(|vpc| vpc.default_security_group).into_iter().collect();
    }
    if tokens.take("public") {
        eni.public_ipv4 = Some(tokens.value("public address")?);
    }
    eni.source_dest_check = !tokens.take("unchecked");
    if tokens.take("unattached") {
        eni.attachment = None;
        return Ok(vec![eni.into()]);
    }
    let states = [
        InstanceState::Pending,
        InstanceState::Running,
        InstanceState::Stopping,
        InstanceState::Stopped,
        InstanceState::ShuttingDown,
        InstanceState::Terminated,
    ];
    let state = states.into_iter().find(|state| tokens.take(state.name())).unwrap_or(InstanceState::Running);
    Ok(vec![instance(name, &subnet, state).into(), eni.into()])
}

fn branch(name: &str, tokens: &mut Tokens<'_>) -> Result<TrunkAssociation> {
    let trunk = id(EniId::from_bits, "eni", tokens.word("trunk")?);
    tokens.expect("vlan")?;
    Ok(TrunkAssociation {
        id: id(TrunkAssociationId::from_bits, "branch", name),
        owner: owner(),
        branch: id(EniId::from_bits, "eni", name),
        trunk,
        vlan_id: tokens.value("VLAN")?,
        tags: tags(name),
    })
}

/// The MAC address follows from the name, in the form that ENIs have.
fn mac(name: &str) -> Mac {
    let [a, b, c, d, e, ..] = bits("mac", name).to_be_bytes();
    Mac([0x02, a, b, c, d, e])
}

pub(crate) fn bare_eni(name: &str, subnet: &Subnet) -> Eni {
    Eni {
        id: id(EniId::from_bits, "eni", name),
        owner: owner(),
        vpc: subnet.vpc,
        subnet: subnet.id,
        zone: subnet.zone.clone(),
        mac: mac(name),
        description: name.into(),
        interface_type: InterfaceType::Interface,
        requester: None,
        requester_managed: false,
        private_ipv4: Default::default(),
        ipv6: Vec::new(),
        ipv4_prefixes: Vec::new(),
        ipv6_prefixes: Vec::new(),
        groups: Default::default(),
        source_dest_check: true,
        associate_public_ip: false,
        public_ipv4: None,
        last_public_ipv4: None,
        primary_ipv6: false,
        service_attachment: None,
        attachment: Some(EniAttachment {
            id: id(EniAttachmentId::from_bits, "eni-attach", name),
            instance: id(InstanceId::from_bits, "instance", name),
            instance_owner: owner(),
            device_index: 0,
            network_card_index: 0,
            attached_at: Timestamp(0),
            delete_on_termination: true,
        }),
        last_attachment: None,
        connection_tracking: ConnectionTracking::default(),
        created_at: Timestamp(0),
        tags: tags(name),
    }
}

fn instance(name: &str, subnet: &Subnet, state: InstanceState) -> Instance {
    Instance {
        id: id(InstanceId::from_bits, "instance", name),
        owner: owner(),
        reservation: id(ReservationId::from_bits, "r", name),
        launch_index: 0,
        image: id(ImageId::from_bits, "ami", "sandbox"),
        instance_type: "t3.micro".into(),
        key_name: None,
        vpc: subnet.vpc,
        subnet: subnet.id,
        zone: subnet.zone.clone(),
        state,
        boot: 1,
        state_reason: None,
        state_transition_reason: String::new(),
        launched_at: Timestamp(0),
        terminated_at: None,
        user_data: None,
        client_token: None,
        disable_api_termination: false,
        disable_api_stop: false,
        shutdown_behavior: "stop".into(),
        ebs_optimized: false,
        monitoring: false,
        cpu_credits: None,
        metadata: MetadataOptions::default(),
        guest: GuestKind::default(),
        tags: tags(name),
    }
}
