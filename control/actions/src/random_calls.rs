//! Random sequences of calls: whatever is asked, nothing panics and the world stays sound.

use crate::testing::Lab;
use gp_ec2::encode_reply;
use gp_model::{Change, RulePeer, Vpc, World, overlaps};
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
    match kind % 24 {
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
        22 => format!("Action=CreateNetworkInterface&SubnetId={}&SecurityGroupId.1={}", subnet(a), group(b)),
        _ => format!("Action=DeleteNetworkInterface&NetworkInterfaceId={}", pick(tables.enis.keys(), a)),
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
    for table in tables.route_tables.values() {
        let routes = world.routes(table);
        for (i, route) in routes.iter().enumerate() {
            assert!(
                routes[..i].iter().all(|other| other.destination != route.destination),
                "{} repeats a route",
                table.id
            );
        }
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
    "AvailabilityZone",
    "Attribute",
    "EnableDnsSupport.Value",
    "ZoneName.1",
    "RegionName.1",
    "TagSpecification.1.ResourceType",
    "TagSpecification.1.Tag.1.Key",
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
