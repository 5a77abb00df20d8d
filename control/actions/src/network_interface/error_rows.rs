//! Every refusal of an ENI call that AWS's words are known for, code and text: one test per row.
//!
//! Sources: messages that users of AWS have pasted into public issues; EC2 API reference, "Error codes".

use super::managed_tests::service_eni;
use crate::instance::testing::{Net, attach_form};
use gp_model::InterfaceType;

const UNKNOWN: &str = "eni-0123456789abcdef0";

impl Net {
    /// That call is refused with exactly these words.
    fn row(&mut self, form: &str, words: &str) {
        assert_eq!(self.lab.refusal(form), words, "{form}");
    }

    fn create_form(&self, more: &str) -> String {
        format!("Action=CreateNetworkInterface&SubnetId={}{more}", self.subnet)
    }

    /// The form of a launch that has no place of its own: interfaces say where.
    fn launch_with(&self, kind: &str, interfaces: &str) -> String {
        let image = &self.image;
        format!("Action=RunInstances&MinCount=1&MaxCount=1&ImageId={image}&InstanceType={kind}{interfaces}")
    }

    fn attachment_of(&mut self, eni: &str) -> String {
        self.lab.get(&format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={eni}"), "attachmentId")
    }

    fn new_eni(&mut self) -> String {
        let subnet = self.subnet.clone();
        self.eni(&subnet)
    }
}

#[test]
fn any_call_with_an_unknown_id() {
    let mut net = Net::new();
    let instance = net.running("t3.micro");
    for form in [
        format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={UNKNOWN}"),
        format!("Action=DeleteNetworkInterface&NetworkInterfaceId={UNKNOWN}"),
        format!("Action=DescribeNetworkInterfaceAttribute&NetworkInterfaceId={UNKNOWN}&Attribute=description"),
        format!("Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={UNKNOWN}&Description.Value=x"),
        format!("Action=ResetNetworkInterfaceAttribute&NetworkInterfaceId={UNKNOWN}&SourceDestCheck=true"),
        format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={UNKNOWN}&SecondaryPrivateIpAddressCount=1"),
        format!("Action=UnassignPrivateIpAddresses&NetworkInterfaceId={UNKNOWN}&PrivateIpAddress.1=10.0.1.9"),
        format!("Action=AssignIpv6Addresses&NetworkInterfaceId={UNKNOWN}&Ipv6AddressCount=1"),
        format!("Action=UnassignIpv6Addresses&NetworkInterfaceId={UNKNOWN}&Ipv6Addresses.1=3fff::1"),
        attach_form(UNKNOWN, &instance, 1),
        net.launch_with(
            "t3.micro",
            &format!("&NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.NetworkInterfaceId={UNKNOWN}"),
        ),
    ] {
        net.row(
            &form,
            &format!("InvalidNetworkInterfaceID.NotFound: The networkInterface ID '{UNKNOWN}' does not exist"),
        );
    }
}

#[test]
fn any_call_with_a_malformed_id() {
    let mut net = Net::new();
    for id in ["eni-xyz", "nonsense", "eni-0123456789ABCDEF0"] {
        let words = format!("InvalidNetworkInterfaceId.Malformed: Invalid id: \"{id}\" (expecting \"eni-...\")");
        net.row(&format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={id}"), &words);
        net.row(&format!("Action=DeleteNetworkInterface&NetworkInterfaceId={id}"), &words);
    }
}

#[test]
fn detach_and_modify_with_an_unknown_attachment() {
    let mut net = Net::new();
    let (eni, instance) = (net.new_eni(), net.running("t3.micro"));
    let unknown = "eni-attach-0123456789abcdef0";
    let words = format!("InvalidAttachmentID.NotFound: The attachment ID '{unknown}' does not exist");
    net.row(&format!("Action=DetachNetworkInterface&AttachmentId={unknown}"), &words);
    let modify = format!(
        "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={eni}&Attachment.AttachmentId={unknown}\
         &Attachment.DeleteOnTermination=true"
    );
    net.row(&modify, &words);
    net.attach(&eni, &instance, 1);
    net.row(&modify, &words);
}

#[test]
fn attach_to_an_unknown_or_malformed_instance() {
    let mut net = Net::new();
    let eni = net.new_eni();
    net.row(
        &attach_form(&eni, "i-0123456789abcdef0", 1),
        "InvalidInstanceID.NotFound: The instance ID 'i-0123456789abcdef0' does not exist",
    );
    assert!(
        net.lab.refusal(&attach_form(&eni, "i-x", 1)).starts_with("InvalidInstanceID.Malformed: Invalid id: \"i-x\"")
    );
}

#[test]
fn attach_more_than_the_type_carries() {
    for (kind, most) in [("m1.small", 2), ("t3.medium", 3), ("t2.micro", 2)] {
        let mut net = Net::new();
        let instance = net.running(kind);
        for index in 1..most {
            let eni = net.new_eni();
            net.attach(&eni, &instance, index);
        }
        let eni = net.new_eni();
        let words = format!("AttachmentLimitExceeded: Interface count {} exceeds the limit for {kind}", most + 1);
        net.row(&attach_form(&eni, &instance, most), &words);
    }
}

#[test]
fn attach_or_launch_with_an_eni_in_use() {
    let mut net = Net::new();
    let (eni, first, second) = (net.new_eni(), net.running("t3.micro"), net.running("t3.micro"));
    net.attach(&eni, &first, 1);
    let words = format!("InvalidNetworkInterface.InUse: Interface: [{eni}] in use.");
    net.row(&attach_form(&eni, &second, 1), &words);
    net.row(&attach_form(&eni, &first, 2), &words);
    let at_launch = format!("&NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.NetworkInterfaceId={eni}");
    net.row(&net.launch_with("t3.micro", &at_launch), &words);
}

#[test]
fn attach_or_launch_in_another_zone() {
    let mut net = Net::new();
    let far = net.subnet("10.0.2.0/24", "b");
    let (far, near, instance) = (net.eni(&far), net.new_eni(), net.running("t3.micro"));
    let words = "InvalidParameterCombination: You may not attach a network interface to an instance if they are not in \
                 the same availability zone";
    net.row(&attach_form(&far, &instance, 1), words);
    let both = format!(
        "&NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.NetworkInterfaceId={near}\
         &NetworkInterface.2.DeviceIndex=1&NetworkInterface.2.NetworkInterfaceId={far}"
    );
    net.row(&net.launch_with("t3.micro", &both), words);
}

#[test]
fn attach_across_accounts() {
    let mut net = Net::new();
    let (eni, instance) = (net.new_eni(), net.running("t3.micro"));
    let owner = std::mem::replace(&mut net.lab.caller.account, "444455556666".parse().unwrap());
    net.row(
        &attach_form(&eni, &instance, 1),
        &format!("InvalidNetworkInterfaceID.NotFound: The networkInterface ID '{eni}' does not exist"),
    );
    let vpc = net.lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
    let subnet = crate::instance::testing::subnet(&mut net.lab, &vpc, "10.0.1.0/24", "a");
    let own = net.eni(&subnet);
    net.row(
        &attach_form(&own, &instance, 1),
        &format!("InvalidInstanceID.NotFound: The instance ID '{instance}' does not exist"),
    );
    net.lab.caller.account = owner;
    net.attach(&eni, &instance, 1);
}

#[test]
fn permissions_for_other_accounts_are_refused_by_name() {
    let mut net = Net::new();
    let eni = net.new_eni();
    for form in [
        format!(
            "Action=CreateNetworkInterfacePermission&NetworkInterfaceId={eni}&AwsAccountId=444455556666&Permission=INSTANCE-ATTACH"
        ),
        "Action=DeleteNetworkInterfacePermission&NetworkInterfacePermissionId=eni-perm-0123456789abcdef0".to_owned(),
        "Action=DescribeNetworkInterfacePermissions".to_owned(),
    ] {
        let refusal = net.lab.refusal(&form);
        let name = form.split(['=', '&']).nth(1).unwrap();
        assert!(refusal.starts_with("UnsupportedOperation: ") && refusal.contains(name), "{refusal}");
    }
}

#[test]
fn detach_of_the_primary() {
    let mut net = Net::new();
    let instance = net.running("t3.micro");
    let primary = net.enis_of(&instance).remove(0);
    let attachment = net.attachment_of(&primary);
    for force in ["", "&Force=true"] {
        net.row(
            &format!("Action=DetachNetworkInterface&AttachmentId={attachment}{force}"),
            "OperationNotPermitted: The network interface at device index 0 and networkCard index 0 cannot be detached.",
        );
    }
}

#[test]
fn detach_or_modify_of_a_services_attachment() {
    let mut net = Net::new();
    let eni = service_eni(&mut net, InterfaceType::NatGateway, &[]).to_string();
    let attachment = net.attachment_of(&eni);
    assert!(attachment.starts_with("ela-attach-"));
    let words = "OperationNotPermitted: You are not allowed to manage 'ela-attach' attachments.";
    net.row(&format!("Action=DetachNetworkInterface&AttachmentId={attachment}"), words);
    let modify = format!("Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={eni}");
    let delete = format!("{modify}&Attachment.AttachmentId={attachment}&Attachment.DeleteOnTermination=true");
    net.row(&delete, words);
    net.row(
        &format!("{modify}&Description.Value=x"),
        "AuthFailure: You do not have permission to access the specified resource.",
    );
}

#[test]
fn delete_in_use() {
    let mut net = Net::new();
    let (eni, instance) = (net.new_eni(), net.running("t3.micro"));
    net.attach(&eni, &instance, 1);
    let primary = net.enis_of(&instance).remove(0);
    let service = service_eni(&mut net, InterfaceType::NatGateway, &[]).to_string();
    for eni in [eni, primary, service] {
        net.row(
            &format!("Action=DeleteNetworkInterface&NetworkInterfaceId={eni}"),
            &format!("InvalidParameterValue: Network interface '{eni}' is currently in use."),
        );
    }
}

#[test]
fn create_in_an_unknown_subnet() {
    Net::new().row(
        "Action=CreateNetworkInterface&SubnetId=subnet-0123456789abcdef0",
        "InvalidSubnetID.NotFound: The subnet ID 'subnet-0123456789abcdef0' does not exist",
    );
}

#[test]
fn create_and_modify_with_an_unknown_group() {
    let mut net = Net::new();
    let eni = net.new_eni();
    let words = "InvalidGroup.NotFound: The security group 'sg-0123456789abcdef0' does not exist";
    net.row(&net.create_form("&SecurityGroupId.1=sg-0123456789abcdef0"), words);
    let modify = format!("Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={eni}");
    net.row(&format!("{modify}&SecurityGroupId.1=sg-0123456789abcdef0"), words);
}

#[test]
fn create_and_modify_with_too_many_groups() {
    let mut net = Net::new();
    let (vpc, eni) = (net.vpc.clone(), net.new_eni());
    let group = |n: usize| format!("Action=CreateSecurityGroup&GroupName=g{n}&GroupDescription=d&VpcId={vpc}");
    let groups: Vec<String> = (0..6).map(|n| net.lab.get(&group(n), "groupId")).collect();
    let listed = |count: usize| -> String {
        groups[..count].iter().enumerate().map(|(n, group)| format!("&SecurityGroupId.{}={group}", n + 1)).collect()
    };
    let modify = format!("Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={eni}");
    let words = "SecurityGroupsPerInterfaceLimitExceeded: The maximum number of security groups per interface has been reached.";
    net.row(&net.create_form(&listed(6)), words);
    net.row(&format!("{modify}{}", listed(6)), words);
    net.lab.xml(&format!("{modify}{}", listed(5)));
    net.lab.settings.quotas = crate::Quotas::with(["security-groups-per-eni=16"]).unwrap();
    net.lab.xml(&format!("{modify}{}", listed(6)));
    net.lab.xml(&net.create_form(&listed(6)));
}

#[test]
fn create_assign_and_launch_in_a_full_subnet() {
    let mut net = Net::new();
    net.subnet = net.subnet("10.0.2.0/28", "a");
    let eni = net.new_eni();
    for _ in 0..10 {
        net.new_eni();
    }
    let words = "InsufficientFreeAddressesInSubnet: The specified subnet does not have enough free addresses to satisfy \
                 the request.";
    net.row(&net.create_form(""), words);
    let assign = format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={eni}");
    net.row(&format!("{assign}&SecondaryPrivateIpAddressCount=1"), words);
    let subnet = net.subnet.clone();
    net.row(
        &net.launch_form("t3.micro", ""),
        &format!(
            "InsufficientFreeAddressesInSubnet: There are not enough free addresses in subnet '{subnet}' to satisfy the \
             requested number of instances."
        ),
    );
    let words = "InvalidParameterValue: There aren't sufficient free Ipv4 addresses or prefixes";
    net.row(&net.create_form("&Ipv4PrefixCount=1"), words);
    net.row(&format!("{assign}&Ipv4PrefixCount=1"), words);
}

#[test]
fn assign_a_prefix_in_a_fragmented_subnet() {
    let mut net = Net::new();
    net.subnet = net.subnet("10.0.2.0/26", "a");
    // One address in each block of sixteen is enough.
    for last in [8, 24, 40, 56] {
        net.lab.xml(&net.create_form(&format!("&PrivateIpAddress=10.0.2.{last}")));
    }
    let words =
        "InsufficientCidrBlocks: The specified subnet does not have enough free cidr blocks to satisfy the request.";
    let eni = net.new_eni();
    net.row(&net.create_form("&Ipv4PrefixCount=1"), words);
    net.row(&format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={eni}&Ipv4PrefixCount=1"), words);
}

#[test]
fn create_and_launch_with_an_address_in_use() {
    let mut net = Net::new();
    net.lab.xml(&net.create_form("&PrivateIpAddress=10.0.1.50"));
    let words = "InvalidIPAddress.InUse: Address 10.0.1.50 is in use.";
    net.row(&net.create_form("&PrivateIpAddress=10.0.1.50"), words);
    net.row(&net.launch_form("t3.micro", "&PrivateIpAddress=10.0.1.50"), words);
}

#[test]
fn create_and_assign_outside_of_the_subnet() {
    let mut net = Net::new();
    let eni = net.new_eni();
    let words = "InvalidParameterValue: Address does not fall within the subnet's address range";
    net.row(&net.create_form("&PrivateIpAddress=10.0.2.50"), words);
    net.row(&format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={eni}&PrivateIpAddress.1=10.0.2.50"), words);
}

#[test]
fn assign_more_than_the_type_carries() {
    let mut net = Net::new();
    let instance = net.running("t2.micro");
    let primary = net.enis_of(&instance).remove(0);
    let assign = format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={primary}");
    let words = "PrivateIpAddressLimitExceeded: Number of private addresses will exceed limit.";
    net.row(&format!("{assign}&SecondaryPrivateIpAddressCount=2"), words);
    net.lab.xml(&format!("{assign}&SecondaryPrivateIpAddressCount=1"));
    net.row(&format!("{assign}&PrivateIpAddress.1=10.0.1.60"), words);
    let heavy = net.lab.get(&net.create_form("&SecondaryPrivateIpAddressCount=2"), "networkInterfaceId");
    net.row(&attach_form(&heavy, &instance, 1), words);
}

#[test]
fn assign_an_address_of_another_eni() {
    let mut net = Net::new();
    let (holder, eni) = (net.new_eni(), net.new_eni());
    let assign = |eni: &str, more: &str| {
        format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={eni}&PrivateIpAddress.1=10.0.1.60{more}")
    };
    net.lab.xml(&assign(&holder, ""));
    net.row(&assign(&eni, ""), "InvalidParameterValue: [10.0.1.60] have already been assigned");
    net.row(&assign(&eni, "&AllowReassignment=false"), "InvalidParameterValue: [10.0.1.60] have already been assigned");
    net.lab.xml(&assign(&eni, "&AllowReassignment=true"));
}

#[test]
fn create_beyond_the_quota() {
    let mut net = Net::new();
    net.lab.settings.quotas = crate::Quotas::with(["enis=1"]).unwrap();
    net.new_eni();
    let words = "NetworkInterfaceLimitExceeded: The maximum number of network interfaces has been reached.";
    net.row(&net.create_form(""), words);
    net.row(&net.launch_form("t3.micro", ""), words);
}

#[test]
fn what_takes_up_more_of_a_vpc_than_its_quota() {
    let mut net = Net::new();
    net.lab.settings.quotas = crate::Quotas::with(["network-address-units-per-vpc=12"]).unwrap();
    let instance = net.running("t3.micro");
    let eni = net.lab.get(&net.create_form("&SecondaryPrivateIpAddressCount=2"), "networkInterfaceId");
    service_eni(&mut net, InterfaceType::NatGateway, &[]);
    // 1 of the instance, 3 of the ENI, 6 of the service.
    let assign = format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={eni}");
    let words = format!(
        "NetworkAddressUsageLimitExceeded: The VPC '{}' has reached its limit of 12 network address units.",
        net.vpc
    );
    net.row(&net.create_form("&SecondaryPrivateIpAddressCount=2"), &words);
    net.row(&format!("{assign}&SecondaryPrivateIpAddressCount=3"), &words);
    net.row(
        &net.launch_form("t3.micro", "").replace("MaxCount=1", "MaxCount=3").replace("MinCount=1", "MinCount=3"),
        &words,
    );
    net.lab.xml(&format!("Action=UnassignPrivateIpAddresses&NetworkInterfaceId={eni}&PrivateIpAddress.1={}", {
        let eni = net.lab.world.eni(eni.parse().unwrap()).unwrap();
        eni.private_ipv4[2]
    }));
    net.new_eni();
    net.lab.settings.quotas = crate::Quotas::with(["network-address-units-per-vpc=10"]).unwrap();
    net.row(&attach_form(&eni, &instance, 1), &words.replace("12", "10"));
}

#[test]
fn create_with_a_client_token_of_another_request() {
    let mut net = Net::new();
    let eni = net.lab.get(&net.create_form("&ClientToken=t"), "networkInterfaceId");
    assert_eq!(net.lab.get(&net.create_form("&ClientToken=t"), "networkInterfaceId"), eni);
    assert!(
        net.lab.refusal(&net.create_form("&ClientToken=t&Description=x")).starts_with("IdempotentParameterMismatch: ")
    );
}

#[test]
fn attach_at_a_place_that_is_taken_or_that_the_type_has_not() {
    let mut net = Net::new();
    let (eni, instance) = (net.new_eni(), net.running("t3.micro"));
    let taken =
        format!("InvalidParameterValue: Instance '{instance}' already has an interface attached at device index");
    net.row(&attach_form(&eni, &instance, 0), &format!("{taken} '0'."));
    net.lab.refuses(&[
        (&attach_form(&eni, &instance, 2), "InvalidParameterValue: "),
        (&format!("{}&NetworkCardIndex=1", attach_form(&eni, &instance, 1)), "InvalidParameterValue: "),
    ]);
    net.lab.xml(&format!("Action=StopInstances&InstanceId.1={instance}"));
    net.row(
        &attach_form(&eni, &instance, 1),
        &format!("IncorrectState: The instance '{instance}' is not in a state from which it can be attached"),
    );
}

#[test]
fn create_with_a_group_of_another_vpc() {
    let mut net = Net::new();
    let vpc = net.lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
    let group = format!("Action=CreateSecurityGroup&GroupName=a&GroupDescription=a&VpcId={vpc}");
    let group = net.lab.get(&group, "groupId");
    let words =
        format!("InvalidParameter: Security group {group} and subnet {} belong to different networks.", net.subnet);
    net.row(&net.create_form(&format!("&SecurityGroupId.1={group}")), &words);
}

#[test]
fn unassign_of_the_primary_address() {
    let mut net = Net::new();
    let eni = net.lab.get(&net.create_form("&PrivateIpAddress=10.0.1.50"), "networkInterfaceId");
    net.row(
        &format!("Action=UnassignPrivateIpAddresses&NetworkInterfaceId={eni}&PrivateIpAddress.1=10.0.1.50"),
        "InvalidParameterValue: Cannot unassign the primary address",
    );
}

#[test]
fn launch_that_says_its_place_twice() {
    let mut net = Net::new();
    let (subnet, group) = (net.subnet.clone(), net.group.clone());
    let interface = format!("&NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.SubnetId={subnet}");
    let form = net.launch_with("t3.micro", &format!("{interface}&SubnetId={subnet}"));
    net.row(
        &form,
        "InvalidParameterCombination: Network interfaces and an instance-level subnet ID may not be specified on the \
         same request",
    );
    let form = net.launch_with("t3.micro", &format!("{interface}&SecurityGroupId.1={group}"));
    net.row(
        &form,
        "InvalidParameterCombination: Network interfaces and an instance-level security groups may not be specified on \
         the same request",
    );
}
