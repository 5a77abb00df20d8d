//! Statements about ways in and out: routes, gateways, public addresses and prefix lists.

use crate::statement::{bare_eni, bits, id, owner, tags, vpc_id};
use crate::tokens::{TextError, Tokens};
use gp_model::*;
use ipnet::IpNet;
use std::net::Ipv4Addr;

type Result<T> = std::result::Result<T, TextError>;

/// `CIDR|PL via TARGET`
pub(crate) fn route(tokens: &mut Tokens<'_>) -> Result<Route> {
    let word = tokens.word("destination")?;
    let destination = match word.parse::<IpNet>() {
        Ok(block) => RouteDestination::Block(block),
        Err(_) => RouteDestination::PrefixList(id(PrefixListId::from_bits, "pl", word)),
    };
    tokens.expect("via")?;
    let target = match tokens.word("target")? {
        "local" => RouteTarget::Local,
        "nat" => RouteTarget::NatGateway(id(NatGatewayId::from_bits, "nat", tokens.word("NAT gateway")?)),
        "eni" => RouteTarget::NetworkInterface(id(EniId::from_bits, "eni", tokens.word("ENI")?)),
        "eigw" => {
            let name = tokens.word("egress-only gateway")?;
            RouteTarget::EgressOnlyInternetGateway(id(EgressOnlyInternetGatewayId::from_bits, "eigw", name))
        }
        name => RouteTarget::InternetGateway(id(InternetGatewayId::from_bits, "igw", name)),
    };
    Ok(Route { destination, target, origin: RouteOrigin::CreateRoute })
}

pub(crate) fn egress_only(name: &str, tokens: &mut Tokens<'_>) -> Result<EgressOnlyInternetGateway> {
    let id = id(EgressOnlyInternetGatewayId::from_bits, "eigw", name);
    Ok(EgressOnlyInternetGateway { id, owner: owner(), vpc: vpc_id(tokens)?, tags: tags(name) })
}

pub(crate) fn elastic_ip(name: &str, tokens: &mut Tokens<'_>) -> Result<Address> {
    let public_ip = tokens.value("public address")?;
    let association = match tokens.peek() {
        None => None,
        Some(_) => Some(AddressAssociation {
            id: id(AddressAssociationId::from_bits, "eipassoc", name),
            eni: id(EniId::from_bits, "eni", tokens.word("ENI")?),
            private_ip: tokens.value("private address")?,
        }),
    };
    Ok(address(name, public_ip, association))
}

fn address(name: &str, public_ip: Ipv4Addr, association: Option<AddressAssociation>) -> Address {
    Address {
        id: id(AllocationId::from_bits, "eip", name),
        owner: owner(),
        public_ip,
        pool: "amazon".into(),
        network_border_group: "eu-central-1".into(),
        association,
        service_managed: None,
        domain_name: None,
        tags: tags(name),
    }
}

/// The gateway, its ENI `NAME.eni` and its Elastic IP addresses `NAME.eip0`, `NAME.eip1`, …
pub(crate) fn nat(world: &World, name: &str, tokens: &mut Tokens<'_>) -> Result<Vec<Record>> {
    let subnet = id(SubnetId::from_bits, "subnet", tokens.word("subnet")?);
    let subnet = world.subnet(subnet).ok_or_else(|| tokens.error("unknown subnet"))?.clone();
    let mut eni = bare_eni(&format!("{name}.eni"), &subnet);
    eni.private_ipv4 = addresses(tokens)?.into();
    (eni.source_dest_check, eni.attachment, eni.requester_managed) = (false, None, true);
    eni.interface_type = InterfaceType::NatGateway;
    let publics = if tokens.take("eip") { addresses(tokens)? } else { Vec::new() };
    let states = [
        ("pending", NatGatewayState::Pending),
        ("failed", NatGatewayState::Failed),
        ("deleting", NatGatewayState::Deleting),
        ("deleted", NatGatewayState::Deleted),
    ];
    let state = states.into_iter().find(|(word, _)| tokens.take(word)).map_or(NatGatewayState::Available, |(_, s)| s);
    let draining = if tokens.take("drains") { addresses(tokens)? } else { Vec::new() };
    let ports_per_destination = if tokens.take("ports") { Some(tokens.value("number")?) } else { None };
    let mut records = Vec::new();
    let mut held = Vec::new();
    for (index, private_ip) in eni.private_ipv4.iter().copied().enumerate() {
        let elastic = format!("{name}.eip{index}");
        let association = id(AddressAssociationId::from_bits, "eipassoc", &elastic);
        let public = publics.get(index).copied();
        held.push(NatGatewayAddress {
            private_ip,
            allocation: public.map(|_| id(AllocationId::from_bits, "eip", &elastic)),
            association: public.map(|_| association),
            drains_until: draining.contains(&private_ip).then_some(DRAIN_END),
        });
        records.extend(public.map(|public_ip| {
            let association = AddressAssociation { id: association, eni: eni.id, private_ip };
            Record::from(address(&elastic, public_ip, Some(association)))
        }));
    }
    let gateway = NatGateway {
        id: id(NatGatewayId::from_bits, "nat", name),
        owner: owner(),
        vpc: subnet.vpc,
        subnet: subnet.id,
        eni: Some(eni.id),
        connectivity: if publics.is_empty() { NatConnectivity::Private } else { NatConnectivity::Public },
        state,
        failure: None,
        addresses: held,
        ports_per_destination,
        created_at: Timestamp(0),
        deleted_at: None,
        tags: tags(name),
    };
    records.extend([Record::from(eni), Record::from(gateway)]);
    Ok(records)
}

/// When draining addresses go, if anybody looks: text has no clock.
const DRAIN_END: Timestamp = Timestamp(350_000);

fn addresses(tokens: &mut Tokens<'_>) -> Result<Vec<Ipv4Addr>> {
    let words = tokens.word("addresses")?.split(',');
    words.map(|word| tokens.parse(word, "address")).collect()
}

pub(crate) fn prefix_list(name: &str, tokens: &mut Tokens<'_>) -> Result<PrefixList> {
    let mut entries = Vec::new();
    for word in tokens.word("blocks")?.split(',') {
        entries.push(PrefixListEntry { block: tokens.parse(word, "block")?, description: None });
    }
    Ok(PrefixList {
        id: PrefixListId::from_bits(bits("pl", name)),
        owner: owner(),
        name: name.into(),
        address_family: if entries.iter().all(|entry| entry.block.addr().is_ipv4()) { "IPv4" } else { "IPv6" }.into(),
        max_entries: 10,
        versions: vec![PrefixListVersion { version: 1, entries }],
        last_change: PrefixListChange::default(),
        tags: tags(name),
    })
}
