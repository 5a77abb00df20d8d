//! Public addresses as callers see them: Elastic IP addresses, automatic ones, and refusals in AWS's words.

use crate::instance::testing::{Net, attach_form};
use crate::testing::{Lab, values};
use gp_compile::InstanceOutcome;
use gp_model::Region;

/// A net whose VPC has an internet gateway.
fn net() -> Net {
    let mut net = Net::new();
    let gateway = net.lab.get("Action=CreateInternetGateway", "internetGatewayId");
    net.lab.xml(&format!("Action=AttachInternetGateway&InternetGatewayId={gateway}&VpcId={}", net.vpc));
    net
}

fn allocate(net: &mut Net) -> (String, String) {
    let xml = net.lab.xml("Action=AllocateAddress");
    (values(&xml, "allocationId").remove(0), values(&xml, "publicIp").remove(0))
}

fn associate(net: &mut Net, allocation: &str, rest: &str) -> String {
    net.lab.get(&format!("Action=AssociateAddress&AllocationId={allocation}&{rest}"), "associationId")
}

fn map_public(net: &mut Net) {
    let form = format!("Action=ModifySubnetAttribute&SubnetId={}&MapPublicIpOnLaunch.Value=true", net.subnet);
    net.lab.xml(&form);
}

/// The instance's public address as DescribeInstances shows it.
fn public_ip(net: &mut Net, instance: &str) -> Option<String> {
    let form = format!("Action=DescribeInstances&InstanceId.1={instance}");
    values(&net.lab.xml(&form), "ipAddress").first().cloned()
}

fn stop(net: &mut Net, instance: &str) {
    net.lab.xml(&format!("Action=StopInstances&InstanceId.1={instance}"));
    net.report(instance, InstanceOutcome::Stopped);
}

fn start(net: &mut Net, instance: &str) {
    net.lab.xml(&format!("Action=StartInstances&InstanceId.1={instance}"));
    net.report(instance, InstanceOutcome::Running);
}

// === Elastic IP addresses ===

#[test]
fn an_address_is_allocated_with_its_tags_and_released() {
    let mut lab = Lab::new();
    let form = "Action=AllocateAddress&Domain=vpc&TagSpecification.1.ResourceType=elastic-ip\
                &TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=a";
    let xml = lab.xml(form);
    let address = values(&xml, "publicIp").remove(0);
    assert!(address.starts_with("198.51.100."), "{xml}");
    let expected = [("domain", "vpc"), ("publicIpv4Pool", "amazon"), ("networkBorderGroup", "us-east-1")];
    for (element, value) in expected {
        assert_eq!(values(&xml, element), [value]);
    }
    let shown = lab.xml(&format!("Action=DescribeAddresses&PublicIp.1={address}"));
    assert_eq!((values(&shown, "publicIp"), values(&shown, "value")), (vec![address.clone()], vec!["a".to_owned()]));
    let id = values(&shown, "allocationId").remove(0);
    lab.xml(&format!("Action=ReleaseAddress&AllocationId={id}"));
    assert!(lab.all("Action=DescribeAddresses", "publicIp").is_empty());
    // Nobody has taken it meanwhile, so it can be had back.
    assert_eq!(lab.get(&format!("Action=AllocateAddress&Address={address}"), "publicIp"), address);
}

#[test]
fn another_regions_addresses_are_of_another_block() {
    let mut lab = Lab::in_region("eu-central-1");
    assert!(lab.get("Action=AllocateAddress", "publicIp").starts_with("198.18."));
}

#[test]
fn allocations_are_refused_in_awss_words() {
    let mut lab = Lab::new();
    let taken = lab.get("Action=AllocateAddress", "publicIp");
    lab.refuses(&[
        (
            &format!("Action=AllocateAddress&Address={taken}"),
            &format!("InvalidIPAddress.InUse: Address {taken} is in use."),
        ),
        ("Action=AllocateAddress&Address=192.0.2.1", "InvalidAddress.NotFound"),
        ("Action=AllocateAddress&Address=198.51.100.1", "InvalidAddress.NotFound"),
        ("Action=AllocateAddress&Address=x", "InvalidParameterValue"),
        ("Action=AllocateAddress&PublicIpv4Pool=ipv4pool-ec2-0123", "InvalidPublicIpv4PoolID.NotFound"),
        ("Action=AllocateAddress&NetworkBorderGroup=us-west-2", "InvalidParameterValue"),
        ("Action=AllocateAddress&Domain=standard", "UnsupportedOperation"),
        ("Action=AllocateAddress&IpamPoolId=ipam-pool-1", "UnsupportedOperation: The parameter IpamPoolId"),
        (
            "Action=ReleaseAddress&AllocationId=eipalloc-0123456789abcdef0",
            "InvalidAllocationID.NotFound: The allocation ID 'eipalloc-0123456789abcdef0' does not exist",
        ),
        ("Action=ReleaseAddress", "MissingParameter"),
        (
            &format!("Action=ReleaseAddress&PublicIp={taken}"),
            "InvalidParameterValue: You must specify an allocation id",
        ),
        (
            "Action=DescribeAddresses&PublicIp.1=198.51.100.2",
            "InvalidAddress.NotFound: Address '198.51.100.2' not found.",
        ),
        ("Action=DisassociateAddress&AssociationId=eipassoc-0123456789abcdef0", "InvalidAssociationID.NotFound"),
        (&format!("Action=DisassociateAddress&PublicIp={taken}"), "InvalidParameterValue"),
    ]);
    for _ in 1..5 {
        lab.xml("Action=AllocateAddress");
    }
    let refusal = lab.refusal("Action=AllocateAddress");
    assert_eq!(refusal, "AddressLimitExceeded: The maximum number of addresses has been reached.");
}

#[test]
fn an_exhausted_pool_says_so() {
    let mut lab = Lab::new();
    lab.settings.quotas.addresses = 1000;
    lab.settings.public_pool.configure(gp_model::Region::new("us-east-1"), "192.0.2.0/30".parse().unwrap());
    lab.xml("Action=AllocateAddress");
    assert!(lab.refusal("Action=AllocateAddress").starts_with("InsufficientAddressCapacity: "));
}

#[test]
fn an_association_is_shown_everywhere_and_found_by_every_filter() {
    let mut net = net();
    net.lab.xml(&format!("Action=ModifyVpcAttribute&VpcId={}&EnableDnsHostnames.Value=true", net.vpc));
    let instance = net.running("t3.micro");
    let eni = net.enis_of(&instance).remove(0);
    let (allocation, address) = allocate(&mut net);
    let association = associate(&mut net, &allocation, &format!("InstanceId={instance}"));
    let name = format!("ec2-{}.compute-1.amazonaws.com", address.replace('.', "-"));

    let shown = net.lab.xml("Action=DescribeAddresses");
    for (element, value) in [
        ("associationId", &association),
        ("instanceId", &instance),
        ("networkInterfaceId", &eni),
        ("networkInterfaceOwnerId", &"111122223333".to_owned()),
    ] {
        assert_eq!(values(&shown, element), std::slice::from_ref(value), "{element}");
    }
    let shown = net.lab.xml("Action=DescribeInstances");
    assert_eq!(values(&shown, "ipAddress"), std::slice::from_ref(&address));
    assert_eq!(values(&shown, "dnsName"), std::slice::from_ref(&name));
    assert_eq!(values(&shown, "ipOwnerId"), ["111122223333", "111122223333"]);
    let shown = net.lab.xml(&format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={eni}"));
    assert_eq!(values(&shown, "publicDnsName"), [name.clone(), name.clone()]);
    assert_eq!(values(&shown, "allocationId"), [allocation.clone(), allocation.clone()]);

    let cases = [
        ("DescribeAddresses", "association-id", &association),
        ("DescribeAddresses", "instance-id", &instance),
        ("DescribeAddresses", "public-ip", &address),
        ("DescribeInstances", "ip-address", &address),
        ("DescribeInstances", "dns-name", &name),
        ("DescribeInstances", "network-interface.association.public-ip", &address),
        ("DescribeInstances", "network-interface.association.allocation-id", &allocation),
        ("DescribeInstances", "network-interface.association.association-id", &association),
        ("DescribeInstances", "network-interface.addresses.association.public-ip", &address),
        ("DescribeInstances", "network-interface.addresses.association.association-id", &association),
        ("DescribeNetworkInterfaces", "association.public-ip", &address),
        ("DescribeNetworkInterfaces", "association.allocation-id", &allocation),
        ("DescribeNetworkInterfaces", "association.association-id", &association),
        ("DescribeNetworkInterfaces", "association.public-dns-name", &name),
        ("DescribeNetworkInterfaces", "addresses.association.public-ip", &address),
    ];
    for (action, filter, value) in cases {
        for (value, found) in [(value.as_str(), 1), ("other", 0)] {
            let form = format!("Action={action}&Filter.1.Name={filter}&Filter.1.Value.1={value}");
            let ids = net.lab.all(&form, "networkInterfaceId");
            assert_eq!(ids.len(), found, "{form}");
        }
    }
}

#[test]
fn an_association_moves_unless_that_is_forbidden_and_repeats_are_harmless() {
    let mut net = net();
    let subnet = net.subnet.clone();
    let (one, other) = (net.eni(&subnet), net.eni(&subnet));
    let (allocation, address) = allocate(&mut net);
    let to = |eni: &str| format!("NetworkInterfaceId={eni}");
    let first = associate(&mut net, &allocation, &to(&one));
    assert_eq!(associate(&mut net, &allocation, &to(&one)), first, "the same again");
    let form = format!("Action=AssociateAddress&AllocationId={allocation}&{}&AllowReassociation=false", to(&other));
    let refusal = net.lab.refusal(&form);
    assert_eq!(
        refusal,
        format!("Resource.AlreadyAssociated: resource {allocation} is already associated with associate-id {first}")
    );
    let second = associate(&mut net, &allocation, &to(&other));
    assert_ne!(first, second);
    let held = net.lab.world.private_of_public(address.parse().unwrap()).map(|(eni, _)| eni.id.to_string());
    assert_eq!(held.as_deref(), Some(other.as_str()));
    // A second address on the same private one sets the first free, which stays allocated.
    let (newer, _) = allocate(&mut net);
    associate(&mut net, &newer, &to(&other));
    let shown = net.lab.xml(&format!("Action=DescribeAddresses&AllocationId.1={allocation}"));
    assert!(values(&shown, "associationId").is_empty(), "{shown}");
    let busy = format!("Action=ReleaseAddress&AllocationId={newer}");
    assert!(net.lab.refusal(&busy).starts_with("InvalidIPAddress.InUse: Address "));
}

#[test]
fn each_private_address_has_an_elastic_one_of_its_own() {
    let mut net = net();
    let subnet = net.subnet.clone();
    let (eni, other) = (net.eni(&subnet), net.eni(&subnet));
    let assign = format!("Action=AssignPrivateIpAddresses&PrivateIpAddress.1=10.0.1.60&NetworkInterfaceId={eni}");
    net.lab.xml(&assign);
    let ((primary, _), (secondary, public)) = (allocate(&mut net), allocate(&mut net));
    associate(&mut net, &primary, &format!("NetworkInterfaceId={eni}"));
    associate(&mut net, &secondary, &format!("NetworkInterfaceId={eni}&PrivateIpAddress=10.0.1.60"));
    assert_eq!(net.lab.all("Action=DescribeAddresses", "associationId").len(), 2);
    // The Elastic IP address goes along with its private one.
    let take = format!(
        "Action=AssignPrivateIpAddresses&PrivateIpAddress.1=10.0.1.60&NetworkInterfaceId={other}&AllowReassignment=true"
    );
    net.lab.xml(&take);
    let shown = net.lab.xml(&format!("Action=DescribeAddresses&AllocationId.1={secondary}"));
    assert_eq!(values(&shown, "networkInterfaceId"), std::slice::from_ref(&other));
    assert!(net.lab.world.private_of_public(public.parse().unwrap()).is_some());
    // And is free once that is gone.
    let drop = format!("Action=UnassignPrivateIpAddresses&PrivateIpAddress.1=10.0.1.60&NetworkInterfaceId={other}");
    net.lab.xml(&drop);
    assert!(net.lab.world.private_of_public(public.parse().unwrap()).is_none());
    assert_eq!(net.lab.all("Action=DescribeAddresses", "associationId").len(), 1);
    let outside = format!("Action=AssociateAddress&AllocationId={secondary}&NetworkInterfaceId={eni}");
    net.lab.refuses(&[(&format!("{outside}&PrivateIpAddress=10.0.1.61"), "InvalidParameterValue")]);
    // Deleting the ENI ends the last one.
    net.lab.xml(&format!("Action=DeleteNetworkInterface&NetworkInterfaceId={eni}"));
    assert!(net.lab.all("Action=DescribeAddresses", "associationId").is_empty());
}

#[test]
fn an_address_of_a_delegated_prefix_may_have_an_elastic_one() {
    let mut net = net();
    let subnet = net.subnet.clone();
    let form = format!("Action=CreateNetworkInterface&SubnetId={subnet}&Ipv4Prefix.1.Ipv4Prefix=10.0.1.64/28");
    let eni = net.lab.get(&form, "networkInterfaceId");
    let (allocation, public) = allocate(&mut net);
    associate(&mut net, &allocation, &format!("NetworkInterfaceId={eni}&PrivateIpAddress=10.0.1.70"));
    let drop = format!("Action=UnassignPrivateIpAddresses&Ipv4Prefix.1=10.0.1.64/28&NetworkInterfaceId={eni}");
    net.lab.xml(&drop);
    assert!(net.lab.world.private_of_public(public.parse().unwrap()).is_none());
}

#[test]
fn targets_are_refused_in_awss_words() {
    let mut net = Net::new();
    let subnet = net.subnet.clone();
    let eni = net.eni(&subnet);
    let (allocation, _) = allocate(&mut net);
    let form = format!("Action=AssociateAddress&AllocationId={allocation}");
    let pending = net.lab.get(&net.launch_form("t3.micro", ""), "instanceId");
    let running = net.running("t3.micro");
    net.attach(&eni, &running, 1);
    let other = net.eni(&subnet);
    let vpc = net.vpc.clone();
    net.lab.refuses(&[
        (&form, "MissingParameter"),
        (
            &format!("Action=AssociateAddress&InstanceId={running}"),
            "MissingParameter: Either public IP or allocation id",
        ),
        (&format!("{form}&InstanceId=i-0123456789abcdef0"), "InvalidInstanceID.NotFound"),
        (&format!("{form}&NetworkInterfaceId=eni-0123456789abcdef0"), "InvalidNetworkInterfaceID.NotFound"),
        (
            &format!("{form}&InstanceId={pending}"),
            &format!("InvalidInstanceID: The pending instance '{pending}' is not in a valid state for this operation."),
        ),
        (
            &format!("{form}&InstanceId={running}"),
            &format!("InvalidInstanceID: There are multiple interfaces attached to instance '{running}'."),
        ),
        (&format!("{form}&InstanceId={running}&NetworkInterfaceId={other}"), "InvalidParameterCombination"),
        (
            &format!("{form}&NetworkInterfaceId={other}"),
            &format!("Gateway.NotAttached: Network {vpc} is not attached to any internet gateway"),
        ),
    ]);
}

// === Automatic addresses ===

#[test]
fn a_default_subnet_gives_its_instances_public_addresses() {
    let mut net = net();
    let form = format!("Action=RunInstances&MinCount=1&MaxCount=1&ImageId={}&InstanceType=t3.micro", net.image);
    let id = net.lab.get(&form, "instanceId");
    assert!(public_ip(&mut net, &id).is_some());
    let in_own = net.running("t3.micro");
    assert_eq!(public_ip(&mut net, &in_own), None, "other subnets don't unless they are set to");
}

#[test]
fn an_automatic_address_goes_with_a_stop_and_another_comes_with_the_start() {
    let mut net = net();
    map_public(&mut net);
    let id = net.running("t3.micro");
    let first = public_ip(&mut net, &id).expect("an address");
    let shown = net.lab.xml("Action=DescribeNetworkInterfaces");
    assert_eq!(values(&shown, "ipOwnerId"), ["amazon", "amazon"]);
    net.lab.xml(&format!("Action=StopInstances&InstanceId.1={id}"));
    assert_eq!(public_ip(&mut net, &id), Some(first.clone()), "until the host has let go of it");
    net.report(&id, InstanceOutcome::Stopped);
    assert_eq!(public_ip(&mut net, &id), None);
    assert!(!net.lab.world.is_public_ip_taken(first.parse().unwrap()));
    start(&mut net, &id);
    assert!(public_ip(&mut net, &id).is_some());
    net.lab.xml(&format!("Action=RebootInstances&InstanceId.1={id}"));
    assert!(public_ip(&mut net, &id).is_some(), "a reboot changes nothing");
}

#[test]
fn no_start_brings_back_the_address_that_the_stop_took() {
    let mut net = net();
    net.lab.settings.public_pool.configure(Region::new("us-east-1"), "192.0.2.0/29".parse().unwrap());
    map_public(&mut net);
    let id = net.running("t3.micro");
    for _ in 0..20 {
        let before = public_ip(&mut net, &id).expect("an address");
        stop(&mut net, &id);
        start(&mut net, &id);
        assert_ne!(public_ip(&mut net, &id), Some(before));
    }
}

#[test]
fn a_launch_says_whether_it_wants_a_public_address() {
    let mut net = net();
    let form = |net: &Net, wanted: &str| {
        format!(
            "Action=RunInstances&MinCount=1&MaxCount=1&ImageId={}&InstanceType=t3.micro&NetworkInterface.1.DeviceIndex=0\
             &NetworkInterface.1.SubnetId={}&NetworkInterface.1.AssociatePublicIpAddress={wanted}",
            net.image, net.subnet
        )
    };
    let with = net.lab.get(&form(&net, "true"), "instanceId");
    assert!(public_ip(&mut net, &with).is_some());
    map_public(&mut net);
    let without = net.lab.get(&form(&net, "false"), "instanceId");
    assert_eq!(public_ip(&mut net, &without), None);
}

#[test]
fn an_elastic_address_takes_the_automatic_ones_place_and_gives_it_back() {
    let mut net = net();
    map_public(&mut net);
    let id = net.running("t3.micro");
    let automatic = public_ip(&mut net, &id).expect("an address");
    let (allocation, elastic) = allocate(&mut net);
    associate(&mut net, &allocation, &format!("InstanceId={id}"));
    assert_eq!(public_ip(&mut net, &id), Some(elastic.clone()));
    assert!(!net.lab.world.is_public_ip_taken(automatic.parse().unwrap()), "released to the pool");
    stop(&mut net, &id);
    assert_eq!(public_ip(&mut net, &id), Some(elastic.clone()), "an Elastic IP address stays over a stop");
    start(&mut net, &id);
    assert_eq!(public_ip(&mut net, &id), Some(elastic.clone()));
    net.lab.xml(&format!("Action=DisassociateAddress&PublicIp={elastic}"));
    let again = public_ip(&mut net, &id).expect("a new automatic address");
    assert_ne!(again, elastic);
}

#[test]
fn an_instance_with_two_interfaces_gets_no_automatic_address_on_its_start() {
    let mut net = net();
    map_public(&mut net);
    let id = net.running("t3.micro");
    let subnet = net.subnet.clone();
    let second = net.eni(&subnet);
    net.lab.xml(&attach_form(&second, &id, 1));
    assert!(public_ip(&mut net, &id).is_some(), "it keeps the one that it has");
    stop(&mut net, &id);
    start(&mut net, &id);
    assert_eq!(public_ip(&mut net, &id), None);
}

#[test]
fn an_interfaces_wish_for_a_public_address_can_be_changed() {
    let mut net = net();
    let id = net.running("t3.micro");
    let eni = net.enis_of(&id).remove(0);
    let set = |wanted: bool| {
        format!("Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={eni}&AssociatePublicIpAddress={wanted}")
    };
    let ask =
        format!("Action=DescribeNetworkInterfaceAttribute&NetworkInterfaceId={eni}&Attribute=associatePublicIpAddress");
    net.lab.xml(&set(true));
    assert!(public_ip(&mut net, &id).is_some());
    assert_eq!(net.lab.all(&ask, "associatePublicIpAddress"), ["true"]);
    net.lab.xml(&set(false));
    assert_eq!(public_ip(&mut net, &id), None);
    assert_eq!(net.lab.all(&ask, "associatePublicIpAddress"), ["false"]);
}

#[test]
fn the_end_of_an_instance_frees_its_addresses() {
    let mut net = net();
    map_public(&mut net);
    let (elastic_one, automatic_one) = (net.running("t3.micro"), net.running("t3.micro"));
    let (allocation, _) = allocate(&mut net);
    associate(&mut net, &allocation, &format!("InstanceId={elastic_one}"));
    for id in [&elastic_one, &automatic_one] {
        net.lab.xml(&format!("Action=TerminateInstances&InstanceId.1={id}"));
        net.report(id, InstanceOutcome::Terminated);
    }
    assert!(net.lab.all("Action=DescribeAddresses", "associationId").is_empty());
    assert_eq!(net.lab.all("Action=DescribeAddresses", "allocationId"), [allocation], "it stays allocated");
    let gateway = net.lab.get(
        &format!("Action=DescribeInternetGateways&Filter.1.Name=attachment.vpc-id&Filter.1.Value.1={}", net.vpc),
        "internetGatewayId",
    );
    net.lab.xml(&format!("Action=DetachInternetGateway&InternetGatewayId={gateway}&VpcId={}", net.vpc));
}

// === Reverse names ===

#[test]
fn a_reverse_name_is_set_shown_and_reset() {
    let mut lab = Lab::new();
    let id = lab.get("Action=AllocateAddress", "allocationId");
    let name = |action: &str| format!("Action={action}AddressAttribute&AllocationId={id}");
    let set = lab.xml(&format!("{}&DomainName=mail.example.com", name("Modify")));
    assert_eq!(
        (values(&set, "value"), values(&set, "status")),
        (vec!["mail.example.com.".into()], vec!["PENDING".into()])
    );
    let ask = format!("Action=DescribeAddressesAttribute&AllocationId.1={id}&Attribute=domain-name");
    assert_eq!(lab.all(&ask, "ptrRecord"), ["mail.example.com."]);
    lab.refuses(&[
        (&format!("{}&DomainName=-x.example.com", name("Modify")), "InvalidParameterValue"),
        (&format!("{}&DomainName=single", name("Modify")), "InvalidParameterValue"),
        (&name("Modify"), "MissingParameter"),
    ]);
    lab.xml(&format!("{}&Attribute=domain-name", name("Reset")));
    assert!(lab.all(&ask, "ptrRecord").is_empty());
}
