//! Reservations as callers see them, and what they keep automatic assignment from.

use crate::instance::testing::Net;
use crate::testing::values;

impl Net {
    fn reserve(&mut self, block: &str, kind: &str) -> String {
        self.lab.get(&reserve_form(&self.subnet.clone(), block, kind), "subnetCidrReservationId")
    }
}

fn reserve_form(subnet: &str, block: &str, kind: &str) -> String {
    format!("Action=CreateSubnetCidrReservation&SubnetId={subnet}&Cidr={block}&ReservationType={kind}")
}

#[test]
fn a_reservation_is_made_listed_tagged_and_deleted() {
    let mut net = Net::new();
    let subnet = net.subnet.clone();
    let made = net.lab.xml(&format!(
        "{}&Description=d&TagSpecification.1.ResourceType=subnet-cidr-reservation&TagSpecification.1.Tag.1.Key=a\
         &TagSpecification.1.Tag.1.Value=b",
        reserve_form(&subnet, "10.0.1.16/28", "explicit")
    ));
    let id = values(&made, "subnetCidrReservationId").remove(0);
    assert!(id.starts_with("scr-"));
    let prefix = net.reserve("10.0.1.32/28", "prefix");
    let list = format!("Action=GetSubnetCidrReservations&SubnetId={subnet}");
    assert_eq!(net.lab.all(&list, "cidr"), ["10.0.1.16/28", "10.0.1.32/28"]);
    assert_eq!(net.lab.all(&list, "description"), ["d"]);
    for (filter, value, want) in [("reservationType", "prefix", &prefix), ("tag:a", "b", &id), ("tag-key", "a", &id)] {
        let form = format!("{list}&Filter.1.Name={filter}&Filter.1.Value.1={value}");
        assert_eq!(net.lab.all(&form, "subnetCidrReservationId"), [want.as_str()], "{filter}");
    }
    net.lab.xml(&format!("Action=CreateTags&ResourceId.1={prefix}&Tag.1.Key=c&Tag.1.Value=d"));
    let tags = "Action=DescribeTags&Filter.1.Name=resource-type&Filter.1.Value.1=subnet-cidr-reservation";
    assert_eq!(net.lab.all(tags, "key"), ["a", "c"]);
    let delete = format!("Action=DeleteSubnetCidrReservation&SubnetCidrReservationId={id}");
    assert_eq!(net.lab.get(&delete, "cidr"), "10.0.1.16/28");
    net.lab.refuses(&[(&delete, "InvalidSubnetCidrReservationID.NotFound: ")]);
    net.lab.xml(&format!("Action=DeleteSubnet&SubnetId={subnet}"));
    assert_eq!(net.lab.world.tables().subnet_cidr_reservations.len(), 0, "they go with their subnet");
}

#[test]
fn a_block_outside_of_the_subnet_or_reserved_already_is_refused() {
    let mut net = Net::new();
    net.reserve("10.0.1.16/28", "explicit");
    let subnet = net.subnet.clone();
    net.lab.refuses(&[
        (
            &reserve_form(&subnet, "10.0.2.0/28", "prefix"),
            "InvalidParameterValue: Reservation CIDR should be within subnet CIDR block (10.0.1.0/24)",
        ),
        (&reserve_form(&subnet, "10.0.0.0/16", "prefix"), "InvalidParameterValue: Reservation CIDR should be within"),
        (
            &reserve_form(&subnet, "10.0.1.0/27", "prefix"),
            "InvalidParameterValue: Reservation CIDR 10.0.1.0/27 has overlap with existing reserved CIDR block",
        ),
        (&reserve_form(&subnet, "nonsense", "prefix"), "InvalidParameterValue: "),
        (&reserve_form(&subnet, "10.0.1.64/28", "other"), "InvalidParameterValue"),
        (&reserve_form("subnet-0123456789abcdef0", "10.0.1.64/28", "prefix"), "InvalidSubnetID.NotFound: "),
    ]);
}

#[test]
fn nothing_is_drawn_from_an_explicit_reservation_and_only_prefixes_from_one_for_prefixes() {
    let mut net = Net::new();
    net.subnet = net.subnet("10.0.3.0/26", "a");
    net.reserve("10.0.3.16/28", "explicit");
    net.reserve("10.0.3.32/28", "prefix");
    let create = format!("Action=CreateNetworkInterface&SubnetId={}", net.subnet);
    // A prefix comes from where they are kept, then from what nobody reserved, then from nowhere.
    let eni = net.lab.xml(&format!("{create}&PrivateIpAddress=10.0.3.4&Ipv4PrefixCount=1"));
    assert_eq!(values(&eni, "ipv4Prefix"), ["10.0.3.32/28"]);
    let prefix = |n| format!("{create}&PrivateIpAddress=10.0.3.{n}&Ipv4PrefixCount=1");
    assert!(net.lab.refusal(&prefix(5)).starts_with("InsufficientCidrBlocks: "));
    // Single addresses: what is left of the first and the last block.
    let mut drawn: Vec<u8> = Vec::new();
    while let Ok(reply) = net.lab.call(&create) {
        let xml = gp_ec2::encode_reply(&reply, "r");
        drawn.push(values(&xml, "privateIpAddress")[0].rsplit('.').next().unwrap().parse().unwrap());
    }
    drawn.sort_unstable();
    assert_eq!(drawn, (5..16).chain(48..63).collect::<Vec<_>>());
    assert!(net.lab.refusal(&create).starts_with("InsufficientFreeAddressesInSubnet: "));
    // What is named is had.
    net.lab.xml(&format!("{create}&PrivateIpAddress=10.0.3.17"));
    net.lab.xml(&format!("{create}&PrivateIpAddress=10.0.3.18"));
}

#[test]
fn ipv6_is_drawn_from_the_smallest_rest() {
    let mut net = Net::new();
    let vpc = net.vpc.clone();
    net.lab.xml(&format!("Action=AssociateVpcCidrBlock&VpcId={vpc}&AmazonProvidedIpv6CidrBlock=true"));
    let block = net.lab.get(&format!("Action=DescribeVpcs&VpcId.1={vpc}"), "ipv6CidrBlock");
    let first = block.split("::/").next().unwrap().to_owned();
    let associate = format!("Action=AssociateSubnetCidrBlock&SubnetId={}&Ipv6CidrBlock={first}::/64", net.subnet);
    let association = net.lab.get(&associate, "associationId");
    // All but a 2^-16th part is reserved; a draw finds the rest at once.
    let base = u128::from(format!("{first}::").parse::<std::net::Ipv6Addr>().unwrap());
    for length in 65..=80_u32 {
        let half = std::net::Ipv6Addr::from(base | 1 << (128 - length));
        net.reserve(&format!("{half}/{length}"), "explicit");
    }
    let eni = net.eni(&net.subnet.clone());
    let assign = format!("Action=AssignIpv6Addresses&NetworkInterfaceId={eni}&Ipv6AddressCount=1");
    let address = net.lab.get(&assign, "item");
    let address: std::net::Ipv6Addr = address.parse().unwrap();
    assert_eq!(address.segments()[4], 0, "{address}");
    let list = format!("Action=GetSubnetCidrReservations&SubnetId={}", net.subnet);
    let xml = net.lab.xml(&list);
    assert_eq!(values(&xml, "subnetIpv4CidrReservationSet").len(), 0);
    let unassign = format!("Action=UnassignIpv6Addresses&NetworkInterfaceId={eni}&Ipv6Addresses.1={address}");
    net.lab.xml(&unassign);
    net.lab.xml(&format!("Action=DisassociateSubnetCidrBlock&AssociationId={association}"));
    assert!(net.lab.all(&list, "cidr").is_empty(), "reservations go with their block");
}
