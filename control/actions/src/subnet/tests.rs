use crate::testing::{Lab, values};

struct Net {
    lab: Lab,
    vpc: String,
}

impl Net {
    fn new() -> Self {
        let mut lab = Lab::in_region("eu-central-1");
        let vpc = lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16&AmazonProvidedIpv6CidrBlock=true", "vpcId");
        Self { lab, vpc }
    }

    fn form(&self, rest: &str) -> String {
        format!("Action=CreateSubnet&VpcId={}{rest}", self.vpc)
    }

    fn ipv6_block(&mut self, last_hextet: &str, length: u8) -> String {
        let block = self.lab.get(&format!("Action=DescribeVpcs&VpcId.1={}", self.vpc), "ipv6CidrBlock");
        // `3fff:0:0:100::/56` -> `3fff:0:0:1xx::/64`
        let stem = block.strip_suffix("00::/56").expect("an Amazon-provided block");
        format!("{stem}{last_hextet}::/{length}")
    }
}

#[test]
fn a_new_subnet_shows_what_aws_shows() {
    let mut net = Net::new();
    let form = net.form("&CidrBlock=10.0.1.7/24&AvailabilityZone=eu-central-1b");
    let xml = net.lab.xml(&form);
    for (element, want) in [
        ("cidrBlock", "10.0.1.0/24"),
        ("state", "available"),
        ("availableIpAddressCount", "251"),
        ("availabilityZone", "eu-central-1b"),
        ("availabilityZoneId", "euc1-az2"),
        ("defaultForAz", "false"),
        ("mapPublicIpOnLaunch", "false"),
        ("assignIpv6AddressOnCreation", "false"),
        ("enableDns64", "false"),
        ("ipv6Native", "false"),
        ("hostnameType", "ip-name"),
    ] {
        assert_eq!(values(&xml, element).first().map(String::as_str), Some(want), "{element} in {xml}");
    }
    let id = &values(&xml, "subnetId")[0];
    let arn = format!("arn:aws:ec2:eu-central-1:111122223333:subnet/{id}");
    assert_eq!(values(&xml, "subnetArn")[0], arn);
    let by_arn = format!("Action=DescribeSubnets&Filter.1.Name=subnet-arn&Filter.1.Value.1={arn}");
    assert_eq!(net.lab.all(&by_arn, "subnetId"), [id.as_str()]);
    let acl = format!("Action=DescribeNetworkAcls&Filter.1.Name=association.subnet-id&Filter.1.Value.1={id}");
    assert_eq!(net.lab.all(&acl, "default"), ["true"]);
}

#[test]
fn zones_are_named_by_name_or_id() {
    let mut net = Net::new();
    let form = net.form("&CidrBlock=10.0.1.0/24&AvailabilityZoneId=euc1-az3");
    assert_eq!(net.lab.get(&form, "availabilityZone"), "eu-central-1c");
    let form = net.form("&CidrBlock=10.0.2.0/24");
    assert_eq!(net.lab.get(&form, "availabilityZone"), "eu-central-1a");
    let form = net.form("&CidrBlock=10.0.3.0/24&AvailabilityZone=eu-central-1z");
    assert_eq!(
        net.lab.refusal(&form),
        "InvalidParameterValue: Value (eu-central-1z) for parameter availabilityZone is invalid. Subnets can \
         currently only be created in the following availability zones: eu-central-1a, eu-central-1b, eu-central-1c."
    );
}

#[test]
fn bad_subnets_are_refused() {
    let mut net = Net::new();
    let first = net.form("&CidrBlock=10.0.1.0/24");
    net.lab.xml(&first);
    let cases = [
        ("", "MissingParameter"),
        ("&CidrBlock=10.1.0.0/24", "InvalidSubnet.Range: The CIDR '10.1.0.0/24' is invalid."),
        ("&CidrBlock=10.0.0.0/29", "InvalidSubnet.Range"),
        ("&CidrBlock=10.0.0.0/8", "InvalidSubnet.Range"),
        ("&CidrBlock=10.0.1.128/25", "InvalidSubnet.Conflict: The CIDR '10.0.1.128/25' conflicts with another subnet"),
        ("&CidrBlock=10.0.0.0/16", "InvalidSubnet.Conflict"),
        ("&CidrBlock=nonsense", "InvalidParameterValue"),
        ("&CidrBlock=10.0.2.0/24&Ipv6CidrBlock=2001:db8::/64", "InvalidSubnet.Range"),
        ("&CidrBlock=10.0.2.0/24&Ipv6Native=true", "InvalidParameterCombination: When specifying ipv4 parameters"),
        ("&Ipv6Native=true", "MissingParameter: Either 'ipv6CidrBlock' or 'ipv6IpamPoolId' should be provided."),
        ("&CidrBlock=10.0.2.0/24&OutpostArn=a", "UnsupportedOperation: The parameter OutpostArn"),
        (
            "&CidrBlock=10.0.2.0/24&AvailabilityZone=eu-central-1a&AvailabilityZoneId=euc1-az1",
            "InvalidParameterCombination",
        ),
    ];
    for (rest, want) in cases {
        let form = net.form(rest);
        net.lab.refuses(&[(&form, want)]);
    }
    net.lab.refuses(&[
        ("Action=CreateSubnet&CidrBlock=10.0.0.0/24", "MissingParameter: The request must contain the parameter vpcId"),
        (
            "Action=DescribeSubnets&SubnetId.1=example",
            "InvalidSubnetID.NotFound: The subnet ID 'example' does not exist",
        ),
    ]);
}

#[test]
fn the_quota_is_per_vpc() {
    let mut net = Net::new();
    net.lab.settings.quotas.subnets_per_vpc = 1;
    let form = net.form("&CidrBlock=10.0.1.0/24");
    net.lab.xml(&form);
    let form = net.form("&CidrBlock=10.0.2.0/24");
    assert!(net.lab.refusal(&form).starts_with("SubnetLimitExceeded"));
}

#[test]
fn ipv6_blocks_belong_to_one_subnet() {
    let mut net = Net::new();
    let (one, two) = (net.ipv6_block("01", 64), net.ipv6_block("02", 64));
    let form = net.form(&format!("&CidrBlock=10.0.1.0/24&Ipv6CidrBlock={one}"));
    let xml = net.lab.xml(&form);
    assert_eq!(values(&xml, "ipv6CidrBlock"), [one.as_str()]);
    let (id, association) = (values(&xml, "subnetId")[0].clone(), values(&xml, "associationId")[0].clone());
    let form = net.form(&format!("&CidrBlock=10.0.2.0/24&Ipv6CidrBlock={one}"));
    assert!(net.lab.refusal(&form).starts_with("InvalidSubnet.Conflict"));
    let associate = |block: &str| format!("Action=AssociateSubnetCidrBlock&SubnetId={id}&Ipv6CidrBlock={block}");
    assert!(net.lab.refusal(&associate(&two)).starts_with("InvalidParameterValue"));

    let assign = format!("Action=ModifySubnetAttribute&SubnetId={id}&AssignIpv6AddressOnCreation.Value=true");
    net.lab.xml(&assign);
    let remove = format!("Action=DisassociateSubnetCidrBlock&AssociationId={association}");
    assert!(net.lab.xml(&remove).contains("<state>disassociating</state>"));
    assert!(net.lab.refusal(&remove).starts_with("InvalidSubnetCidrBlockAssociationID.NotFound"));
    let described = net.lab.xml(&format!("Action=DescribeSubnets&SubnetId.1={id}"));
    assert!(described.contains("<assignIpv6AddressOnCreation>false<"), "{described}");
    assert!(net.lab.refusal(&assign).starts_with("InvalidParameterValue"));
    assert!(net.lab.xml(&associate(&two)).contains("<state>associating</state>"));
}

#[test]
fn an_ipv6_only_subnet_has_no_ipv4_to_give() {
    let mut net = Net::new();
    let block = net.ipv6_block("07", 64);
    let form = net.form(&format!("&Ipv6Native=true&Ipv6CidrBlock={block}"));
    let xml = net.lab.xml(&form);
    assert_eq!(values(&xml, "availableIpAddressCount"), ["0"]);
    assert_eq!(values(&xml, "hostnameType"), ["resource-name"]);
    assert_eq!(values(&xml, "cidrBlock"), Vec::<String>::new());
}

#[test]
fn attributes_that_nothing_enforces_are_refused() {
    let mut net = Net::new();
    let form = net.form("&CidrBlock=10.0.1.0/24");
    let id = net.lab.get(&form, "subnetId");
    let set = |rest: &str| format!("Action=ModifySubnetAttribute&SubnetId={id}{rest}");
    net.lab.refuses(&[
        (&set("&EnableDns64.Value=true"), "UnsupportedOperation"),
        (&set("&MapCustomerOwnedIpOnLaunch.Value=true&CustomerOwnedIpv4Pool=p"), "UnsupportedOperation"),
        (&set(""), "MissingParameter"),
        (&set("&EnableDns64.Value=false&MapPublicIpOnLaunch.Value=false"), "InvalidParameterCombination"),
        (&set("&PrivateDnsHostnameTypeOnLaunch=nickname"), "InvalidParameterValue"),
    ]);
    net.lab.xml(&set("&MapPublicIpOnLaunch.Value=false"));
    net.lab.xml(&set("&PrivateDnsHostnameTypeOnLaunch=resource-name"));
    let described = net.lab.xml(&format!("Action=DescribeSubnets&SubnetId.1={id}"));
    assert_eq!(values(&described, "hostnameType"), ["resource-name"]);
}

#[test]
fn a_deleted_default_subnet_can_be_made_again() {
    let mut lab = Lab::in_region("eu-central-1");
    let defaults = "Action=DescribeSubnets&Filter.1.Name=default-for-az&Filter.1.Value.1=true";
    assert_eq!(lab.all(defaults, "cidrBlock"), ["172.31.0.0/20", "172.31.16.0/20", "172.31.32.0/20"]);
    let create = "Action=CreateDefaultSubnet&AvailabilityZone=eu-central-1b";
    assert!(lab.refusal(create).starts_with("DefaultSubnetAlreadyExistsInAvailabilityZone"));
    let in_b = format!("{defaults}&Filter.2.Name=availabilityZone&Filter.2.Value.1=eu-central-1b");
    let id = lab.get(&in_b, "subnetId");
    lab.xml(&format!("Action=DeleteSubnet&SubnetId={id}"));
    assert_eq!(lab.get(create, "cidrBlock"), "172.31.16.0/20");
}
