//! NAT gateways as callers see them: their life, their addresses, and what they fail for.

use crate::instance::testing::Net;
use crate::testing::values;
use crate::{DialError, plan_drained, plan_expiry, plan_nat_ports, plan_report};
use gp_compile::HostReport;
use gp_model::Region;

/// A net whose VPC has an internet gateway.
fn net() -> Net {
    let mut net = Net::new();
    let gateway = net.lab.get("Action=CreateInternetGateway", "internetGatewayId");
    net.lab.xml(&format!("Action=AttachInternetGateway&InternetGatewayId={gateway}&VpcId={}", net.vpc));
    net
}

fn allocate(net: &mut Net) -> String {
    net.lab.get("Action=AllocateAddress", "allocationId")
}

fn public_form(net: &Net, allocation: &str) -> String {
    format!("Action=CreateNatGateway&SubnetId={}&AllocationId={allocation}", net.subnet)
}

fn private_form(net: &Net) -> String {
    format!("Action=CreateNatGateway&SubnetId={}&ConnectivityType=private", net.subnet)
}

fn show(net: &mut Net, id: &str) -> String {
    net.lab.xml(&format!("Action=DescribeNatGateways&NatGatewayId.1={id}"))
}

/// The one value of an element.
fn value(xml: &str, element: &str) -> String {
    let found = values(xml, element);
    let [one] = found.as_slice() else { panic!("{element} in {xml}: {found:?}") };
    one.clone()
}

#[test]
fn a_public_gateway_has_an_interface_and_an_elastic_address() {
    let mut net = net();
    let allocation = allocate(&mut net);
    let made = net.lab.xml(&format!("{}&ClientToken=t", public_form(&net, &allocation)));
    let id = value(&made, "natGatewayId");
    assert_eq!((value(&made, "state"), value(&made, "clientToken")), ("pending".to_owned(), "t".to_owned()));
    assert_eq!(net.lab.get(&format!("{}&ClientToken=t", public_form(&net, &allocation)), "natGatewayId"), id);
    let shown = show(&mut net, &id);
    let vpc = net.vpc.clone();
    for (element, wanted) in [
        ("state", "available"),
        ("connectivityType", "public"),
        ("isPrimary", "true"),
        ("status", "succeeded"),
        ("allocationId", allocation.as_str()),
        ("vpcId", vpc.as_str()),
    ] {
        assert_eq!(value(&shown, element), wanted, "{element}");
    }
    let eni = value(&shown, "networkInterfaceId");
    let interface = net.lab.xml(&format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={eni}"));
    for (element, wanted) in [
        ("interfaceType", "nat_gateway".to_owned()),
        ("description", format!("Interface for NAT Gateway {id}")),
        ("sourceDestCheck", "false".to_owned()),
        ("requesterManaged", "true".to_owned()),
        ("instanceOwnerId", "amazon-aws".to_owned()),
        ("status", "in-use".to_owned()),
    ] {
        assert!(values(&interface, element).contains(&wanted), "{element} in {interface}");
    }
    assert!(values(&interface, "groupId").is_empty());
    assert_eq!(values(&interface, "publicIp")[0], value(&shown, "publicIp"));
}

#[test]
fn what_a_gateway_holds_its_user_cannot_take_away() {
    let mut net = net();
    let (allocation, spare) = (allocate(&mut net), allocate(&mut net));
    let form = public_form(&net, &allocation);
    let id = net.lab.get(&form, "natGatewayId");
    let shown = show(&mut net, &id);
    let (eni, association) = (value(&shown, "networkInterfaceId"), value(&shown, "associationId"));
    let subnet = net.subnet.clone();
    let own = net.eni(&subnet);
    net.lab.refuses(&[
        (&format!("Action=DisassociateAddress&AssociationId={association}"), "AuthFailure"),
        (&format!("Action=ReleaseAddress&AllocationId={allocation}"), "AuthFailure"),
        (&format!("Action=AssociateAddress&AllocationId={allocation}&NetworkInterfaceId={own}"), "Resource.AlreadyAss"),
        (&format!("Action=AssociateAddress&AllocationId={spare}&NetworkInterfaceId={eni}"), "AuthFailure"),
        (&format!("Action=DeleteNetworkInterface&NetworkInterfaceId={eni}"), "InvalidParameterValue"),
        (
            &format!(
                "Action=AssignPrivateIpAddresses&NetworkInterfaceId={own}&AllowReassignment=true&PrivateIpAddress.1={}",
                value(&shown, "privateIp")
            ),
            "AuthFailure",
        ),
        (&format!("Action=DeleteSubnet&SubnetId={subnet}"), "DependencyViolation"),
    ]);
}

#[test]
fn a_deleted_gateway_gives_everything_back_and_is_seen_for_an_hour() {
    let mut net = net();
    let allocation = allocate(&mut net);
    let form = public_form(&net, &allocation);
    let id = net.lab.get(&form, "natGatewayId");
    let delete = format!("Action=DeleteNatGateway&NatGatewayId={id}");
    assert_eq!(net.lab.get(&delete, "natGatewayId"), id);
    let shown = show(&mut net, &id);
    assert_eq!(value(&shown, "state"), "deleted");
    assert_eq!(values(&shown, "deleteTime").len(), 1);
    assert!(net.lab.all("Action=DescribeAddresses", "associationId").is_empty());
    assert!(net.lab.all("Action=DescribeNetworkInterfaces", "networkInterfaceId").is_empty());
    net.lab.xml(&delete);
    net.lab.xml(&format!("Action=ReleaseAddress&AllocationId={allocation}"));
    for (secs, listed) in [(3599, 1), (3600, 0)] {
        let changes = plan_expiry(&net.lab.world, net.lab.now.plus_secs(secs));
        net.lab.apply(changes);
        assert_eq!(net.lab.all("Action=DescribeNatGateways", "natGatewayId").len(), listed, "after {secs} s");
    }
    assert_eq!(net.lab.refusal(&delete), format!("NatGatewayNotFound: NAT gateway {id} was not found"));
}

#[test]
fn a_gateway_passes_through_pending_and_deleting_until_its_host_has_obeyed() {
    let mut net = net();
    let allocation = allocate(&mut net);
    net.lab.host_is_away = true;
    let form = public_form(&net, &allocation);
    let id = net.lab.get(&form, "natGatewayId");
    let shown = show(&mut net, &id);
    assert_eq!((value(&shown, "state"), value(&shown, "status")), ("pending".into(), "associating".into()));
    let more = format!("Action=AssociateNatGatewayAddress&NatGatewayId={id}&AllocationId.1={allocation}");
    assert!(net.lab.refusal(&more).starts_with("IncorrectState"));
    net.lab.settle();
    assert_eq!(value(&show(&mut net, &id), "state"), "available");

    net.lab.xml(&format!("Action=DeleteNatGateway&NatGatewayId={id}"));
    let shown = show(&mut net, &id);
    assert_eq!((value(&shown, "state"), value(&shown, "status")), ("deleting".into(), "disassociating".into()));
    assert!(values(&shown, "deleteTime").is_empty());
    let subnet = net.subnet.clone();
    net.lab.refuses(&[
        (&format!("Action=DeleteSubnet&SubnetId={subnet}"), "DependencyViolation"),
        (&format!("Action=ReleaseAddress&AllocationId={allocation}"), "AuthFailure"),
    ]);
    net.lab.settle();
    assert_eq!(value(&show(&mut net, &id), "state"), "deleted");
    net.lab.xml(&format!("Action=ReleaseAddress&AllocationId={allocation}"));
}

#[test]
fn a_gateway_that_fails_does_not_say_so_at_once_and_can_be_deleted() {
    let mut net = Net::new();
    let allocation = allocate(&mut net);
    net.lab.host_is_away = true;
    let form = public_form(&net, &allocation);
    let id = net.lab.get(&form, "natGatewayId");
    let shown = show(&mut net, &id);
    assert_eq!((value(&shown, "state"), values(&shown, "failureCode")), ("pending".into(), Vec::new()));
    net.lab.settle();
    assert_eq!(value(&show(&mut net, &id), "failureCode"), "Gateway.NotAttached");
    net.lab.xml(&format!("Action=DeleteNatGateway&NatGatewayId={id}"));
    net.lab.settle();
    assert_eq!(value(&show(&mut net, &id), "state"), "deleted");
}

#[test]
fn what_a_gateway_cannot_be_made_with_makes_it_fail() {
    let mut net = Net::new();
    let (vpc, allocation) = (net.vpc.clone(), allocate(&mut net));
    let without_gateway = public_form(&net, &allocation);
    let id = net.lab.get(&without_gateway, "natGatewayId");
    assert_eq!(net.lab.get(&without_gateway, "state"), "pending");
    let shown = show(&mut net, &id);
    assert_eq!((value(&shown, "state"), value(&shown, "failureCode")), ("failed".into(), "Gateway.NotAttached".into()));
    assert_eq!(value(&shown, "failureMessage"), format!("Network {vpc} has no Internet gateway attached"));

    let mut net = self::net();
    let allocation = allocate(&mut net);
    let form = public_form(&net, &allocation);
    net.lab.xml(&form);
    let id = net.lab.get(&form, "natGatewayId");
    let message = value(&show(&mut net, &id), "failureMessage");
    assert_eq!(message, format!("Elastic IP address {allocation} is already associated"));
    let unknown = public_form(&net, "eipalloc-0123456789abcdef0");
    let id = net.lab.get(&unknown, "natGatewayId");
    assert_eq!(value(&show(&mut net, &id), "failureCode"), "InvalidAllocationID.NotFound");

    let small = net.subnet("10.0.2.0/28", "b");
    let fill = format!("Action=CreateNetworkInterface&SubnetId={small}&SecondaryPrivateIpAddressCount=10");
    net.lab.xml(&fill);
    let id = net.lab.get(&format!("Action=CreateNatGateway&SubnetId={small}&ConnectivityType=private"), "natGatewayId");
    let message = value(&show(&mut net, &id), "failureMessage");
    assert_eq!(message, "Subnet has insufficient free addresses to create this NAT gateway");
    let failed = "Action=DescribeNatGateways&Filter.1.Name=state&Filter.1.Value.1=failed";
    assert_eq!(net.lab.all(failed, "natGatewayId").len(), 3);
    assert_eq!(net.lab.all("Action=DescribeNetworkInterfaces", "natGatewayId").len(), 0);
}

#[test]
fn parameters_that_make_no_gateway_are_refused() {
    let mut net = net();
    let allocation = allocate(&mut net);
    let (public, private) = (public_form(&net, &allocation), private_form(&net));
    net.lab.refuses(&[
        ("Action=CreateNatGateway&ConnectivityType=private", "MissingParameter"),
        (&format!("Action=CreateNatGateway&SubnetId={}", net.subnet.clone()), "MissingParameter"),
        (
            "Action=CreateNatGateway&SubnetId=subnet-0123456789abcdef0&ConnectivityType=private",
            "InvalidSubnetID.NotFound",
        ),
        (&format!("{private}&AllocationId={allocation}"), "InvalidParameterCombination"),
        (&format!("{public}&SecondaryPrivateIpAddressCount=1"), "InvalidParameterCombination"),
        (&format!("{public}&SecondaryPrivateIpAddress.1=10.0.1.9"), "InvalidParameterCombination"),
        (&format!("{private}&PrivateIpAddress=10.0.1.3"), "InvalidParameterValue"),
        (&format!("{private}&PrivateIpAddress=x"), "InvalidParameterValue"),
        (&format!("{private}&SecondaryPrivateIpAddressCount=8"), "NatGatewayAddressLimitExceeded"),
        (
            &format!("{private}&AvailabilityMode=regional"),
            "UnsupportedOperation: The parameter AvailabilityMode=regional",
        ),
        ("Action=DescribeNatGateways&NatGatewayId.1=nat-0123456789abcdef0", "NatGatewayNotFound: NAT gateway nat-012"),
        ("Action=DeleteNatGateway&NatGatewayId=nat-x", "NatGatewayMalformed"),
    ]);
}

#[test]
fn a_zone_has_five_gateways() {
    let mut net = Net::new();
    let form = private_form(&net);
    let first = net.lab.get(&form, "natGatewayId");
    for _ in 1..5 {
        net.lab.xml(&form);
    }
    let refusal = net.lab.refusal(&form);
    assert_eq!(refusal, "NatGatewayLimitExceeded: Performing this operation would exceed the limit of 5 NAT gateways");
    let elsewhere = net.subnet("10.0.2.0/24", "b");
    net.lab.xml(&format!("Action=CreateNatGateway&SubnetId={elsewhere}&ConnectivityType=private"));
    net.lab.xml(&format!("Action=DeleteNatGateway&NatGatewayId={first}"));
    net.lab.xml(&form);
}

#[test]
fn a_private_gateway_takes_and_gives_private_addresses() {
    let mut net = Net::new();
    let form = format!("{}&PrivateIpAddress=10.0.1.50&SecondaryPrivateIpAddressCount=1", private_form(&net));
    let id = net.lab.get(&form, "natGatewayId");
    let of = |action: &str, rest: &str| format!("Action={action}PrivateNatGatewayAddress&NatGatewayId={id}{rest}");
    let added = net.lab.xml(&of("Assign", "&PrivateIpAddress.1=10.0.1.60"));
    assert_eq!((value(&added, "privateIp"), value(&added, "status")), ("10.0.1.60".into(), "assigning".into()));
    net.lab.xml(&of("Assign", "&PrivateIpAddressCount=2"));
    let shown = show(&mut net, &id);
    assert_eq!(values(&shown, "privateIp").len(), 5);
    assert_eq!(values(&shown, "isPrimary"), ["true", "false", "false", "false", "false"]);
    let eni = net.lab.world.tables().enis.values().next().unwrap().clone();
    let of_eni: Vec<_> = eni.private_ipv4.iter().map(ToString::to_string).collect();
    assert_eq!(values(&shown, "privateIp"), of_eni, "the interface holds the same");
    net.lab.refuses(&[
        (&of("Unassign", "&PrivateIpAddress.1=10.0.1.50"), "InvalidParameterValue: The primary address"),
        (&of("Unassign", "&PrivateIpAddress.1=10.0.1.99"), "InvalidParameterValue"),
        (&of("Assign", "&PrivateIpAddress.1=10.0.1.60"), "InvalidIPAddress.InUse"),
        (&of("Assign", "&PrivateIpAddressCount=4"), "NatGatewayAddressLimitExceeded"),
        (&of("Assign", ""), "MissingParameter"),
        (
            &format!("Action=AssociateNatGatewayAddress&NatGatewayId={id}&AllocationId.1=eipalloc-0123456789abcdef0"),
            "InvalidParameterCombination: AssociateNatGatewayAddress is for public NAT gateways only",
        ),
    ]);
    let gone = net.lab.xml(&of("Unassign", "&PrivateIpAddress.1=10.0.1.60&MaxDrainDurationSeconds=1"));
    assert_eq!(value(&gone, "status"), "unassigning");
    assert_eq!(values(&show(&mut net, &id), "privateIp").len(), 4);
}

#[test]
fn a_public_gateway_takes_and_gives_elastic_addresses() {
    let mut net = net();
    let (first, second, third) = (allocate(&mut net), allocate(&mut net), allocate(&mut net));
    let form = public_form(&net, &first);
    let id = net.lab.get(&form, "natGatewayId");
    let add =
        |allocation: &str| format!("Action=AssociateNatGatewayAddress&NatGatewayId={id}&AllocationId.1={allocation}");
    let added = net.lab.xml(&add(&second));
    assert_eq!((value(&added, "allocationId"), value(&added, "status")), (second.clone(), "associating".to_owned()));
    let association = value(&added, "associationId");
    let primary = values(&show(&mut net, &id), "associationId").remove(0);
    let drop = |association: &str| {
        format!("Action=DisassociateNatGatewayAddress&NatGatewayId={id}&AssociationId.1={association}")
    };
    net.lab.refuses(&[
        (&add(&third), "NatGatewayAddressLimitExceeded"),
        (&add(&first), "Resource.AlreadyAssociated"),
        (&drop(&primary), "InvalidParameterValue: The primary address"),
        (&drop("eipassoc-0123456789abcdef0"), "InvalidAssociationID.NotFound"),
        (
            &format!("Action=AssignPrivateNatGatewayAddress&NatGatewayId={id}&PrivateIpAddressCount=1"),
            "InvalidParameterCom",
        ),
    ]);
    let gone = net.lab.xml(&drop(&association));
    assert_eq!(value(&gone, "status"), "disassociating");
    net.lab.xml(&format!("Action=ReleaseAddress&AllocationId={second}"));
    assert_eq!(values(&show(&mut net, &id), "privateIp").len(), 1);
}

#[test]
fn the_dial_holds_a_gateway_to_fewer_connections() {
    let mut net = Net::new();
    let form = private_form(&net);
    let id = net.lab.get(&form, "natGatewayId").parse().unwrap();
    let turn = |net: &Net, ports| plan_nat_ports(&net.lab.world, id, ports);
    let changes = turn(&net, Some(64)).unwrap();
    net.lab.apply(changes);
    assert_eq!(net.lab.world.nat_gateway(id).unwrap().port_limit(), 64);
    assert_eq!(turn(&net, Some(64)), Ok(Vec::new()));
    assert_eq!(turn(&net, Some(0)), Err(DialError::OutOfRange(0)));
    assert_eq!(turn(&net, Some(55_001)), Err(DialError::OutOfRange(55_001)));
    let unknown = gp_model::NatGatewayId::from_bits(7);
    assert_eq!(plan_nat_ports(&net.lab.world, unknown, None), Err(DialError::NotFound(unknown)));
    let changes = turn(&net, None).unwrap();
    net.lab.apply(changes);
    assert_eq!(net.lab.world.nat_gateway(id).unwrap().port_limit(), 55_000);
}

/// A public gateway with a second address, whose connections go on: its id, that address's allocation and association.
fn with_second(net: &mut Net) -> (String, String, String) {
    let (first, second) = (allocate(net), allocate(net));
    let form = format!("{}&SecondaryAllocationId.1={second}", public_form(net, &first));
    let id = net.lab.get(&form, "natGatewayId");
    let association = values(&show(net, &id), "associationId").remove(1);
    net.lab.host_is_away = true;
    (id, second, association)
}

fn drain_form(id: &str, association: &str, secs: &str) -> String {
    format!("Action=DisassociateNatGatewayAddress&NatGatewayId={id}&AssociationId.1={association}{secs}")
}

/// The seconds after which the first draining address goes: one before, and then.
fn drains_for(net: &mut Net, secs: u64) {
    let changes = plan_drained(&net.lab.world, net.lab.now.plus_secs(secs - 1));
    assert_eq!(changes, [], "after {} s", secs - 1);
    let changes = plan_drained(&net.lab.world, net.lab.now.plus_secs(secs));
    assert!(!changes.is_empty(), "after {secs} s");
    net.lab.apply(changes);
}

#[test]
fn an_address_drains_for_as_long_as_asked_and_is_free_afterwards() {
    for (asked, secs) in [("", 350), ("&MaxDrainDurationSeconds=1", 1), ("&MaxDrainDurationSeconds=4000", 4000)] {
        let mut net = net();
        let (id, second, association) = with_second(&mut net);
        let told = net.lab.xml(&drain_form(&id, &association, asked));
        assert_eq!((value(&told, "status"), value(&told, "allocationId")), ("disassociating".into(), second.clone()));
        let shown = show(&mut net, &id);
        assert_eq!(values(&shown, "status"), ["succeeded", "disassociating"]);
        assert_eq!((values(&shown, "publicIp").len(), value(&shown, "state")), (2, "available".into()));
        let subnet = net.subnet.clone();
        let own = net.eni(&subnet);
        let (first, taken) = (values(&shown, "allocationId").remove(0), values(&shown, "privateIp").remove(1));
        let again = format!("Action=AssociateNatGatewayAddress&NatGatewayId={id}&AllocationId.1={second}");
        net.lab.refuses(&[
            (&again, "Resource.AlreadyAssociated"),
            (&format!("Action=AssociateAddress&AllocationId={second}&NetworkInterfaceId={own}"), "Resource.AlreadyAss"),
            (&format!("Action=ReleaseAddress&AllocationId={second}"), "AuthFailure"),
            (
                &format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={own}&PrivateIpAddress.1={taken}"),
                "InvalidParameterValue",
            ),
        ]);
        drains_for(&mut net, secs);
        let shown = show(&mut net, &id);
        assert_eq!((value(&shown, "status"), value(&shown, "allocationId")), ("succeeded".into(), first));
        net.lab.xml(&format!("Action=AssociateAddress&AllocationId={second}&NetworkInterfaceId={own}"));
        net.lab.xml(&format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={own}&PrivateIpAddress.1={taken}"));
        assert_eq!(net.lab.world.draining_nat_gateways().count(), 0);
    }
}

#[test]
fn each_address_has_its_own_time_to_drain_and_a_second_call_only_shortens_it() {
    let mut net = Net::new();
    let form = format!("{}&SecondaryPrivateIpAddressCount=2", private_form(&net));
    let id = net.lab.get(&form, "natGatewayId");
    let addresses = values(&show(&mut net, &id), "privateIp");
    net.lab.host_is_away = true;
    let drain = |address: &str, secs: u64| {
        format!(
            "Action=UnassignPrivateNatGatewayAddress&NatGatewayId={id}&PrivateIpAddress.1={address}\
             &MaxDrainDurationSeconds={secs}"
        )
    };
    net.lab.refuses(&[
        (&drain(&addresses[1], 0), "InvalidParameterValue"),
        (&drain(&addresses[1], 4001), "InvalidParameterValue"),
        (&drain(&addresses[0], 1), "InvalidParameterValue: The primary address"),
    ]);
    net.lab.xml(&drain(&addresses[1], 30));
    net.lab.xml(&drain(&addresses[2], 10));
    assert_eq!(value(&net.lab.xml(&drain(&addresses[2], 60)), "status"), "unassigning");
    assert_eq!(values(&show(&mut net, &id), "status"), ["succeeded", "unassigning", "unassigning"]);
    drains_for(&mut net, 10);
    assert_eq!(values(&show(&mut net, &id), "privateIp"), addresses[..2]);
    net.lab.xml(&drain(&addresses[1], 20));
    drains_for(&mut net, 20);
    assert_eq!(values(&show(&mut net, &id), "privateIp"), addresses[..1]);
    let eni = net.lab.world.tables().enis.values().next().unwrap().clone();
    assert_eq!(eni.private_ipv4.iter().map(ToString::to_string).collect::<Vec<_>>(), addresses[..1]);
}

#[test]
fn an_address_that_nobody_uses_any_more_goes_before_its_time() {
    let mut net = net();
    let (id, second, association) = with_second(&mut net);
    net.lab.xml(&drain_form(&id, &association, ""));
    let draining = net.lab.world.nat_gateway(id.parse().unwrap()).unwrap().addresses[1].clone();
    let report = |net: &Net, drains_until, region| HostReport::NatAddressUnused {
        region,
        gateway: net.lab.world.draining_nat_gateways().next().unwrap().1.id,
        address: draining.private_ip,
        drains_until,
    };
    let (until, here) = (draining.drains_until.unwrap(), net.lab.world.region.clone());
    for outdated in [report(&net, net.lab.now, here.clone()), report(&net, until, Region::new("eu-west-1"))] {
        assert_eq!(plan_report(&net.lab.world, &outdated, net.lab.now), []);
    }
    let unused = report(&net, until, here);
    let changes = plan_report(&net.lab.world, &unused, net.lab.now);
    net.lab.apply(changes);
    assert_eq!(values(&show(&mut net, &id), "status"), ["succeeded"]);
    assert_eq!(plan_report(&net.lab.world, &unused, net.lab.now), [], "told again");
    net.lab.xml(&format!("Action=ReleaseAddress&AllocationId={second}"));
}

#[test]
fn a_gateway_is_deleted_with_the_addresses_that_drain() {
    let mut net = net();
    let (id, second, association) = with_second(&mut net);
    net.lab.xml(&drain_form(&id, &association, "&MaxDrainDurationSeconds=5"));
    net.lab.xml(&format!("Action=DeleteNatGateway&NatGatewayId={id}"));
    assert_eq!(values(&show(&mut net, &id), "status"), ["disassociating", "disassociating"]);
    assert!(net.lab.refusal(&drain_form(&id, &association, "")).starts_with("IncorrectState"));
    let later = net.lab.now.plus_secs(5);
    assert_eq!(plan_drained(&net.lab.world, later), [], "they go with the gateway");
    net.lab.settle();
    assert_eq!(value(&show(&mut net, &id), "state"), "deleted");
    assert!(net.lab.all("Action=DescribeAddresses", "associationId").is_empty());
    assert_eq!(plan_drained(&net.lab.world, later), []);
    net.lab.xml(&format!("Action=ReleaseAddress&AllocationId={second}"));
}
