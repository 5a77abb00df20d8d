//! Random sequences of calls: whatever is asked, nothing panics and the world stays sound.

use crate::testing::Lab;
use gp_ec2::encode_reply;
use gp_model::{
    Change, PrefixListEntry, Route, RouteDestination, RouteTable, RouteTarget, RulePeer, Vpc, World, overlaps,
};
use ipnet::IpNet;
use proptest::prelude::*;
use std::fmt::Display;

/// One call: which kind, and numbers to choose its parameters by.
type Call = (u8, u8, u8, u8);

fn pick<I: Display>(ids: impl Iterator<Item = I>, n: u8) -> String {
    let ids: Vec<_> = ids.map(|id| id.to_string()).collect();
    if ids.is_empty() { "nothing".into() } else { ids[usize::from(n) % ids.len()].clone() }
}

/// A call about things that are there.
fn form(world: &World, (kind, a, b, c): Call) -> String {
    let tables = world.tables();
    let vpc = |n| pick(tables.vpcs.keys(), n);
    let subnet = |n| pick(tables.subnets.keys(), n);
    let table = |n| pick(tables.route_tables.keys(), n);
    let group = |n| pick(tables.security_groups.keys(), n);
    let gateway = |n| pick(tables.internet_gateways.keys(), n);
    let association = |n| pick(tables.route_tables.values().flat_map(|t| t.associations.iter().map(|a| a.id)), n);
    let rule = |n| pick(tables.security_groups.values().flat_map(|g| g.rules.keys().copied()), n);
    let block =
        |vpc: &Vpc| vpc.cidrs.iter().map(|c| c.id).chain(vpc.ipv6_cidrs.iter().map(|c| c.id)).collect::<Vec<_>>();
    let ports = format!("tcp&IpPermissions.1.FromPort={c}&IpPermissions.1.ToPort={}", u16::from(c) + 5);
    let flow = ["Ingress", "Egress"][usize::from(b) % 2];
    let permission = match b % 3 {
        0 => format!("&IpPermissions.1.IpProtocol={ports}&IpPermissions.1.IpRanges.1.CidrIp={c}.0.0.0/8"),
        1 => format!("&IpPermissions.1.IpProtocol=-1&IpPermissions.1.Groups.1.GroupId={}", group(c)),
        _ => "&IpPermissions.1.IpProtocol=icmpv6&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=::/0".to_owned(),
    };
    if kind >= LISTS_AND_ROUTES {
        return list_or_route_form(world, (kind, a, b, c));
    }
    match kind % 25 {
        0 => format!("Action=CreateVpc&CidrBlock=10.{a}.0.0/{}&AmazonProvidedIpv6CidrBlock={}", b % 32, c % 2 == 0),
        1 => format!("Action=DeleteVpc&VpcId={}", vpc(a)),
        2 | 3 => format!("Action=CreateSubnet&VpcId={}&CidrBlock=10.{b}.{c}.0/{}", vpc(a), 20 + c % 10),
        4 => format!("Action=CreateSubnet&VpcId={}&CidrBlock=172.31.{b}.0/{}", vpc(a), 20 + c % 10),
        5 => format!("Action=DeleteSubnet&SubnetId={}", subnet(a)),
        6 => format!("Action=AssociateVpcCidrBlock&VpcId={}&CidrBlock=100.64.{b}.0/{}", vpc(a), 16 + c % 12),
        7 => format!("Action=AssociateVpcCidrBlock&VpcId={}&AmazonProvidedIpv6CidrBlock=true", vpc(a)),
        8 => format!(
            "Action=DisassociateVpcCidrBlock&AssociationId={}",
            pick(tables.vpcs.values().flat_map(|v| block(v)), a)
        ),
        9 => format!("Action=CreateRouteTable&VpcId={}&ClientToken={b}", vpc(a)),
        10 => format!("Action=DeleteRouteTable&RouteTableId={}", table(a)),
        11 => format!("Action=AssociateRouteTable&RouteTableId={}&SubnetId={}", table(a), subnet(b)),
        12 => format!("Action=DisassociateRouteTable&AssociationId={}", association(a)),
        13 => format!("Action=ReplaceRouteTableAssociation&AssociationId={}&RouteTableId={}", association(a), table(b)),
        14 => format!(
            "Action=CreateRoute&RouteTableId={}&DestinationCidrBlock={}.0.0.0/8&GatewayId={}",
            table(a),
            20 + b % 4,
            gateway(c)
        ),
        15 => format!("Action=DeleteRoute&RouteTableId={}&DestinationCidrBlock={}.0.0.0/8", table(a), 20 + b % 4),
        16 => format!("Action=CreateSecurityGroup&VpcId={}&GroupName=g{b}&GroupDescription=d", vpc(a)),
        17 => format!("Action=DeleteSecurityGroup&GroupId={}", group(a)),
        18 | 19 => format!("Action=AuthorizeSecurityGroup{flow}&GroupId={}{permission}", group(a)),
        20 => format!("Action=RevokeSecurityGroup{flow}&GroupId={}&SecurityGroupRuleId.1={}", group(a), rule(b)),
        21 => {
            format!("Action=CreateTags&ResourceId.1={}&ResourceId.2={}&Tag.1.Key=k{b}&Tag.1.Value=v", vpc(a), rule(c))
        }
        24 => format!(
            "Action=CreateSubnetCidrReservation&SubnetId={}&Cidr=10.{b}.{c}.0/{}&ReservationType=explicit",
            subnet(a),
            24 + c % 9
        ),
        22 => format!("Action=CreateNetworkInterface&SubnetId={}&SecurityGroupId.1={}", subnet(a), group(b)),
        _ => format!("Action=DeleteNetworkInterface&NetworkInterfaceId={}", pick(tables.enis.keys(), a)),
    }
}

/// Kinds of calls from here on are about lists and routes.
const LISTS_AND_ROUTES: u8 = 128;

/// A call about network ACLs, prefix lists, or the routes of any target.
fn list_or_route_form(world: &World, (kind, a, b, c): Call) -> String {
    let tables = world.tables();
    let acl = |n| pick(tables.network_acls.keys(), n);
    let list = |n| pick(tables.prefix_lists.keys(), n);
    let table = |n| pick(tables.route_tables.keys(), n);
    let gateway = |n| pick(tables.internet_gateways.keys(), n);
    let entry = |n: u8| {
        let block = if n.is_multiple_of(2) { "CidrBlock=0.0.0.0/0" } else { "Ipv6CidrBlock=::/0" };
        format!(
            "&NetworkAclId={}&RuleNumber={}&Egress={}&RuleAction=allow&Protocol=-1&{block}",
            acl(a),
            1 + b % 8,
            c % 2 == 0
        )
    };
    let version = |n: u8| {
        let list = tables.prefix_lists.values().nth(usize::from(n) % tables.prefix_lists.len().max(1));
        let (id, version) = list.map_or((String::new(), 1), |list| (list.id.to_string(), list.current_version()));
        format!("&PrefixListId={id}&CurrentVersion={version}")
    };
    let destination = match b % 5 {
        0 => format!("DestinationPrefixListId={}", list(c)),
        1 => "DestinationIpv6CidrBlock=::/0".to_owned(),
        2 => format!("DestinationCidrBlock={}", pick(tables.subnets.values().filter_map(|s| s.cidr), c)),
        3 => format!("DestinationCidrBlock={}", pick(tables.vpcs.values().map(|v| v.primary_cidr()), c)),
        _ => format!("DestinationCidrBlock={}.0.0.0/8", 20 + c % 4),
    };
    let target = match c % 4 {
        0 => format!("GatewayId={}", gateway(b)),
        1 => "LocalTarget=true".to_owned(),
        _ => format!("NetworkInterfaceId={}", pick(tables.enis.keys(), b)),
    };
    match (kind - LISTS_AND_ROUTES) % 20 {
        0 => format!("Action=CreateNetworkAcl&VpcId={}", pick(tables.vpcs.keys(), a)),
        1 => format!("Action=DeleteNetworkAcl&NetworkAclId={}", acl(a)),
        2 | 3 => format!("Action=CreateNetworkAclEntry{}", entry(c)),
        4 => format!("Action=ReplaceNetworkAclEntry{}", entry(b)),
        5 => {
            format!(
                "Action=DeleteNetworkAclEntry&NetworkAclId={}&RuleNumber={}&Egress={}",
                acl(a),
                1 + b % 8,
                c % 2 == 0
            )
        }
        6 => format!(
            "Action=ReplaceNetworkAclAssociation&AssociationId={}&NetworkAclId={}",
            pick(tables.subnets.values().map(|s| s.network_acl_association), a),
            acl(b)
        ),
        7 => format!(
            "Action=CreateManagedPrefixList&PrefixListName=n{b}&AddressFamily={}&MaxEntries={}",
            ["IPv4", "IPv6"][usize::from(a) % 2],
            1 + c % 20
        ),
        8 => format!("Action=ModifyManagedPrefixList{}&AddEntry.1.Cidr={b}.0.0.0/8", version(a)),
        9 => format!("Action=ModifyManagedPrefixList{}&MaxEntries={}", version(a), 1 + b % 60),
        10 => format!("Action=RestoreManagedPrefixListVersion{}&PreviousVersion={}", version(a), 1 + b % 3),
        11 => format!("Action=DeleteManagedPrefixList&PrefixListId={}", list(a)),
        12 => format!(
            "Action=AuthorizeSecurityGroupIngress&GroupId={}&IpPermissions.1.IpProtocol=-1\
             &IpPermissions.1.PrefixListIds.1.PrefixListId={}",
            pick(tables.security_groups.keys(), a),
            list(b)
        ),
        13 | 14 => format!("Action=CreateRoute&RouteTableId={}&{destination}&{target}", table(a)),
        15 => format!("Action=ReplaceRoute&RouteTableId={}&{destination}&{target}", table(a)),
        16 => format!("Action=DeleteRoute&RouteTableId={}&{destination}", table(a)),
        17 => format!("Action=AssociateRouteTable&RouteTableId={}&GatewayId={}", table(a), gateway(b)),
        18 => format!(
            "Action=AttachInternetGateway&InternetGatewayId={}&VpcId={}",
            gateway(a),
            pick(tables.vpcs.keys(), b)
        ),
        _ => {
            let attached = tables.internet_gateways.values().filter_map(|gateway| gateway.attached_to);
            format!("Action=DetachInternetGateway&InternetGatewayId={}&VpcId={}", gateway(a), pick(attached, a))
        }
    }
}

/// What must hold whatever was called.
fn check(world: &World) {
    let tables = world.tables();
    for vpc in tables.vpcs.values() {
        let blocks: Vec<_> = vpc.blocks().collect();
        for (i, block) in blocks.iter().enumerate() {
            assert!(!blocks[..i].iter().any(|other| overlaps(other, block)), "{} has {block} twice", vpc.id);
        }
        let subnets: Vec<_> = world.subnets_of_vpc(vpc.id).collect();
        for (i, subnet) in subnets.iter().enumerate() {
            for block in subnet.blocks() {
                assert!(blocks.iter().any(|of_vpc| of_vpc.contains(&block)), "{} is outside {}", subnet.id, vpc.id);
                let mut others = subnets[..i].iter().flat_map(|other| other.blocks());
                assert!(!others.any(|other| overlaps(&other, &block)), "{} overlaps", subnet.id);
            }
            let table = world.route_table_of(subnet).expect("a subnet has a route table");
            assert_eq!(table.vpc, vpc.id);
            let associated = tables.route_tables.values().flat_map(|t| &t.associations);
            assert!(
                associated.filter(|a| a.subnet == Some(subnet.id)).count() <= 1,
                "{} is associated twice",
                subnet.id
            );
            assert!(tables.network_acls.contains_key(&subnet.network_acl));
        }
        let mains: Vec<_> =
            world.route_tables_of_vpc(vpc.id).filter(|t| t.associations.iter().any(|a| a.main)).collect();
        assert!(matches!(mains.as_slice(), [main] if main.id == vpc.main_route_table), "{} has one main table", vpc.id);
        assert!(tables.security_groups.contains_key(&vpc.default_security_group));
        assert!(tables.network_acls.contains_key(&vpc.default_network_acl));
    }
    check_groups(world);
    check_lists(world);
    for reservation in tables.subnet_cidr_reservations.values() {
        let subnet = world.subnet(reservation.subnet).expect("a reservation goes with its subnet");
        assert!(subnet.blocks().any(|block| block.contains(&reservation.cidr)), "{reservation:?}");
    }
    for table in tables.route_tables.values() {
        let routes: Vec<_> = world.routes(table).collect();
        for (i, route) in routes.iter().enumerate() {
            assert!(
                routes[..i].iter().all(|other| other.destination != route.destination),
                "{} repeats a route",
                table.id
            );
        }
        check_gateway_table(world, table);
    }
}

fn check_gateway_table(world: &World, table: &RouteTable) {
    for gateway in table.associations.iter().filter_map(|association| association.gateway) {
        assert_eq!(world.internet_gateway(gateway).map(|gateway| gateway.attached_to), Some(Some(table.vpc)));
        assert_eq!(world.route_table_of_gateway(gateway).map(|routing| routing.id), Some(table.id));
        assert!(!table.associations.iter().any(|association| association.main), "{} is a gateway's", table.id);
        let fits = |route: &Route| matches!(route.target, RouteTarget::Local | RouteTarget::NetworkInterface(_));
        assert!(table.routes.iter().all(fits), "{} leads out", table.id);
    }
}

fn check_lists(world: &World) {
    let tables = world.tables();
    for acl in tables.network_acls.values() {
        let keys: Vec<_> = acl.entries.iter().map(|entry| (entry.direction, entry.rule_number)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{} has its entries in order, each once", acl.id);
    }
    for subnet in tables.subnets.values() {
        assert_eq!(world.network_acl(subnet.network_acl).map(|acl| acl.vpc), Some(subnet.vpc));
    }
    for list in tables.prefix_lists.values() {
        let family = |entry: &&PrefixListEntry| matches!(entry.block, IpNet::V6(_)) != (list.address_family == "IPv6");
        assert!(list.entries().len() <= list.max_entries as usize, "{} holds too much", list.id);
        assert_eq!(list.entries().iter().find(family), None, "{} is of one family", list.id);
    }
    let routes = tables.route_tables.values().flat_map(|table| &table.routes);
    let of_routes = routes.filter_map(|route| match route.destination {
        RouteDestination::PrefixList(list) => Some(list),
        RouteDestination::Block(_) => None,
    });
    let rules = tables.security_groups.values().flat_map(|group| group.rules.values());
    let of_rules = rules.filter_map(|rule| match rule.peer {
        RulePeer::PrefixList(list) => Some(list),
        _ => None,
    });
    for list in of_routes.chain(of_rules) {
        assert!(world.prefix_list(list).is_some(), "{list} is named and gone");
    }
}

fn check_groups(world: &World) {
    for group in world.tables().security_groups.values() {
        let rules: Vec<_> = group.rules.values().collect();
        for (i, rule) in rules.iter().enumerate() {
            if let RulePeer::Group { group: peer, .. } = rule.peer {
                let peer = world.security_group(peer).expect("a rule's peer exists");
                assert_eq!(peer.vpc, group.vpc);
            }
            let same = |other: &&&gp_model::SecurityGroupRule| {
                (other.direction, other.traffic, other.peer) == (rule.direction, rule.traffic, rule.peer)
            };
            assert_eq!(rules[..i].iter().find(same), None, "{} repeats a rule", group.id);
        }
    }
    for eni in world.tables().enis.values() {
        assert!(world.subnet(eni.subnet).is_some_and(|subnet| subnet.vpc == eni.vpc));
        assert!(eni.groups.iter().all(|group| world.security_group(*group).is_some_and(|group| group.vpc == eni.vpc)));
    }
}

/// A world made from the stored records alone, as after a restart.
fn rebuilt(world: &World) -> World {
    let mut rebuilt = World::new(world.region.clone());
    world.tables().records().for_each(|record| rebuilt.apply(Change::Put(record)));
    rebuilt
}

const PARAMETERS: &[&str] = &[
    "VpcId",
    "VpcId.1",
    "SubnetId",
    "SubnetId.1",
    "GroupId",
    "GroupId.1",
    "GroupName",
    "GroupDescription",
    "CidrBlock",
    "RouteTableId",
    "DestinationCidrBlock",
    "GatewayId",
    "AssociationId",
    "ResourceId.1",
    "Tag.1.Key",
    "Tag.1.Value",
    "Filter.1.Name",
    "Filter.1.Value.1",
    "MaxResults",
    "NextToken",
    "ClientToken",
    "DryRun",
    "IpProtocol",
    "FromPort",
    "ToPort",
    "CidrIp",
    "IpPermissions.1.IpProtocol",
    "IpPermissions.1.FromPort",
    "IpPermissions.1.ToPort",
    "IpPermissions.1.IpRanges.1.CidrIp",
    "IpPermissions.1.Ipv6Ranges.1.CidrIpv6",
    "IpPermissions.1.Groups.1.GroupId",
    "SecurityGroupRuleId.1",
    "Ipv6CidrBlock",
    "Ipv6Pool",
    "PoolId",
    "PoolId.1",
    "AvailabilityZone",
    "Attribute",
    "EnableDnsSupport.Value",
    "ZoneName.1",
    "RegionName.1",
    "TagSpecification.1.ResourceType",
    "TagSpecification.1.Tag.1.Key",
    "NetworkAclId",
    "NetworkAclId.1",
    "RuleNumber",
    "RuleAction",
    "Egress",
    "Protocol",
    "PortRange.From",
    "PortRange.To",
    "Icmp.Type",
    "Icmp.Code",
    "PrefixListId",
    "PrefixListId.1",
    "PrefixListName",
    "AddressFamily",
    "MaxEntries",
    "CurrentVersion",
    "PreviousVersion",
    "TargetVersion",
    "Entry.1.Cidr",
    "AddEntry.1.Cidr",
    "RemoveEntry.1.Cidr",
    "DestinationIpv6CidrBlock",
    "DestinationPrefixListId",
    "NetworkInterfaceId",
    "NatGatewayId",
    "InstanceId",
    "EgressOnlyInternetGatewayId",
    "LocalTarget",
];

const VALUES: &[&str] = &[
    "",
    "x",
    "-1",
    "0",
    "5",
    "65536",
    "99999999999999999999",
    "true",
    "false",
    "0.0.0.0/0",
    "10.0.0.0/16",
    "10.0.0.0/24",
    "255.255.255.255/32",
    "::/0",
    "::1/128",
    "tcp",
    "icmp",
    "-",
    "vpc-",
    "vpc-00000000000000001",
    "sg-",
    "%C3%A9",
    "aws:",
    "%F0%9F%A6%80%F0%9F%A6%80",
    "tag:",
    "*",
    "vpc-id",
    "default",
    "local",
    "igw-",
    "rtbassoc-00000000000000001",
    "acl-00000000000000001",
    "pl-00000000000000001",
    "IPv4",
    "allow",
];

proptest! {
    #[test]
    fn the_world_stays_sound(calls in proptest::collection::vec(any::<Call>(), 1..120)) {
        let mut lab = Lab::new();
        lab.settings.quotas.vpcs = 8;
        lab.xml("Action=DescribeVpcs");
        for call in calls {
            let form = form(&lab.world, call);
            if let Ok(reply) = lab.call(&form) {
                encode_reply(&reply, "r");
            }
        }
        check(&lab.world);
        prop_assert_eq!(format!("{:?}", rebuilt(&lab.world)), format!("{:?}", lab.world));
    }

    #[test]
    fn no_parameters_make_a_panic(
        action in any::<prop::sample::Index>(),
        parameters in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..5),
    ) {
        let mut lab = Lab::new();
        let actions = gp_ec2::implemented_action_names();
        let mut form = format!("Action={}", actions[action.index(actions.len())]);
        for (name, value) in parameters {
            form += &format!("&{}={}", PARAMETERS[name.index(PARAMETERS.len())], VALUES[value.index(VALUES.len())]);
        }
        if let Ok(reply) = lab.call(&form) {
            encode_reply(&reply, "r");
        }
    }
}
