use crate::testing::{Lab, values};

fn vpc(lab: &mut Lab, cidr: &str) -> String {
    lab.get(&format!("Action=CreateVpc&CidrBlock={cidr}"), "vpcId")
}

#[test]
fn a_new_vpc_is_pending_and_then_available_with_its_parts() {
    let mut lab = Lab::new();
    let form = "Action=CreateVpc&CidrBlock=10.0.0.9/16&TagSpecification.1.ResourceType=vpc\
                &TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=a";
    let xml = lab.xml(form);
    for (element, want) in [("cidrBlock", "10.0.0.0/16"), ("isDefault", "false"), ("instanceTenancy", "default")] {
        assert_eq!(values(&xml, element)[0], want, "{xml}");
    }
    assert!(xml.contains("<state>pending</state>") && xml.contains("<state>associated</state>"), "{xml}");
    assert!(values(&xml, "dhcpOptionsId")[0].starts_with("dopt-"));
    assert_eq!(values(&xml, "value"), ["a"]);
    let id = &values(&xml, "vpcId")[0];

    let described = lab.xml(&format!("Action=DescribeVpcs&VpcId.1={id}"));
    assert!(described.contains("<state>available</state>"), "{described}");
    let by_vpc = |action: &str| format!("Action={action}&Filter.1.Name=vpc-id&Filter.1.Value.1={id}");
    assert_eq!(lab.all(&by_vpc("DescribeRouteTables"), "gatewayId"), ["local"]);
    assert_eq!(lab.all(&by_vpc("DescribeRouteTables"), "main"), ["true"]);
    assert_eq!(lab.all(&by_vpc("DescribeSecurityGroups"), "groupName"), ["default"]);
    assert_eq!(lab.all(&by_vpc("DescribeNetworkAcls"), "ruleNumber"), ["100", "32767", "100", "32767"]);
}

#[test]
fn bad_vpcs_are_refused() {
    let mut lab = Lab::new();
    lab.refuses(&[
        ("Action=CreateVpc", "MissingParameter: Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided."),
        ("Action=CreateVpc&CidrBlock=10.0.0.0/8", "InvalidVpc.Range: The CIDR '10.0.0.0/8' is invalid."),
        ("Action=CreateVpc&CidrBlock=10.0.0.0/29", "InvalidVpc.Range: "),
        ("Action=CreateVpc&CidrBlock=127.0.0.0/16", "InvalidVpc.Range: "),
        ("Action=CreateVpc&CidrBlock=169.254.0.0/24", "InvalidVpc.Range: "),
        ("Action=CreateVpc&CidrBlock=230.0.0.0/16", "InvalidVpc.Range: "),
        (
            "Action=CreateVpc&CidrBlock=x",
            "InvalidParameterValue: Value (x) for parameter cidrBlock is invalid. This is not a valid CIDR block.",
        ),
        ("Action=CreateVpc&CidrBlock=10.0.0.0", "InvalidParameterValue: "),
        ("Action=CreateVpc&CidrBlock=fd00::/64", "InvalidParameterValue: "),
        ("Action=CreateVpc&CidrBlock=10.0.0.0/16&InstanceTenancy=dedicated", "UnsupportedOperation: "),
        ("Action=CreateVpc&CidrBlock=10.0.0.0/16&InstanceTenancy=host", "InvalidParameterValue: "),
        (
            "Action=CreateVpc&CidrBlock=10.0.0.0/16&Ipv6NetmaskLength=56",
            "UnsupportedOperation: The parameter Ipv6NetmaskLength is not supported by Groundplane.",
        ),
        ("Action=CreateVpc&CidrBlock=10.0.0.0/16&Ipv6Pool=ipv6pool-ec2-1", "InvalidIpv6PoolID.NotFound: "),
        ("Action=CreateVpc&CidrBlock=10.0.0.0/16&DryRun=true", "DryRunOperation: "),
        ("Action=CreateVpc&CidrBlock=10.0.0.0/8&DryRun=true", "InvalidVpc.Range: "),
        (
            "Action=DescribeVpcs&VpcId.1=vpc-00000000000000fff",
            "InvalidVpcID.NotFound: The vpc ID 'vpc-00000000000000fff' does not exist",
        ),
        (
            "Action=DescribeVpcs&VpcId.1=vpc-00000000000000fff&VpcId.2=vpc-0000abcd",
            "InvalidVpcID.NotFound: The vpc IDs 'vpc-00000000000000fff, vpc-0000abcd' do not exist",
        ),
        ("Action=DeleteVpc&VpcId=pvc-1", "InvalidVpcID.Malformed: Invalid id: \"pvc-1\" (expecting \"vpc-...\")"),
        ("Action=DeleteVpc", "MissingParameter: The request must contain the parameter vpcId"),
    ]);
    assert_eq!(lab.all("Action=DescribeVpcs", "isDefault"), ["true"], "no refusal changes anything");
}

#[test]
fn the_quota_counts_the_default_vpc() {
    let mut lab = Lab::new();
    for _ in 0..4 {
        vpc(&mut lab, "10.0.0.0/16");
    }
    let refusal = lab.refusal("Action=CreateVpc&CidrBlock=10.0.0.0/16");
    assert_eq!(refusal, "VpcLimitExceeded: The maximum number of VPCs has been reached.");
    lab.settings.quotas.vpcs = 100;
    vpc(&mut lab, "10.0.0.0/16");
}

#[test]
fn a_vpc_goes_with_its_own_parts_and_not_before_the_rest_is_gone() {
    let mut lab = Lab::new();
    let id = vpc(&mut lab, "10.0.0.0/16");
    let delete = format!("Action=DeleteVpc&VpcId={id}");
    let blocked = format!("DependencyViolation: The vpc '{id}' has dependencies and cannot be deleted.");
    let subnet = lab.get(&format!("Action=CreateSubnet&VpcId={id}&CidrBlock=10.0.0.0/24"), "subnetId");
    assert_eq!(lab.refusal(&delete), blocked);
    lab.xml(&format!("Action=DeleteSubnet&SubnetId={subnet}"));
    let table = lab.get(&format!("Action=CreateRouteTable&VpcId={id}"), "routeTableId");
    assert_eq!(lab.refusal(&delete), blocked);
    lab.xml(&format!("Action=DeleteRouteTable&RouteTableId={table}"));
    let create = format!("Action=CreateSecurityGroup&VpcId={id}&GroupName=web&GroupDescription=web");
    let group = lab.get(&create, "groupId");
    assert_eq!(lab.refusal(&delete), blocked);
    lab.xml(&format!("Action=DeleteSecurityGroup&GroupId={group}"));
    let records = lab.world.tables().records().count();
    lab.xml(&delete);
    assert_eq!(records - lab.world.tables().records().count(), 4, "the VPC, its main table, group and list");
    assert!(lab.refusal(&delete).starts_with("InvalidVpcID.NotFound"));
}

#[test]
fn attributes_are_read_and_set_one_at_a_time() {
    let mut lab = Lab::new();
    let id = vpc(&mut lab, "10.0.0.0/16");
    let read = |attribute: &str| format!("Action=DescribeVpcAttribute&VpcId={id}&Attribute={attribute}");
    let set = |rest: &str| format!("Action=ModifyVpcAttribute&VpcId={id}{rest}");
    assert_eq!(lab.get(&read("enableDnsSupport"), "value"), "true");
    assert_eq!(lab.get(&read("enableDnsHostnames"), "value"), "false");
    assert_eq!(lab.get(&read("enableNetworkAddressUsageMetrics"), "value"), "false");
    lab.xml(&set("&EnableDnsHostnames.Value=true"));
    assert_eq!(lab.get(&read("enableDnsHostnames"), "value"), "true");
    lab.refuses(&[
        (&set(""), "MissingParameter"),
        (&set("&EnableDnsSupport.Value=false"), "InvalidParameterCombination"),
        (&set("&EnableDnsSupport.Value=true&EnableDnsHostnames.Value=true"), "InvalidParameterCombination"),
        (&set("&EnableNetworkAddressUsageMetrics.Value=true"), "UnsupportedOperation"),
        (&read("enableTea"), "InvalidParameterValue"),
    ]);
    lab.xml(&format!("Action=ModifyVpcTenancy&VpcId={id}&InstanceTenancy=default"));
}

#[test]
fn secondary_blocks_come_and_go() {
    let mut lab = Lab::new();
    let id = vpc(&mut lab, "10.2.0.0/16");
    let add = |block: &str| format!("Action=AssociateVpcCidrBlock&VpcId={id}&CidrBlock={block}");
    let xml = lab.xml(&add("100.64.0.0/16"));
    assert!(xml.contains("<state>associating</state>"), "{xml}");
    let association = values(&xml, "associationId")[0].clone();
    let by_association = format!(
        "Action=DescribeVpcs&Filter.1.Name=cidr-block-association.association-id&Filter.1.Value.1={association}"
    );
    assert_eq!(lab.all(&by_association, "vpcId"), [id.as_str()]);
    let tables = format!("Action=DescribeRouteTables&Filter.1.Name=vpc-id&Filter.1.Value.1={id}");
    assert_eq!(lab.all(&tables, "destinationCidrBlock"), ["10.2.0.0/16", "100.64.0.0/16"]);

    let subnet = lab.get(&format!("Action=CreateSubnet&VpcId={id}&CidrBlock=100.64.3.0/24"), "subnetId");
    let primary = lab.get(&format!("Action=DescribeVpcs&VpcId.1={id}"), "associationId");
    let remove = |association: &str| format!("Action=DisassociateVpcCidrBlock&AssociationId={association}");
    lab.refuses(&[
        (&add("10.2.3.0/24"), "InvalidVpc.Conflict"),
        (&add("172.16.0.0/16"), "InvalidVpc.Range: The CIDR '172.16.0.0/16' is restricted."),
        (&add("198.19.0.0/24"), "InvalidVpc.Range"),
        (&add("10.4.0.0/29"), "InvalidVpc.Range"),
        (&format!("Action=AssociateVpcCidrBlock&VpcId={id}"), "MissingParameter"),
        (&remove(&association), "DependencyViolation"),
        (&remove("vpc-cidr-assoc-00000000000000fff"), "InvalidVpcCidrBlockAssociationID.NotFound"),
        (
            &remove(&primary),
            &format!(
                "OperationNotPermitted: The vpc CIDR block with association ID {primary} may not be disassociated. It \
                 is the primary IPv4 CIDR block of the VPC"
            ),
        ),
    ]);
    lab.xml(&format!("Action=DeleteSubnet&SubnetId={subnet}"));
    lab.xml(&remove(&association));
    assert_eq!(lab.all(&by_association, "vpcId"), Vec::<String>::new());
    for block in ["10.3.0.0/16", "10.4.0.0/16", "10.5.0.0/16", "10.6.0.0/16"] {
        lab.xml(&add(block));
    }
    let limit = format!("CidrLimitExceeded: This network {id} has met its maximum number of allowed CIDRs: 5");
    assert_eq!(lab.refusal(&add("10.7.0.0/16")), limit);
}

#[test]
fn an_ipv6_block_opens_the_default_list_and_untouched_groups() {
    let mut lab = Lab::new();
    let id = vpc(&mut lab, "10.0.0.0/16");
    let create = format!("Action=CreateSecurityGroup&VpcId={id}&GroupName=closed&GroupDescription=d");
    let closed = lab.get(&create, "groupId");
    lab.xml(&format!(
        "Action=RevokeSecurityGroupEgress&GroupId={closed}&IpPermissions.1.IpProtocol=-1\
         &IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0"
    ));
    let xml = lab.xml(&format!("Action=AssociateVpcCidrBlock&VpcId={id}&AmazonProvidedIpv6CidrBlock=true"));
    let block = values(&xml, "ipv6CidrBlock")[0].clone();
    assert!(block.starts_with("3fff:") && block.ends_with("00::/56"), "{block}");
    let of_vpc = |action: &str| format!("Action={action}&Filter.1.Name=vpc-id&Filter.1.Value.1={id}");
    assert_eq!(lab.all(&of_vpc("DescribeNetworkAcls"), "ruleNumber").len(), 8);
    assert_eq!(lab.all(&of_vpc("DescribeRouteTables"), "destinationIpv6CidrBlock"), [block.as_str()]);
    let with_ipv6 = format!(
        "{}&Filter.2.Name=egress.ip-permission.ipv6-cidr&Filter.2.Value.1=::/0",
        of_vpc("DescribeSecurityGroups")
    );
    assert_eq!(lab.all(&with_ipv6, "groupName"), ["default"]);

    let form = "Action=CreateVpc&CidrBlock=10.0.0.0/16&AmazonProvidedIpv6CidrBlock=true";
    let other = lab.get(form, "ipv6CidrBlock");
    assert_ne!(block, other);
}

#[test]
fn older_filter_spellings_and_wildcards_work() {
    let mut lab = Lab::new();
    let id = vpc(&mut lab, "10.0.0.0/16");
    let filter = |name: &str, value: &str| format!("Action=DescribeVpcs&Filter.1.Name={name}&Filter.1.Value.1={value}");
    assert_eq!(lab.all(&filter("isDefault", "false"), "vpcId"), [id.as_str()]);
    assert_eq!(lab.all(&filter("cidr", "10.*"), "vpcId"), [id.as_str()]);
    assert_eq!(lab.all(&filter("cidr", "10.?.0.0/16"), "vpcId"), [id.as_str()]);
    assert_eq!(lab.all(&filter("state", "Available"), "vpcId"), Vec::<String>::new());
    let refusal = lab.refusal(&filter("colour", "red"));
    assert_eq!(refusal, "InvalidParameterValue: The filter 'colour' is invalid");
}
