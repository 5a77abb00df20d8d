//! Instances as callers see them: launches and their refusals, the state machine, attributes, Terraform's calls.

use super::testing::{Net, image};
use crate::testing::{Lab, values};
use gp_compile::InstanceOutcome;

fn describe(id: &str) -> String {
    format!("Action=DescribeInstances&InstanceId.1={id}")
}

fn failed() -> InstanceOutcome {
    InstanceOutcome::Failed { reason: "no room".to_owned() }
}

// === Launching ===

#[test]
fn a_launch_answers_as_recorded() {
    let mut net = Net::new();
    let xml = net.lab.xml(&net.launch_form("t3.micro", ""));
    let (id, eni) = (values(&xml, "instanceId").remove(0), values(&xml, "networkInterfaceId").remove(0));
    for part in [
        "<instanceState><code>0</code><name>pending</name></instanceState>",
        "<stateReason><code>pending</code><message>pending</message></stateReason>",
        "<dnsName></dnsName>",
        "<status>attaching</status>",
        "<status>in-use</status>",
        "<deleteOnTermination>true</deleteOnTermination>",
        "<deviceIndex>0</deviceIndex>",
        "<amiLaunchIndex>0</amiLaunchIndex>",
        "<groupSet></groupSet>",
    ] {
        let empty = part.replace("></", "/").replace("/dnsName>", "/>").replace("/groupSet>", "/>");
        assert!(xml.contains(part) || xml.contains(&empty), "{part}\n{xml}");
    }
    let address = values(&xml, "privateIpAddress").remove(0);
    assert_eq!(values(&xml, "privateDnsName")[0], format!("ip-{}.ec2.internal", address.replace('.', "-")));
    assert_eq!(net.enis_of(&id), [eni]);
    assert_eq!(values(&xml, "requesterId").len(), 0);
    net.report(&id, InstanceOutcome::Running);
    let xml = net.lab.xml(&describe(&id));
    assert!(xml.contains("<name>running</name>") && xml.contains("<status>attached</status>"), "{xml}");
    assert!(!xml.contains("<stateReason>"), "{xml}");
}

#[test]
fn a_launch_without_a_place_goes_to_the_default_subnet() {
    let mut lab = Lab::in_region("eu-central-1");
    let ami = image(&mut lab, "debian-12-amd64-*");
    let run = format!("Action=RunInstances&MinCount=1&MaxCount=1&ImageId={ami}&InstanceType=t3.micro");
    assert_eq!(lab.get(&run, "availabilityZone"), "eu-central-1a");
    let placed = format!("{run}&Placement.AvailabilityZone=eu-central-1c");
    assert_eq!(lab.get(&placed, "availabilityZone"), "eu-central-1c");
    let by_name = lab.xml(&format!("{run}&SecurityGroup.1=default"));
    assert_eq!(values(&by_name, "groupName"), ["default", "default"]);
    let name = values(&by_name, "privateDnsName").remove(0);
    assert!(name.ends_with(".eu-central-1.compute.internal"), "{name}");
    lab.refuses(&[
        (
            &format!("{run}&Placement.AvailabilityZone=eu-central-1z"),
            "InvalidParameterValue: Invalid availability zone: [eu-central-1z]",
        ),
        (
            &format!("{run}&SecurityGroup.1=web"),
            "InvalidGroup.NotFound: The security group 'web' does not exist in default VPC",
        ),
    ]);
    let form = "Action=DescribeSubnets&Filter.1.Name=availability-zone&Filter.1.Value.1=eu-central-1b";
    let subnet = lab.get(form, "subnetId");
    lab.xml(&format!("Action=DeleteSubnet&SubnetId={subnet}"));
    lab.refuses(&[(
        &format!("{run}&Placement.AvailabilityZone=eu-central-1b"),
        "MissingInput: No default subnet for availability zone: 'eu-central-1b'.",
    )]);
}

#[test]
fn without_a_default_vpc_a_launch_needs_a_subnet() {
    let mut lab = Lab::new();
    let ami = image(&mut lab, "debian-12-amd64-*");
    let vpc = lab.get("Action=DescribeVpcs", "vpcId");
    for subnet in lab.all("Action=DescribeSubnets", "subnetId") {
        lab.xml(&format!("Action=DeleteSubnet&SubnetId={subnet}"));
    }
    let run = format!("Action=RunInstances&MinCount=1&MaxCount=1&ImageId={ami}&InstanceType=t3.micro");
    assert!(lab.refusal(&run).starts_with("MissingInput: No subnets found for the default VPC"));
    // The model's own way of losing the default VPC; DeleteVpc would need its gateway gone first.
    lab.apply(vec![gp_model::Change::Delete(gp_model::RecordKey::Vpc(vpc.parse().unwrap()))]);
    assert!(lab.refusal(&run).starts_with("VPCIdNotSpecified: No default VPC for this user."));
}

#[test]
fn bad_launches_are_refused_in_awss_words() {
    let mut net = Net::new();
    let (vpc, subnet) = (net.vpc.clone(), net.subnet.clone());
    let arm = image(&mut net.lab, "debian-12-arm64-*");
    let run = net.launch_form("t3.micro", "");
    let with = |more: &str| format!("{run}&{more}");
    let long = "QUFB".repeat(16 * 1024 / 3 + 1);
    net.lab.refuses(&[
        (
            &net_form(&run, "ImageId", "ami-0123456789abcdef0"),
            "InvalidAMIID.NotFound: The image id '[ami-0123456789abcdef0]' does not exist",
        ),
        (
            &net_form(&run, "ImageId", "debian"),
            "InvalidAMIID.Malformed: Invalid id: \"debian\" (expecting \"ami-...\")",
        ),
        (
            &net_form(&run, "ImageId", &arm),
            "InvalidParameterValue: The architecture 'x86_64' of the specified instance type",
        ),
        (
            &net_form(&run, "InstanceType", "t9.huge"),
            "InvalidParameterValue: Invalid value 't9.huge' for InstanceType.",
        ),
        (&net_form(&run, "SubnetId", "subnet-0123456789abcdef0"), "InvalidSubnetID.NotFound: "),
        (&net_form(&run, "MinCount", "0"), "InvalidParameterValue: "),
        (&net_form(&run, "MinCount", "2"), "InvalidParameterCombination: "),
        (&with("KeyName=mine"), "InvalidKeyPair.NotFound: The key pair 'mine' does not exist"),
        (&with("UserData=%25%25"), "InvalidParameterValue: Invalid BASE64 encoding of user data."),
        (&with(&format!("UserData={long}")), "InvalidParameterValue: User data is limited to 16384 bytes"),
        (
            &with("SecurityGroup.1=default"),
            "InvalidParameterCombination: The parameter groupName cannot be used with the parameter subnet",
        ),
        (&with("SecurityGroupId.1=sg-0123456789abcdef0"), "InvalidGroup.NotFound: "),
        (&with("Placement.AvailabilityZone=us-east-1b"), "InvalidParameterValue: "),
        (&with("Placement.GroupName=pg"), "InvalidPlacementGroup.Unknown: The Placement Group 'pg' is unknown."),
        (&with("Placement.Tenancy=dedicated"), "UnsupportedOperation: "),
        (
            &with("TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=a"),
            "InvalidParameterValue: 'vpc' is not a valid taggable resource type for this operation.",
        ),
        (
            &with("BlockDeviceMapping.1.DeviceName=/dev/sdf&BlockDeviceMapping.1.Ebs.VolumeSize=8"),
            "UnsupportedOperation: ",
        ),
        (&with("IamInstanceProfile.Name=role"), "UnsupportedOperation: "),
        (&with("HibernationOptions.Configured=true"), "UnsupportedOperation: "),
        (&with("MetadataOptions.HttpPutResponseHopLimit=65"), "InvalidParameterValue: "),
        (&with("CreditSpecification.CpuCredits=lots"), "InvalidParameterValue: "),
        (
            &net_form(&with("CreditSpecification.CpuCredits=standard"), "InstanceType", "c5.large"),
            "InvalidParameterCombination: ",
        ),
        (&with("DryRun=true"), "DryRunOperation: "),
    ]);
    assert!(net.lab.world.tables().instances.is_empty() && net.lab.world.tables().enis.is_empty());
    assert!(vpc.starts_with("vpc-") && subnet.starts_with("subnet-"));
}

/// The form with another value for one parameter.
fn net_form(form: &str, name: &str, value: &str) -> String {
    let parts = form.split('&').map(|part| match part.split_once('=') {
        Some((given, _)) if given == name => format!("{name}={value}"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("&")
}

#[test]
fn a_launch_makes_as_many_as_fit_and_at_least_the_minimum() {
    let mut net = Net::new();
    let small = net.subnet("10.0.2.0/28", "a");
    let run = net_form(&net.launch_form("t3.micro", ""), "SubnetId", &small);
    let run = net_form(&net_form(&run, "MinCount", "3"), "MaxCount", "20");
    let xml = net.lab.xml(&run);
    assert_eq!(values(&xml, "instanceId").len(), 11);
    assert_eq!(values(&xml, "reservationId").len(), 1);
    assert_eq!(net.lab.world.tables().enis.len(), 11);
    let before = net.lab.world.tables().instances.len();
    assert!(net.lab.refusal(&run).starts_with("InsufficientFreeAddressesInSubnet: "));
    assert_eq!(net.lab.world.tables().instances.len(), before);
    let list = net.lab.xml("Action=DescribeInstances");
    let indexes: Vec<_> = (0..11).map(|n| n.to_string()).collect();
    assert_eq!((values(&list, "reservationId").len(), values(&list, "amiLaunchIndex")), (1, indexes));
}

#[test]
fn the_quota_of_vcpus_bounds_launches_and_starts() {
    let mut net = Net::new();
    net.lab.settings.quotas.vcpus = 4;
    let stopped = net.stopped("t3.micro");
    let run = net_form(&net.launch_form("t3.micro", ""), "MaxCount", "2147483647");
    assert_eq!(net.lab.all(&run, "instanceId").len(), 2);
    let start = format!("Action=StartInstances&InstanceId.1={stopped}");
    assert!(net.lab.refusal(&start).starts_with("VcpuLimitExceeded: "));
    assert!(net.lab.refusal(&net.launch_form("t3.micro", "")).starts_with("VcpuLimitExceeded: "));
}

#[test]
fn a_launch_takes_enis_by_id_and_makes_new_ones() {
    let mut net = Net::new();
    let subnet = net.subnet.clone();
    let far = net.subnet("10.0.2.0/24", "b");
    let (own, other) = (net.eni(&subnet), net.eni(&far));
    let run = format!("Action=RunInstances&MinCount=1&MaxCount=1&ImageId={}&InstanceType=t3.micro", net.image);
    let first = format!("NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.NetworkInterfaceId={own}");
    let second = format!(
        "NetworkInterface.2.DeviceIndex=1&NetworkInterface.2.SubnetId={subnet}&NetworkInterface.2.SecondaryPrivateIpAddressCount=1"
    );
    net.lab.refuses(&[
        (&format!("{run}&{first}&SubnetId={subnet}"), "InvalidParameterCombination: Network interfaces and an instance-level subnet ID may not be specified on the same request"),
        (&format!("{run}&{first}&SecurityGroupId.1={}", net.group), "InvalidParameterCombination: Network interfaces and an instance-level security groups"),
        (&format!("{run}&{second}"), "InvalidParameterCombination: "),
        (&format!("{run}&{first}&{second}").replace("2.DeviceIndex=1", "2.DeviceIndex=0"), "InvalidParameterValue: Each network interface requires a unique device index."),
        (&format!("{run}&{first}&NetworkInterface.1.DeleteOnTermination=true"), "InvalidParameterCombination: "),
        (&format!("{run}&{first}&NetworkInterface.2.DeviceIndex=1&NetworkInterface.2.NetworkInterfaceId={other}"), "InvalidParameterCombination: You may not attach"),
        (&format!("{run}&{first}&NetworkInterface.2.DeviceIndex=1&NetworkInterface.2.NetworkInterfaceId={own}"), "InvalidParameterCombination: "),
        (&net_form(&format!("{run}&{first}"), "MaxCount", "2"), "InvalidParameterCombination: "),
        (&format!("{run}&{first}&{second}&NetworkInterface.1.AssociatePublicIpAddress=true"), "InvalidParameterCombination: The associatePublicIPAddress parameter"),
        (&format!("{run}&{first}&{second}").replace("t3.micro", "t2.micro").replace("AddressCount=1", "AddressCount=2"), "PrivateIpAddressLimitExceeded: "),
    ]);
    let id = net.lab.get(&format!("{run}&{first}&{second}&NetworkInterface.2.DeleteOnTermination=false"), "instanceId");
    assert_eq!(net.enis_of(&id)[0], own);
    let in_use = net.lab.refusal(&format!("{run}&{first}"));
    assert_eq!(in_use, format!("InvalidNetworkInterface.InUse: Interface: [{own}] in use."));
    net.lab.xml(&format!("Action=TerminateInstances&InstanceId.1={id}"));
    net.report(&id, InstanceOutcome::Terminated);
    // One was there before, the other was to be kept.
    assert_eq!(
        net.lab
            .all("Action=DescribeNetworkInterfaces&Filter.1.Name=status&Filter.1.Value.1=available", "macAddress")
            .len(),
        3
    );
}

#[test]
fn a_launch_that_fails_midway_leaves_nothing_behind() {
    let mut net = Net::new();
    let (own, small) = (net.eni(&net.subnet.clone()), net.subnet("10.0.2.0/28", "a"));
    for _ in 0..11 {
        net.eni(&small);
    }
    let run = format!(
        "Action=RunInstances&MinCount=1&MaxCount=1&ImageId={}&InstanceType=t3.micro&NetworkInterface.1.DeviceIndex=0\
         &NetworkInterface.1.NetworkInterfaceId={own}&NetworkInterface.2.DeviceIndex=1&NetworkInterface.2.SubnetId={small}",
        net.image
    );
    let before = net.lab.world.tables().enis.clone();
    assert!(net.lab.refusal(&run).starts_with("InsufficientFreeAddressesInSubnet: "));
    assert_eq!(net.lab.world.tables().enis, before);
}

#[test]
fn tags_and_a_client_token_do_what_they_say() {
    let mut net = Net::new();
    let more = "&ClientToken=tf&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=Name\
                &TagSpecification.1.Tag.1.Value=web&TagSpecification.2.ResourceType=network-interface\
                &TagSpecification.2.Tag.1.Key=Name&TagSpecification.2.Tag.1.Value=eth0\
                &TagSpecification.3.ResourceType=volume&TagSpecification.3.Tag.1.Key=a&TagSpecification.3.Tag.1.Value=b";
    let form = net.launch_form("t3.micro", more);
    let id = net.lab.get(&form, "instanceId");
    assert_eq!(net.lab.get(&form, "instanceId"), id);
    assert_eq!(net.lab.all("Action=DescribeInstances&Filter.1.Name=tag:Name&Filter.1.Value.1=w?b", "instanceId"), [id]);
    assert_eq!(
        net.lab
            .all("Action=DescribeNetworkInterfaces&Filter.1.Name=tag:Name&Filter.1.Value.1=eth0", "macAddress")
            .len(),
        1
    );
    assert!(net.lab.refusal(&form.replace("t3.micro", "t3.small")).starts_with("IdempotentParameterMismatch: "));
}

// === The state machine ===

#[test]
fn every_call_in_every_state_does_as_the_table_says() {
    let wrong = "IncorrectInstanceState: The instance 'ID' is not in a state from which it can be ";
    for (state, start, stop, reboot, terminate) in [
        ("pending", Ok("pending"), Err("stopped."), Err("rebooted."), "shutting-down"),
        ("running", Ok("running"), Ok("stopping"), Ok("running"), "shutting-down"),
        ("stopping", Err("started."), Ok("stopping"), Err("rebooted."), "shutting-down"),
        ("stopped", Ok("pending"), Ok("stopped"), Err("rebooted."), "shutting-down"),
        ("shutting-down", Err("started."), Err("stopped."), Err("rebooted."), "shutting-down"),
        ("terminated", Err("started."), Err("stopped."), Err("rebooted."), "terminated"),
    ] {
        for (action, want) in [("Start", start), ("Stop", stop), ("Reboot", reboot), ("Terminate", Ok(terminate))] {
            let mut net = Net::new();
            let id = in_state(&mut net, state);
            let form = format!("Action={action}Instances&InstanceId.1={id}");
            match want {
                Ok(after) => {
                    let xml = net.lab.xml(&form);
                    assert_eq!(net.state(&id), after, "{action} from {state}");
                    let shown = values(&xml, "name");
                    assert!(action == "Reboot" || shown == [after, state] || shown == [state, after], "{xml}");
                }
                Err(done) => {
                    assert_eq!(net.lab.refusal(&form), format!("{}{done}", wrong.replace("ID", &id)));
                    assert_eq!(net.state(&id), state);
                }
            }
        }
    }
}

fn in_state(net: &mut Net, state: &str) -> String {
    let id = net.lab.get(&net.launch_form("t3.micro", ""), "instanceId");
    let mut call = |action: &str| drop(net.lab.xml(&format!("Action={action}Instances&InstanceId.1={id}")));
    if matches!(state, "shutting-down" | "terminated") {
        call("Terminate");
    }
    if matches!(state, "running" | "stopping" | "stopped") {
        net.report(&id, InstanceOutcome::Running);
    }
    if matches!(state, "stopping" | "stopped") {
        net.lab.xml(&format!("Action=StopInstances&InstanceId.1={id}"));
    }
    match state {
        "stopped" => net.report(&id, InstanceOutcome::Stopped),
        "terminated" => net.report(&id, InstanceOutcome::Terminated),
        _ => {}
    }
    assert_eq!(net.state(&id), state);
    id
}

#[test]
fn every_report_in_every_state_does_as_the_table_says() {
    use InstanceOutcome::{Running, Stopped, Terminated};
    for (state, running, stopped, terminated, failed_to) in [
        ("pending", "running", "stopped", "pending", "terminated"),
        ("running", "running", "stopped", "running", "stopped"),
        ("stopping", "stopping", "stopped", "stopping", "stopped"),
        ("stopped", "stopped", "stopped", "stopped", "stopped"),
        ("shutting-down", "shutting-down", "shutting-down", "terminated", "shutting-down"),
        ("terminated", "terminated", "terminated", "terminated", "terminated"),
    ] {
        for (outcome, want) in [(Running, running), (Stopped, stopped), (Terminated, terminated), (failed(), failed_to)]
        {
            let mut net = Net::new();
            let id = in_state(&mut net, state);
            // About another boot: out of date.
            net.report_boot(&id, 7, outcome.clone());
            assert_eq!(net.state(&id), state);
            net.report(&id, outcome.clone());
            assert_eq!(net.state(&id), want, "{outcome:?} in {state}");
            assert_eq!(net.enis_of(&id).is_empty(), want == "terminated");
        }
    }
}

#[test]
fn starts_and_reboots_are_new_boots() {
    let mut net = Net::new();
    let id = net.running("t3.micro");
    let first = net.instance(&id).boot;
    net.lab.xml(&format!("Action=RebootInstances&InstanceId.1={id}"));
    assert_eq!(net.instance(&id).boot, first + 1);
    // A stop that the first boot's end looks like changes nothing.
    net.report_boot(&id, first, InstanceOutcome::Stopped);
    assert_eq!(net.state(&id), "running");
    net.lab.xml(&format!("Action=StopInstances&InstanceId.1={id}"));
    net.report(&id, InstanceOutcome::Stopped);
    let reason = net.lab.xml(&describe(&id));
    assert!(
        reason.contains("Client.UserInitiatedShutdown") && reason.contains("User initiated (2026-11-21 08:26:17 GMT)"),
        "{reason}"
    );
    net.lab.xml(&format!("Action=StartInstances&InstanceId.1={id}"));
    assert_eq!(net.instance(&id).boot, first + 2);
    // A start that fails leaves the instance, where a launch that fails ends it.
    net.report(&id, failed());
    let xml = net.lab.xml(&describe(&id));
    assert!(net.state(&id) == "stopped" && xml.contains("Server.InternalError: no room"), "{xml}");
}

#[test]
fn an_instance_that_shuts_itself_down_does_as_it_was_told() {
    let mut net = Net::new();
    let id = net.lab.get(&net.launch_form("t3.micro", "&InstanceInitiatedShutdownBehavior=terminate"), "instanceId");
    net.report(&id, InstanceOutcome::Running);
    net.report(&id, InstanceOutcome::Stopped);
    assert_eq!(net.state(&id), "shutting-down");
    net.report(&id, InstanceOutcome::Terminated);
    let xml = net.lab.xml(&describe(&id));
    assert!(xml.contains("Client.InstanceInitiatedShutdown") && xml.contains("<name>terminated</name>"), "{xml}");
    assert!(values(&xml, "subnetId").is_empty() && values(&xml, "privateIpAddress").is_empty(), "{xml}");
    assert!(net.instance(&id).terminated_at.is_some());
}

#[test]
fn protection_holds_for_the_whole_list() {
    let mut net = Net::new();
    let (kept, other) = (net.running("t3.micro"), net.running("t3.micro"));
    let modify = format!("Action=ModifyInstanceAttribute&InstanceId={kept}");
    let both = format!("InstanceId.1={other}&InstanceId.2={kept}");
    for (attribute, action, done) in [
        ("disableApiTermination", "Terminate", "terminated"),
        ("disableApiStop", "Stop", "stopped"),
        ("disableApiStop", "Terminate", "terminated"),
    ] {
        let name = attribute.replacen('d', "D", 1);
        net.lab.xml(&format!("{modify}&{name}.Value=true"));
        assert_eq!(
            net.lab.refusal(&format!("Action={action}Instances&{both}")),
            format!(
                "OperationNotPermitted: The instance '{kept}' may not be {done}. Modify its '{attribute}' instance attribute and try again."
            )
        );
        net.lab.xml(&format!("{modify}&{name}.Value=false"));
    }
    assert_eq!((net.state(&kept), net.state(&other)), ("running", "running"));
    let unknown = "i-0123456789abcdef0";
    assert!(
        net.lab
            .refusal(&format!("Action=TerminateInstances&{both}&InstanceId.3={unknown}"))
            .starts_with("InvalidInstanceID.NotFound")
    );
    assert!(net.lab.refusal("Action=TerminateInstances").starts_with("MissingParameter"));
    net.lab.xml(&format!("Action=TerminateInstances&{both}"));
    assert_eq!((net.state(&kept), net.state(&other)), ("shutting-down", "shutting-down"));
}

// === Attributes ===

#[test]
fn attributes_are_changed_and_read_back() {
    let mut net = Net::new();
    let id = net.stopped("t3.micro");
    let modify = format!("Action=ModifyInstanceAttribute&InstanceId={id}");
    let read = |name: &str| format!("Action=DescribeInstanceAttribute&InstanceId={id}&Attribute={name}");
    for (change, name, want) in [
        ("InstanceType.Value=c5.large", "instanceType", "c5.large"),
        ("Attribute=instanceType&Value=t3.small", "instanceType", "t3.small"),
        ("UserData.Value=IyEvYmluL3No", "userData", "IyEvYmluL3No"),
        ("DisableApiTermination.Value=true", "disableApiTermination", "true"),
        ("Attribute=disableApiStop&Value=true", "disableApiStop", "true"),
        ("InstanceInitiatedShutdownBehavior.Value=terminate", "instanceInitiatedShutdownBehavior", "terminate"),
        ("SourceDestCheck.Value=false", "sourceDestCheck", "false"),
        ("EbsOptimized.Value=true", "ebsOptimized", "true"),
    ] {
        net.lab.xml(&format!("{modify}&{change}"));
        assert_eq!(net.lab.get(&read(name), "value"), want, "{change}");
    }
    net.lab.xml(&format!("{modify}&GroupId.1={}", net.group));
    assert_eq!(net.lab.get(&read("groupSet"), "groupId"), net.group);
    net.lab.xml(&format!("Action=ResetInstanceAttribute&InstanceId={id}&Attribute=sourceDestCheck"));
    assert_eq!(net.lab.get(&read("sourceDestCheck"), "value"), "true");
    for name in [
        "kernel",
        "ramdisk",
        "rootDeviceName",
        "blockDeviceMapping",
        "productCodes",
        "enaSupport",
        "enclaveOptions",
        "sriovNetSupport",
    ] {
        net.lab.xml(&read(name));
    }
    net.lab.refuses(&[
        (&modify, "InvalidParameterCombination: No attributes specified."),
        (
            &format!("{modify}&InstanceType.Value=t3.micro&EbsOptimized.Value=true"),
            "InvalidParameterCombination: Fields for multiple attribute types specified",
        ),
        (&format!("{modify}&InstanceType.Value=t4g.micro"), "InvalidParameterValue: The architecture"),
        (&format!("{modify}&InstanceType.Value=x"), "InvalidParameterValue: Invalid value 'x' for InstanceType."),
        (&format!("{modify}&InstanceInitiatedShutdownBehavior.Value=burn"), "InvalidParameterValue: "),
        (&format!("{modify}&Kernel.Value=aki-1"), "UnsupportedOperation: "),
        (&format!("Action=ResetInstanceAttribute&InstanceId={id}&Attribute=userData"), "InvalidParameterValue: "),
    ]);
}

#[test]
fn some_attributes_need_a_stopped_instance_and_some_a_single_eni() {
    let mut net = Net::new();
    let id = net.running("t3.micro");
    let modify = format!("Action=ModifyInstanceAttribute&InstanceId={id}");
    let stopped = format!("IncorrectInstanceState: The instance '{id}' is not in the 'stopped' state.");
    for change in ["InstanceType.Value=t3.small", "UserData.Value=", "EbsOptimized.Value=true"] {
        assert_eq!(net.lab.refusal(&format!("{modify}&{change}")), stopped);
    }
    let second = net.eni(&net.subnet.clone());
    net.attach(&second, &id, 1);
    let several = format!("InvalidInstanceID: There are multiple interfaces attached to instance '{id}'.");
    let group = net.group.clone();
    net.lab.refuses(&[
        (&format!("{modify}&SourceDestCheck.Value=false"), &several),
        (&format!("{modify}&GroupId.1={group}"), &several),
    ]);
}

#[test]
fn a_type_that_cannot_carry_the_enis_is_refused() {
    let mut net = Net::new();
    let id = net.stopped("c5.large");
    for index in 1..=2 {
        let eni = net.eni(&net.subnet.clone());
        net.attach(&eni, &id, index);
    }
    let change = format!("Action=ModifyInstanceAttribute&InstanceId={id}&InstanceType.Value=t2.micro");
    assert_eq!(net.lab.refusal(&change), "AttachmentLimitExceeded: Interface count 3 exceeds the limit for t2.micro");
}

#[test]
fn metadata_options_follow_the_image_and_the_caller() {
    let mut net = Net::new();
    let id = net.running("t3.micro");
    assert_eq!(net.lab.get(&describe(&id), "httpTokens"), "required");
    let modify =
        format!("Action=ModifyInstanceMetadataOptions&InstanceId={id}&HttpTokens=optional&HttpPutResponseHopLimit=3");
    assert_eq!(net.lab.get(&modify, "state"), "pending");
    let xml = net.lab.xml(&describe(&id));
    assert_eq!(
        (values(&xml, "httpTokens"), values(&xml, "httpPutResponseHopLimit")),
        (vec!["optional".into()], vec!["3".into()])
    );
}

// === Listing ===

#[test]
fn instances_are_filtered_paged_and_grouped() {
    let mut net = Net::new();
    let pair = net_form(&net_form(&net.launch_form("t3.micro", ""), "MinCount", "4"), "MaxCount", "4");
    net.lab.xml(&pair);
    let running = net.running("c5.large");
    let group = net.group.clone();
    let count = |net: &mut Net, filter: &str, value: &str| {
        let form = format!("Action=DescribeInstances&Filter.1.Name={filter}&Filter.1.Value.1={value}");
        net.lab.all(&form, "instanceId").len()
    };
    let eni = net.enis_of(&running).remove(0);
    for (filter, value, want) in [
        ("network-interface.requester-managed", "false", 5),
        ("network-interface.requester-id", "111122223333", 5),
        ("instance-state-name", "running", 1),
        ("instance-state-code", "0", 4),
        ("instance-type", "t3.*", 4),
        ("instance.group-id", &group, 5),
        ("network-interface.group-name", "default", 5),
        ("network-interface.network-interface-id", &eni, 1),
        ("network-interface.attachment.device-index", "0", 5),
        ("network-interface.addresses.private-ip-address", "10.0.1.*", 5),
        ("availability-zone", "us-east-1a", 5),
        ("metadata-options.http-tokens", "required", 5),
        ("tenancy", "default", 5),
        ("owner-id", "111122223333", 5),
        ("spot-instance-request-id", "*", 0),
        ("tag-key", "Name", 0),
    ] {
        assert_eq!(count(&mut net, filter, value), want, "{filter}={value}");
    }
    let first = net.lab.xml("Action=DescribeInstances&MaxResults=5");
    assert!(values(&first, "nextToken").is_empty());
    net.running("t3.micro");
    let first = net.lab.xml("Action=DescribeInstances&MaxResults=5");
    let token = values(&first, "nextToken").remove(0);
    let second = net.lab.xml(&format!("Action=DescribeInstances&MaxResults=5&NextToken={token}"));
    assert_eq!((values(&first, "instanceId").len(), values(&second, "instanceId").len()), (5, 1));
    assert_eq!(
        net.lab.refusal(&format!("{}&MaxResults=5", describe(&running))),
        "InvalidParameterCombination: The parameter instancesSet cannot be used with the parameter maxResults"
    );
}

#[test]
fn status_is_shown_for_running_instances_unless_all_are_asked_for() {
    let mut net = Net::new();
    let running = net.running("t3.micro");
    let pending = net.lab.get(&net.launch_form("t3.micro", ""), "instanceId");
    let xml = net.lab.xml("Action=DescribeInstanceStatus");
    assert_eq!(values(&xml, "instanceId"), [running.as_str()]);
    assert_eq!(values(&xml, "status"), ["passed", "ok", "passed", "ok"]);
    let all = "Action=DescribeInstanceStatus&IncludeAllInstances=true";
    let mut ids = net.lab.all(all, "instanceId");
    ids.sort();
    let mut want = vec![running, pending];
    want.sort();
    assert_eq!(ids, want);
    assert_eq!(
        net.lab
            .all(&format!("{all}&Filter.1.Name=instance-status.status&Filter.1.Value.1=initializing"), "instanceId")
            .len(),
        1
    );
}

// === Terraform ===

#[test]
fn terraform_makes_reads_changes_and_destroys_an_instance() {
    let mut net = Net::new();
    let more = format!(
        "&ClientToken=terraform-1&CreditSpecification.CpuCredits=unlimited&DisableApiTermination=false&EbsOptimized=false\
         &HibernationOptions.Configured=false&Monitoring.Enabled=false&Placement.AvailabilityZone=us-east-1a\
         &SecurityGroupId.1={}&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=Name\
         &TagSpecification.1.Tag.1.Value=web",
        net.group
    );
    let id = net.lab.get(&net.launch_form("t3.micro", &more), "instanceId");
    net.report(&id, InstanceOutcome::Running);
    terraform_reads(&mut net, &id);
    net.lab.xml(&format!("Action=ModifyInstanceAttribute&InstanceId={id}&SourceDestCheck.Value=false"));
    net.lab.xml(&format!("Action=StopInstances&Force=false&InstanceId.1={id}"));
    net.report(&id, InstanceOutcome::Stopped);
    net.lab.xml(&format!("Action=ModifyInstanceAttribute&InstanceId={id}&InstanceType.Value=t3.small"));
    net.lab.xml(&format!("Action=StartInstances&InstanceId.1={id}"));
    net.report(&id, InstanceOutcome::Running);
    terraform_reads(&mut net, &id);
    net.lab.xml(&format!("Action=ModifyInstanceAttribute&DisableApiTermination.Value=false&InstanceId={id}"));
    net.lab.xml(&format!("Action=TerminateInstances&InstanceId.1={id}"));
    assert_eq!(net.lab.all(&describe(&id), "name"), ["shutting-down"]);
    net.report(&id, InstanceOutcome::Terminated);
    assert_eq!(net.lab.all(&describe(&id), "name"), ["terminated"]);
    assert!(net.lab.world.tables().enis.is_empty());
}

fn terraform_reads(net: &mut Net, id: &str) {
    let kind = net.lab.get(&describe(id), "instanceType");
    let xml = net.lab.xml(&format!("Action=DescribeInstanceTypes&InstanceType.1={kind}"));
    assert_eq!(values(&xml, "burstablePerformanceSupported"), ["true"]);
    net.lab.xml(&format!(
        "Action=DescribeTags&Filter.1.Name=key&Filter.1.Value.1=Name&Filter.2.Name=resource-id&Filter.2.Value.1={id}"
    ));
    let vpc = net.vpc.clone();
    net.lab.xml(&format!("Action=DescribeVpcs&VpcId.1={vpc}"));
    for attribute in ["instanceInitiatedShutdownBehavior", "disableApiStop", "disableApiTermination", "userData"] {
        net.lab.xml(&format!("Action=DescribeInstanceAttribute&Attribute={attribute}&InstanceId={id}"));
    }
    net.lab.xml("Action=DescribeVolumes");
    let credits = net.lab.get(&format!("Action=DescribeInstanceCreditSpecifications&InstanceId.1={id}"), "cpuCredits");
    assert_eq!(credits, "unlimited");
}
