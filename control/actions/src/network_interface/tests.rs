//! ENIs as callers see them: refusals in AWS's words, limits, addresses, attributes, Terraform's calls.

use crate::instance::testing::{Net, attach_form};
use crate::testing::values;
use gp_compile::InstanceOutcome;

fn describe(eni: &str) -> String {
    format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={eni}")
}

// === Refusals (in the order of the fact sheet's table) ===

#[test]
fn an_unknown_or_malformed_id_is_refused_in_awss_words() {
    let mut net = Net::new();
    let (vpc_group, instance) = (net.group.clone(), net.running("t3.micro"));
    let eni = net.eni(&net.subnet.clone());
    let subnet = net.subnet.clone();
    net.lab.refuses(&[
        (
            "Action=DescribeNetworkInterfaces&NetworkInterfaceId.1=eni-0123456789abcdef0",
            "InvalidNetworkInterfaceID.NotFound: The networkInterface ID 'eni-0123456789abcdef0' does not exist",
        ),
        (
            "Action=DeleteNetworkInterface&NetworkInterfaceId=eni-xyz",
            "InvalidNetworkInterfaceId.Malformed: Invalid id: \"eni-xyz\" (expecting \"eni-...\")",
        ),
        ("Action=DetachNetworkInterface&AttachmentId=eni-attach-0123456789abcdef0", "InvalidAttachmentID.NotFound: "),
        (
            &attach_form(&eni, "i-0123456789abcdef0", 1),
            "InvalidInstanceID.NotFound: The instance ID 'i-0123456789abcdef0' does not exist",
        ),
        (
            "Action=CreateNetworkInterface&SubnetId=subnet-0123456789abcdef0",
            "InvalidSubnetID.NotFound: The subnet ID 'subnet-0123456789abcdef0' does not exist",
        ),
        (
            &format!("Action=CreateNetworkInterface&SubnetId={subnet}&SecurityGroupId.1=sg-0123456789abcdef0"),
            "InvalidGroup.NotFound: The security group 'sg-0123456789abcdef0' does not exist",
        ),
        (
            &format!(
                "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={eni}&SecurityGroupId.1=sg-0123456789abcdef0"
            ),
            "InvalidGroup.NotFound: The security group 'sg-0123456789abcdef0' does not exist",
        ),
    ]);
    assert!(vpc_group.starts_with("sg-") && instance.starts_with("i-"));
}

#[test]
fn attaching_is_refused_in_awss_words() {
    let mut net = Net::new();
    let subnet = net.subnet.clone();
    let other_zone = net.subnet("10.0.2.0/24", "b");
    let instance = net.running("t2.micro");
    let (first, second, far) = (net.eni(&subnet), net.eni(&subnet), net.eni(&other_zone));
    net.attach(&first, &instance, 1);
    let pending = net.lab.get(&net.launch_form("t3.micro", ""), "instanceId");
    net.lab.refuses(&[
        (&attach_form(&first, &instance, 2), &format!("InvalidNetworkInterface.InUse: Interface: [{first}] in use.")),
        (
            &attach_form(&far, &instance, 2),
            "InvalidParameterCombination: You may not attach a network interface to an instance if they are not in \
             the same availability zone",
        ),
        (
            &attach_form(&second, &instance, 1),
            &format!(
                "InvalidParameterValue: Instance '{instance}' already has an interface attached at device index '1'."
            ),
        ),
        (
            &attach_form(&second, &instance, 2),
            "AttachmentLimitExceeded: Interface count 3 exceeds the limit for t2.micro",
        ),
        (&attach_form(&second, &pending, 1), "IncorrectState: "),
        (&format!("{}&DryRun=true", attach_form(&second, &pending, 1)), "IncorrectState: "),
        (&attach_form(&second, &instance, 2_000_000_000), "AttachmentLimitExceeded: "),
    ]);
    let error = net.lab.refusal(&attach_form(&far, &instance, 2));
    assert!(error.ends_with("zone"), "AWS writes no full stop here: {error}");
}

#[test]
fn detaching_and_deleting_are_refused_in_awss_words() {
    let mut net = Net::new();
    let instance = net.running("t3.micro");
    let primary = net.enis_of(&instance).remove(0);
    let attachment = net.lab.get(&describe(&primary), "attachmentId");
    net.lab.refuses(&[
        (
            &format!("Action=DetachNetworkInterface&AttachmentId={attachment}&Force=true"),
            "OperationNotPermitted: The network interface at device index 0 and networkCard index 0 cannot be detached.",
        ),
        (
            &format!("Action=DeleteNetworkInterface&NetworkInterfaceId={primary}"),
            &format!("InvalidParameterValue: Network interface '{primary}' is currently in use."),
        ),
        ("Action=DetachNetworkInterface&AttachmentId=nonsense", "InvalidAttachmentID.Malformed: "),
    ]);
}

#[test]
fn creating_is_refused_in_awss_words() {
    let mut net = Net::new();
    let create = format!("Action=CreateNetworkInterface&SubnetId={}", net.subnet);
    net.lab.xml(&format!("{create}&PrivateIpAddress=10.0.1.50"));
    let foreign = net.lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
    let foreign = format!("Action=CreateSecurityGroup&GroupName=a&GroupDescription=a&VpcId={foreign}");
    let foreign = net.lab.get(&foreign, "groupId");
    net.lab.refuses(&[
        (&format!("{create}&PrivateIpAddress=10.0.1.50"), "InvalidIPAddress.InUse: Address 10.0.1.50 is in use."),
        (
            &format!("{create}&PrivateIpAddress=10.0.2.50"),
            "InvalidParameterValue: Address does not fall within the subnet's address range",
        ),
        (
            &format!("{create}&PrivateIpAddress=10.0.1.3"),
            "InvalidParameterValue: Address 10.0.1.3 is in subnet's reserved address range.",
        ),
        (&format!("{create}&PrivateIpAddress=10.0.1"), "InvalidParameterValue: "),
        (&format!("{create}&SecurityGroupId.1={foreign}"), "InvalidParameter: Security group "),
        (
            &format!("{create}&SecondaryPrivateIpAddressCount=50"),
            "PrivateIpAddressLimitExceeded: Number of private addresses will exceed limit.",
        ),
        (&format!("{create}&SecondaryPrivateIpAddressCount=-1"), "InvalidParameterValue: "),
        (&format!("{create}&SecondaryPrivateIpAddressCount=2147483647"), "PrivateIpAddressLimitExceeded: "),
        (
            &format!("{create}&SecondaryPrivateIpAddressCount=1&PrivateIpAddresses.1.PrivateIpAddress=10.0.1.60"),
            "InvalidParameterCombination: ",
        ),
        (&format!("{create}&Ipv6AddressCount=1"), "InvalidParameterCombination: "),
        (&format!("{create}&InterfaceType=efa"), "UnsupportedOperation: "),
        (&format!("{create}&Ipv4Prefix.1.Ipv4Prefix=10.0.1.32/27"), "InvalidParameterValue: "),
        (
            &format!("{create}&Ipv4Prefix.1.Ipv4Prefix=10.0.1.48/28"),
            "InvalidIPAddress.InUse: Address 10.0.1.48/28 is in use.",
        ),
        (&format!("{create}&Ipv4Prefix.1.Ipv4Prefix=10.0.1.0/28"), "InvalidParameterValue: "),
        (&format!("{create}&ConnectionTrackingSpecification.UdpTimeout=5"), "InvalidParameterValue: "),
        (&format!("{create}&DryRun=true"), "DryRunOperation: "),
    ]);
}

#[test]
fn an_eni_has_at_most_five_groups() {
    let mut net = Net::new();
    let mut form = format!("Action=CreateNetworkInterface&SubnetId={}", net.subnet);
    for n in 1..=6 {
        let group = format!("Action=CreateSecurityGroup&GroupName=g{n}&GroupDescription=a&VpcId={}", net.vpc);
        form += &format!("&SecurityGroupId.{n}={}", net.lab.get(&group, "groupId"));
    }
    let refusal = net.lab.refusal(&form);
    assert!(refusal.starts_with("SecurityGroupsPerInterfaceLimitExceeded: "), "{refusal}");
}

#[test]
fn a_full_subnet_refuses_enis_and_instances_in_different_words() {
    let mut net = Net::new();
    let small = net.subnet("10.0.2.0/28", "a");
    for _ in 0..11 {
        net.eni(&small);
    }
    let image = net.image.clone();
    net.lab.refuses(&[
        (
            &format!("Action=CreateNetworkInterface&SubnetId={small}"),
            "InsufficientFreeAddressesInSubnet: The specified subnet does not have enough free addresses to satisfy \
             the request.",
        ),
        (
            &format!(
                "Action=RunInstances&MinCount=1&MaxCount=1&ImageId={image}&InstanceType=t3.micro&SubnetId={small}"
            ),
            &format!(
                "InsufficientFreeAddressesInSubnet: There are not enough free addresses in subnet '{small}' to satisfy \
                 the requested number of instances."
            ),
        ),
        (
            &format!("Action=CreateNetworkInterface&SubnetId={small}&Ipv4PrefixCount=1"),
            "InvalidParameterValue: There aren't sufficient free Ipv4 addresses or prefixes",
        ),
    ]);
}

#[test]
fn the_quota_of_enis_holds() {
    let mut net = Net::new();
    net.lab.settings.quotas.enis = 2;
    let subnet = net.subnet.clone();
    net.eni(&subnet);
    net.eni(&subnet);
    let refusal = net.lab.refusal(&format!("Action=CreateNetworkInterface&SubnetId={subnet}"));
    assert_eq!(refusal, "NetworkInterfaceLimitExceeded: The maximum number of network interfaces has been reached.");
}

#[test]
fn a_client_token_creates_once() {
    let mut net = Net::new();
    let form = format!("Action=CreateNetworkInterface&SubnetId={}&ClientToken=abc", net.subnet);
    let eni = net.lab.get(&form, "networkInterfaceId");
    assert_eq!(net.lab.get(&form, "networkInterfaceId"), eni);
    assert_eq!(net.lab.world.tables().enis.len(), 1);
    let refusal = net.lab.refusal(&format!("{form}&Description=other"));
    assert!(refusal.starts_with("IdempotentParameterMismatch: "), "{refusal}");
}

// === Limits by type ===

#[test]
fn a_t2_micro_carries_two_enis_of_two_addresses() {
    let mut net = Net::new();
    let instance = net.running("t2.micro");
    let primary = net.enis_of(&instance).remove(0);
    let assign =
        format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={primary}&SecondaryPrivateIpAddressCount=1");
    net.lab.xml(&assign);
    assert_eq!(
        net.lab.refusal(&assign),
        "PrivateIpAddressLimitExceeded: Number of private addresses will exceed limit."
    );
    // An ENI that holds more than the type takes can't be attached.
    let create = format!("Action=CreateNetworkInterface&SubnetId={}&SecondaryPrivateIpAddressCount=2", net.subnet);
    let large = net.lab.get(&create, "networkInterfaceId");
    let refusal = net.lab.refusal(&attach_form(&large, &instance, 1));
    assert!(refusal.starts_with("PrivateIpAddressLimitExceeded: "), "{refusal}");
    // Xen types take no prefixes.
    let prefix = format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={primary}&Ipv4PrefixCount=1");
    assert!(net.lab.refusal(&prefix).starts_with("UnsupportedOperation: "));
}

#[test]
fn a_c5_large_takes_a_primary_address_and_nine_prefixes() {
    let mut net = Net::new();
    let instance = net.running("c5.large");
    let primary = net.enis_of(&instance).remove(0);
    let assign = |n| format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={primary}&Ipv4PrefixCount={n}");
    let prefixes = net.lab.all(&assign(9), "ipv4Prefix");
    assert_eq!(prefixes.len(), 9);
    assert!(net.lab.refusal(&assign(1)).starts_with("PrivateIpAddressLimitExceeded: "));
    // An address out of a delegated prefix is not to be had by others.
    let inside = prefixes[0].replace("/28", "");
    let form = format!("Action=CreateNetworkInterface&SubnetId={}&PrivateIpAddress={inside}", net.subnet);
    assert_eq!(net.lab.refusal(&form), format!("InvalidIPAddress.InUse: Address {inside} is in use."));
    let unassign =
        format!("Action=UnassignPrivateIpAddresses&NetworkInterfaceId={primary}&Ipv4Prefix.1={}", prefixes[0]);
    net.lab.xml(&unassign);
    net.lab.xml(&form);
}

// === Addresses ===

#[test]
fn secondary_addresses_are_assigned_moved_and_taken_back() {
    let mut net = Net::new();
    let subnet = net.subnet.clone();
    let (a, b) = (net.eni(&subnet), net.eni(&subnet));
    let assign = |eni: &str, more: &str| format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={eni}&{more}");
    let got = net.lab.all(&assign(&a, "PrivateIpAddress.1=10.0.1.60"), "privateIpAddress");
    assert_eq!(got, ["10.0.1.60"]);
    let refusal = net.lab.refusal(&assign(&b, "PrivateIpAddress.1=10.0.1.60"));
    assert!(refusal.starts_with("InvalidParameterValue: [10.0.1.60]"), "{refusal}");
    net.lab.xml(&assign(&b, "PrivateIpAddress.1=10.0.1.60&AllowReassignment=true"));
    let addresses = net.lab.all(&describe(&b), "privateIpAddress");
    assert!(addresses.contains(&"10.0.1.60".to_owned()), "{addresses:?}");
    assert!(!net.lab.all(&describe(&a), "privateIpAddress").contains(&"10.0.1.60".to_owned()));
    // Once more for the ENI that has it: nothing changes.
    net.lab.xml(&assign(&b, "PrivateIpAddress.1=10.0.1.60&AllowReassignment=true"));
    let primary = net.lab.get(&describe(&a), "privateIpAddress");
    net.lab.refuses(&[
        (&assign(&b, &format!("PrivateIpAddress.1={primary}&AllowReassignment=true")), "InvalidParameterValue: "),
        (&assign(&b, "PrivateIpAddress.1=10.0.1.61&SecondaryPrivateIpAddressCount=1"), "InvalidParameterCombination: "),
        (&assign(&b, "AllowReassignment=true"), "MissingParameter: "),
        (
            &format!("Action=UnassignPrivateIpAddresses&NetworkInterfaceId={a}&PrivateIpAddress.1={primary}"),
            "InvalidParameterValue: Cannot unassign the primary address",
        ),
        (
            &format!("Action=UnassignPrivateIpAddresses&NetworkInterfaceId={a}&PrivateIpAddress.1=10.0.1.99"),
            "InvalidParameterValue: [10.0.1.99]",
        ),
    ]);
    net.lab.xml(&format!("Action=UnassignPrivateIpAddresses&NetworkInterfaceId={b}&PrivateIpAddress.1=10.0.1.60"));
    net.lab.xml(&format!("Action=CreateNetworkInterface&SubnetId={subnet}&PrivateIpAddress=10.0.1.60"));
}

#[test]
fn ipv6_addresses_and_prefixes_are_assigned_and_taken_back() {
    let mut net = Net::new();
    let vpc = net.lab.get("Action=CreateVpc&CidrBlock=10.9.0.0/16&AmazonProvidedIpv6CidrBlock=true", "vpcId");
    let block = net.lab.get(&format!("Action=DescribeVpcs&VpcId.1={vpc}"), "ipv6CidrBlock").replace("/56", "/64");
    let form = format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.9.1.0/24&Ipv6CidrBlock={block}");
    let subnet = net.lab.get(&form, "subnetId");
    let create = format!("Action=CreateNetworkInterface&SubnetId={subnet}&Ipv6AddressCount=2");
    let eni = net.lab.get(&create, "networkInterfaceId");
    let own = values(&net.lab.xml(&describe(&eni)), "ipv6Address");
    assert!(own.len() >= 2, "{own:?}");
    let assign = format!("Action=AssignIpv6Addresses&NetworkInterfaceId={eni}");
    let given = net.lab.xml(&format!("{assign}&Ipv6AddressCount=1&Ipv6PrefixCount=1"));
    assert_eq!(values(&given, "networkInterfaceId"), [eni.as_str()]);
    net.lab.refuses(&[
        (&format!("{assign}&Ipv6Addresses.1={}", own[0]), "InvalidIPAddress.InUse: "),
        (&format!("{assign}&Ipv6AddressCount=60"), "PrivateIpAddressLimitExceeded: "),
        (&format!("{assign}&Ipv6Addresses.1=fd00::1"), "InvalidParameterValue: "),
        (&assign, "MissingParameter: "),
    ]);
    let unassign = format!("Action=UnassignIpv6Addresses&NetworkInterfaceId={eni}&Ipv6Addresses.1={}", own[0]);
    net.lab.xml(&unassign);
    assert!(net.lab.refusal(&unassign).starts_with("InvalidParameterValue: "));
    net.lab.xml(&format!("{assign}&Ipv6Addresses.1={}", own[0]));
}

// === Attributes and attachment ===

#[test]
fn one_attribute_is_changed_at_a_time_and_read_back() {
    let mut net = Net::new();
    let eni = net.eni(&net.subnet.clone());
    let modify = format!("Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={eni}");
    let read =
        |name: &str| format!("Action=DescribeNetworkInterfaceAttribute&NetworkInterfaceId={eni}&Attribute={name}");
    net.lab.xml(&format!("{modify}&SourceDestCheck.Value=false"));
    assert_eq!(net.lab.get(&read("sourceDestCheck"), "value"), "false");
    net.lab.xml(&format!("Action=ResetNetworkInterfaceAttribute&NetworkInterfaceId={eni}&SourceDestCheck=true"));
    assert_eq!(net.lab.get(&read("sourceDestCheck"), "value"), "true");
    net.lab.xml(&format!("{modify}&Description.Value=web"));
    assert_eq!(net.lab.get(&read("description"), "value"), "web");
    assert_eq!(net.lab.get(&read("groupSet"), "groupId"), net.group);
    net.lab.xml(&format!("{modify}&ConnectionTrackingSpecification.TcpEstablishedTimeout=60"));
    assert_eq!(net.lab.get(&describe(&eni), "tcpEstablishedTimeout"), "60");
    net.lab.refuses(&[
        (&modify, "InvalidParameterCombination: No attributes specified."),
        (
            &format!("{modify}&Description.Value=a&SourceDestCheck.Value=true"),
            "InvalidParameterCombination: Fields for multiple attribute types specified",
        ),
        (
            &format!(
                "{modify}&Attachment.AttachmentId=eni-attach-0123456789abcdef0&Attachment.DeleteOnTermination=true"
            ),
            "InvalidAttachmentID.NotFound: ",
        ),
    ]);
}

#[test]
fn an_eni_of_another_vpc_in_the_same_zone_may_be_attached() {
    let mut net = Net::new();
    let vpc = net.lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
    let subnet = crate::instance::testing::subnet(&mut net.lab, &vpc, "10.0.1.0/24", "a");
    let (eni, instance) = (net.eni(&subnet), net.running("t3.micro"));
    net.attach(&eni, &instance, 1);
    let xml = net.lab.xml(&format!("Action=DescribeInstances&InstanceId.1={instance}"));
    assert!(values(&xml, "vpcId").contains(&vpc), "{xml}");
}

#[test]
fn an_eni_keeps_what_it_has_when_it_moves() {
    let mut net = Net::new();
    let (a, b) = (net.running("t3.micro"), net.stopped("t3.micro"));
    let eni = net.eni(&net.subnet.clone());
    let before = net.lab.xml(&describe(&eni));
    let attachment = net.attach(&eni, &a, 1);
    assert_eq!(net.lab.all(&describe(&eni), "status"), ["attached", "in-use"]);
    net.lab.xml(&format!("Action=DetachNetworkInterface&AttachmentId={attachment}&Force=true"));
    assert_eq!(net.lab.xml(&describe(&eni)), before);
    net.attach(&eni, &b, 1);
    assert_eq!(net.enis_of(&b)[1], eni);
}

#[test]
fn an_attachment_that_is_deleted_with_its_instance_can_be_kept() {
    let mut net = Net::new();
    let instance = net.running("t3.micro");
    let (kept, dropped) = (net.enis_of(&instance).remove(0), net.eni(&net.subnet.clone()));
    let second = net.attach(&dropped, &instance, 1);
    let first = net.lab.get(&describe(&kept), "attachmentId");
    for (eni, attachment, delete) in [(&kept, &first, false), (&dropped, &second, true)] {
        net.lab.xml(&format!(
            "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={eni}&Attachment.AttachmentId={attachment}\
             &Attachment.DeleteOnTermination={delete}"
        ));
    }
    net.lab.xml(&format!("Action=TerminateInstances&InstanceId.1={instance}"));
    // Until the host has let go, nothing has left the instance.
    assert_eq!(net.enis_of(&instance).len(), 2);
    net.report(&instance, InstanceOutcome::Terminated);
    assert_eq!(net.lab.get(&describe(&kept), "status"), "available");
    assert!(net.lab.refusal(&describe(&dropped)).starts_with("InvalidNetworkInterfaceID.NotFound: "));
}

#[test]
fn a_detached_attachment_is_found_by_its_id_for_ten_seconds() {
    let mut net = Net::new();
    let (eni, instance) = (net.eni(&net.subnet.clone()), net.running("t3.micro"));
    let attachment = net.attach(&eni, &instance, 1);
    let by_id = format!(
        "Action=DescribeNetworkInterfaces&Filter.1.Name=attachment.attachment-id&Filter.1.Value.1={attachment}"
    );
    assert_eq!(net.lab.all(&by_id, "status"), ["attached", "in-use"]);
    net.lab.xml(&format!("Action=DetachNetworkInterface&AttachmentId={attachment}"));
    let read = net.lab.xml(&by_id);
    assert_eq!(values(&read, "status"), ["detached", "available"]);
    assert_eq!(
        (values(&read, "attachmentId"), values(&read, "instanceId")),
        (vec![attachment.clone()], vec![instance.clone()])
    );
    assert!(values(&net.lab.xml(&describe(&eni)), "attachmentId").is_empty(), "by its own id it is just free");
    let of_instance =
        format!("Action=DescribeNetworkInterfaces&Filter.1.Name=attachment.instance-id&Filter.1.Value.1={instance}");
    assert_eq!(net.lab.all(&of_instance, "deviceIndex"), ["0"]);
    let second = net.attach(&eni, &instance, 1);
    assert!(net.lab.all(&by_id, "status").is_empty(), "a new attachment takes its place");
    net.lab.xml(&format!("Action=DetachNetworkInterface&AttachmentId={second}"));
    net.lab.now = net.lab.now.plus_secs(10);
    let by_id = by_id.replace(&attachment, &second);
    assert!(net.lab.all(&by_id, "status").is_empty(), "too late");
}

// === Listing ===

#[test]
fn enis_are_filtered_and_paged() {
    let mut net = Net::new();
    let subnet = net.subnet.clone();
    let instance = net.running("t3.micro");
    for n in 0..7 {
        net.lab.xml(&format!(
            "Action=CreateNetworkInterface&SubnetId={subnet}&Description=web-{n}\
             &TagSpecification.1.ResourceType=network-interface&TagSpecification.1.Tag.1.Key=n\
             &TagSpecification.1.Tag.1.Value={n}"
        ));
    }
    let mut count = |filter: &str, value: &str| {
        let form = format!("Action=DescribeNetworkInterfaces&Filter.1.Name={filter}&Filter.1.Value.1={value}");
        net.lab.all(&form, "macAddress").len()
    };
    for (filter, value, want) in [
        ("description", "web-*", 7),
        ("tag:n", "3", 1),
        ("tag-key", "n", 7),
        ("status", "in-use", 1),
        ("attachment.instance-id", instance.as_str(), 1),
        ("attachment.status", "attached", 1),
        ("attachment.device-index", "0", 1),
        ("subnet-id", subnet.as_str(), 8),
        ("availability-zone-id", "use1-az6", 8),
        ("interface-type", "interface", 8),
        ("association.public-ip", "*", 0),
        ("mac-address", "0?:*", 8),
    ] {
        assert_eq!(count(filter, value), want, "{filter}={value}");
    }
    let page = "Action=DescribeNetworkInterfaces&MaxResults=5";
    let first = net.lab.xml(page);
    let token = values(&first, "nextToken").remove(0);
    let second = net.lab.xml(&format!("{page}&NextToken={token}"));
    assert_eq!((values(&first, "macAddress").len(), values(&second, "macAddress").len()), (5, 3));
    assert!(values(&second, "nextToken").is_empty());
    assert!(
        net.lab.refusal("Action=DescribeNetworkInterfaces&Filter.1.Name=nonsense").starts_with("InvalidParameterValue")
    );
}

// === Terraform ===

#[test]
fn terraform_makes_changes_attaches_and_destroys_an_eni() {
    let mut net = Net::new();
    let (subnet, group) = (net.subnet.clone(), net.group.clone());
    let create = format!(
        "Action=CreateNetworkInterface&ClientToken=t&Description=d&PrivateIpAddresses.1.Primary=true\
         &PrivateIpAddresses.1.PrivateIpAddress=10.0.1.77&SecurityGroupId.1={group}&SubnetId={subnet}"
    );
    let made = net.lab.xml(&create);
    assert_eq!(values(&made, "status"), ["pending"]);
    let eni = values(&made, "networkInterfaceId").remove(0);
    let read = net.lab.xml(&describe(&eni));
    assert_eq!(values(&read, "status"), ["available"]);
    assert_eq!(values(&read, "privateIpAddress")[0], "10.0.1.77");
    for change in [
        "SourceDestCheck.Value=false".to_owned(),
        "Description.Value=e".to_owned(),
        format!("SecurityGroupId.1={group}"),
    ] {
        net.lab.xml(&format!("Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={eni}&{change}"));
    }
    let instance = net.running("t3.micro");
    let attachment = net.attach(&eni, &instance, 1);
    let read = net.lab.xml(&describe(&eni));
    assert_eq!(
        (values(&read, "attachmentId").remove(0), values(&read, "deviceIndex").remove(0)),
        (attachment.clone(), "1".into())
    );
    net.lab.xml(&format!("Action=DetachNetworkInterface&AttachmentId={attachment}&Force=true"));
    net.lab.xml(&format!("Action=DeleteNetworkInterface&NetworkInterfaceId={eni}"));
    assert!(net.lab.refusal(&describe(&eni)).starts_with("InvalidNetworkInterfaceID.NotFound: "));
}
