//! A VPC with two dual-stack ENIs in one subnet, and a third ENI in a subnet without IPv6.

use gp_model::*;
use proptest::prelude::*;
use std::net::Ipv4Addr;

pub(crate) struct Subnet {
    pub world: World,
    pub a: Eni,
    pub b: Eni,
    pub other: Eni,
}

impl Subnet {
    pub fn set_dhcp_options(&mut self, configurations: &[(&str, &[&str])]) {
        put_dhcp_options(&mut self.world, configurations);
    }
}

pub(crate) fn subnet() -> Subnet {
    let mut world = World::new(Region::new("eu-central-1"));
    put_vpc(&mut world);
    put_dhcp_options(
        &mut world,
        &[("domain-name", &["eu-central-1.compute.internal"]), ("domain-name-servers", &["AmazonProvidedDNS"])],
    );
    put_subnet(&mut world, 1, "10.0.1.0/24", &["2001:db8:0:1::/64"]);
    put_subnet(&mut world, 2, "10.0.2.0/24", &[]);
    let a = eni(1, 1, [10, 0, 1, 10], Some("2001:db8:0:1::10"));
    let b = eni(2, 1, [10, 0, 1, 20], Some("2001:db8:0:1::20"));
    let other = eni(3, 2, [10, 0, 2, 30], None);
    for eni in [&a, &b, &other] {
        world.apply(Change::Put(eni.clone().into()));
    }
    Subnet { world, a, b, other }
}

fn put_vpc(world: &mut World) {
    let vpc = Vpc {
        id: VpcId::from_bits(1),
        owner: AccountId::default(),
        cidrs: vec![VpcCidr { id: VpcCidrAssociationId::from_bits(1), cidr: "10.0.0.0/16".parse().unwrap() }],
        ipv6_cidrs: vec![],
        is_default: false,
        tenancy: "default".into(),
        dhcp_options: Some(DhcpOptionsId::from_bits(1)),
        dns_support: true,
        dns_hostnames: false,
        network_address_usage_metrics: false,
        main_route_table: RouteTableId::from_bits(1),
        default_security_group: SecurityGroupId::from_bits(1),
        default_network_acl: NetworkAclId::from_bits(1),
        tags: Tags::new(),
    };
    world.apply(Change::Put(vpc.into()));
}

fn put_dhcp_options(world: &mut World, configurations: &[(&str, &[&str])]) {
    let values = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect();
    let options = DhcpOptions {
        id: DhcpOptionsId::from_bits(1),
        owner: AccountId::default(),
        configurations: configurations.iter().map(|(key, v)| ((*key).to_owned(), values(v))).collect(),
        tags: Tags::new(),
    };
    world.apply(Change::Put(options.into()));
}

fn put_subnet(world: &mut World, n: u128, cidr: &str, ipv6: &[&str]) {
    let block = |cidr: &&str| SubnetIpv6Cidr { id: SubnetCidrAssociationId::from_bits(n), cidr: cidr.parse().unwrap() };
    let subnet = gp_model::Subnet {
        id: SubnetId::from_bits(n),
        owner: AccountId::default(),
        vpc: VpcId::from_bits(1),
        zone: world.region.zone('a'),
        cidr: Some(cidr.parse().unwrap()),
        ipv6_cidrs: ipv6.iter().map(block).collect(),
        default_for_az: false,
        map_public_ip_on_launch: false,
        assign_ipv6_address_on_creation: false,
        enable_dns64: false,
        hostname_type: HostnameType::IpName,
        resource_name_dns_a_record: false,
        resource_name_dns_aaaa_record: false,
        network_acl: NetworkAclId::from_bits(1),
        network_acl_association: NetworkAclAssociationId::from_bits(n),
        tags: Tags::new(),
    };
    world.apply(Change::Put(subnet.into()));
}

fn eni(n: u8, subnet: u128, address: [u8; 4], ipv6: Option<&str>) -> Eni {
    Eni {
        id: EniId::from_bits(n.into()),
        owner: AccountId::default(),
        vpc: VpcId::from_bits(1),
        subnet: SubnetId::from_bits(subnet),
        zone: Zone::new("eu-central-1a"),
        mac: Mac([2, 2, 2, 2, 2, n]),
        description: Default::default(),
        interface_type: InterfaceType::Interface,
        requester: None,
        requester_managed: false,
        private_ipv4: [Ipv4Addr::from(address)].into_iter().collect(),
        ipv6: ipv6.into_iter().map(|a| a.parse().unwrap()).collect(),
        ipv4_prefixes: vec![],
        ipv6_prefixes: vec![],
        groups: [SecurityGroupId::from_bits(1)].into_iter().collect(),
        source_dest_check: true,
        associate_public_ip: false,
        public_ipv4: None,
        last_public_ipv4: None,
        primary_ipv6: false,
        service_attachment: None,
        attachment: None,
        last_attachment: None,
        connection_tracking: ConnectionTracking::default(),
        created_at: Timestamp(0),
        tags: Tags::new(),
    }
}

/// Valid beginnings, so that random bytes get past the first checks.
const BEGINNINGS: &[&[u8]] = &[
    &[],
    // DHCP discover up to its options: op, htype, hlen, then zeroes.
    &[1, 1, 6],
    // DHCPv6 solicit.
    &[1, 0, 0, 1, 0, 1, 0, 4, 0, 1, 0, 1],
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_frame_makes_a_service_panic(
        ethertype in prop_oneof![Just([0x08, 0x00]), Just([0x86, 0xdd]), any::<[u8; 2]>()],
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let s = subnet();
        let frame: Vec<u8> = [&[2; 12][..], &ethertype, &rest].concat();
        crate::fuzz_reply(&s.world, &s.a, &frame);
    }

    #[test]
    fn no_dhcp_message_makes_a_service_panic(
        beginning in prop::sample::select(BEGINNINGS),
        rest in prop::collection::vec(any::<u8>(), 0..600),
        options in prop::collection::vec((any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..20)), 0..12),
    ) {
        let s = subnet();
        let message = [beginning, &rest].concat();
        crate::fuzz_dhcp(&s.world, &s.a, &message);
        // A well-formed header and options of nearly the right length.
        let mut message = vec![0; 236];
        message[..3].copy_from_slice(&[1, 1, 6]);
        message[28..34].copy_from_slice(&s.a.mac.0);
        message.extend([99, 130, 83, 99, 53, 1, 1]);
        for (code, length, value) in options {
            message.extend([code, length % 24]);
            message.extend(value);
        }
        crate::fuzz_dhcp(&s.world, &s.a, &message);
    }
}
