//! Network ACLs as callers see them: lists, entries, associations and their refusals.

use crate::testing::{Lab, values};

struct Net {
    lab: Lab,
    vpc: String,
    subnet: String,
    acl: String,
}

impl Net {
    fn new() -> Self {
        let mut lab = Lab::new();
        let vpc = lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
        let subnet = lab.get(&format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.0.1.0/24"), "subnetId");
        let acl = lab.get(&format!("Action=CreateNetworkAcl&VpcId={vpc}"), "networkAclId");
        Self { lab, vpc, subnet, acl }
    }

    fn entry(&self, action: &str, number: u32, rest: &str) -> String {
        let acl = &self.acl;
        format!("Action={action}NetworkAclEntry&NetworkAclId={acl}&RuleNumber={number}&Egress=false{rest}")
    }

    fn create(&self, number: u32, rest: &str) -> String {
        self.entry("Create", number, &format!("&RuleAction=allow{rest}"))
    }

    fn describe(&mut self) -> String {
        let form = format!("Action=DescribeNetworkAcls&NetworkAclId.1={}", self.acl);
        self.lab.xml(&form)
    }

    fn default_acl(&mut self) -> String {
        let form = format!(
            "Action=DescribeNetworkAcls&Filter.1.Name=default&Filter.1.Value.1=true&Filter.2.Name=vpc-id\
             &Filter.2.Value.1={}",
            self.vpc
        );
        self.lab.get(&form, "networkAclId")
    }

    fn association(&mut self) -> String {
        let form =
            format!("Action=DescribeNetworkAcls&Filter.1.Name=association.subnet-id&Filter.1.Value.1={}", self.subnet);
        self.lab.get(&form, "networkAclAssociationId")
    }
}

const ALL: &str = "&Protocol=-1&CidrBlock=0.0.0.0/0";

#[test]
fn a_new_list_denies_everything_as_recorded() {
    let mut net = Net::new();
    let token = format!("Action=CreateNetworkAcl&VpcId={}&ClientToken=t", net.vpc);
    let xml = net.lab.xml(&token);
    assert_eq!(values(&xml, "clientToken"), ["t"]);
    assert_eq!(values(&xml, "ruleNumber"), ["32767", "32767"]);
    assert_eq!(values(&xml, "egress"), ["true", "false"]);
    assert_eq!(values(&xml, "ruleAction"), ["deny", "deny"]);
    assert_eq!(values(&xml, "protocol"), ["-1", "-1"]);
    assert_eq!(values(&xml, "default"), ["false"]);
    assert!(xml.contains("<associationSet/>") && xml.contains("<tagSet/>"), "{xml}");
    assert_eq!(values(&net.lab.xml(&token), "networkAclId"), values(&xml, "networkAclId"), "the token is remembered");
}

#[test]
fn an_ipv6_vpc_shows_the_final_deny_of_ipv6() {
    let mut net = Net::new();
    let add = format!("Action=AssociateVpcCidrBlock&VpcId={}&AmazonProvidedIpv6CidrBlock=true", net.vpc);
    net.lab.xml(&add);
    assert_eq!(values(&net.describe(), "ruleNumber"), ["32767", "32768", "32767", "32768"]);
    let default = net.default_acl();
    let xml = net.lab.xml(&format!("Action=DescribeNetworkAcls&NetworkAclId.1={default}"));
    assert_eq!(values(&xml, "ruleNumber")[..4], ["100", "101", "32767", "32768"]);
}

#[test]
fn entries_are_kept_in_order_and_answered_with_numbers() {
    let mut net = Net::new();
    let ports = "&PortRange.From=80&PortRange.To=81";
    for (number, rest) in [
        (300, format!("&Protocol=tcp&CidrBlock=10.9.8.7/8{ports}")),
        (100, format!("&Protocol=17&CidrBlock=0.0.0.0/0{ports}")),
        (200, "&Protocol=icmp&CidrBlock=0.0.0.0/0&Icmp.Type=8&Icmp.Code=-1".to_owned()),
        (250, "&Protocol=58&Ipv6CidrBlock=2001:db8::1/32&Icmp.Type=-1&Icmp.Code=-1".to_owned()),
        (260, format!("&Protocol=esp&CidrBlock=0.0.0.0/0{ports}")),
        (32766, ALL.to_owned()),
    ] {
        let form = net.create(number, &rest);
        net.lab.xml(&form);
    }
    let xml = net.describe();
    assert_eq!(values(&xml, "ruleNumber"), ["32767", "100", "200", "250", "260", "300", "32766", "32767"]);
    assert_eq!(values(&xml, "protocol"), ["-1", "17", "1", "58", "50", "6", "-1", "-1"]);
    assert_eq!(values(&xml, "from"), ["80", "80"], "a protocol without ports has none");
    assert_eq!(values(&xml, "type"), ["8", "-1"]);
    assert_eq!(values(&xml, "ipv6CidrBlock"), ["2001:db8::/32"]);
    assert!(xml.contains("<cidrBlock>10.0.0.0/8</cidrBlock>"), "{xml}");
    for (filter, value) in [
        ("entry.cidr", "10.0.0.0/8"),
        ("entry.icmp.type", "8"),
        ("entry.ipv6-cidr", "2001:db8::/32"),
        ("entry.port-range.to", "81"),
        ("entry.protocol", "50"),
        ("entry.rule-number", "260"),
    ] {
        let form = format!("Action=DescribeNetworkAcls&Filter.1.Name={filter}&Filter.1.Value.1={value}");
        assert_eq!(net.lab.all(&form, "networkAclId"), [net.acl.as_str()], "{filter}");
    }
}

#[test]
fn entries_are_replaced_and_deleted() {
    let mut net = Net::new();
    let forms = [
        net.create(100, ALL),
        net.entry("Replace", 100, "&RuleAction=deny&Protocol=6&PortRange.From=22&PortRange.To=22&Ipv6CidrBlock=::/0"),
    ];
    forms.iter().for_each(|form| drop(net.lab.xml(form)));
    let xml = net.describe();
    assert_eq!(values(&xml, "ruleAction"), ["deny", "deny", "deny"]);
    assert_eq!(values(&xml, "ipv6CidrBlock"), ["::/0"]);
    let (replace, delete, again) = (
        net.entry("Replace", 7, &format!("&RuleAction=deny{ALL}")),
        net.entry("Delete", 100, ""),
        net.create(100, ALL),
    );
    net.lab.refuses(&[
        (&replace, "InvalidNetworkAclEntry.NotFound"),
        (&again, "NetworkAclEntryAlreadyExists: The network acl entry identified by 100 already exists."),
    ]);
    net.lab.xml(&delete);
    assert_eq!(values(&net.describe(), "ruleNumber"), ["32767", "32767"]);
    net.lab.refuses(&[(&delete, "InvalidNetworkAclEntry.NotFound")]);
    let egress = again.replace("Egress=false", "Egress=true");
    net.lab.xml(&again);
    net.lab.xml(&egress);
    assert_eq!(values(&net.describe(), "egress"), ["true", "true", "false", "false"]);
}

#[test]
fn bad_entries_are_refused() {
    let mut net = Net::new();
    let (acl, ports) = (net.acl.clone(), "&PortRange.From=1&PortRange.To=2");
    let cases = [
        (net.create(0, ALL), "InvalidParameterValue: Value (0) for parameter ruleNumber is invalid."),
        (net.create(32767, ALL), "InvalidParameterValue"),
        (net.create(1, "&CidrBlock=0.0.0.0/0"), "MissingParameter"),
        (net.create(1, "&Protocol=-1"), "MissingParameter: Either 'cidrBlock' or 'ipv6CidrBlock'"),
        (net.create(1, &format!("{ALL}&Ipv6CidrBlock=::/0")), "InvalidParameterCombination"),
        (net.create(1, "&Protocol=-1&CidrBlock=10.0.0/8"), "InvalidParameterValue: Value (10.0.0/8) for parameter"),
        (net.create(1, "&Protocol=-1&Ipv6CidrBlock=10.0.0.0/8"), "InvalidParameterValue"),
        (net.create(1, "&Protocol=256&CidrBlock=0.0.0.0/0"), "InvalidParameterValue"),
        (net.create(1, "&Protocol=ip&CidrBlock=0.0.0.0/0"), "InvalidParameterValue"),
        (
            net.create(1, "&Protocol=6&CidrBlock=0.0.0.0/0"),
            "MissingParameter: The request must contain the parameter portRange",
        ),
        (net.create(1, "&Protocol=6&CidrBlock=0.0.0.0/0&PortRange.From=1"), "MissingParameter"),
        (net.create(1, "&Protocol=6&CidrBlock=0.0.0.0/0&PortRange.From=2&PortRange.To=1"), "InvalidParameterValue"),
        (net.create(1, "&Protocol=6&CidrBlock=0.0.0.0/0&PortRange.From=0&PortRange.To=65536"), "InvalidParameterValue"),
        (net.create(1, "&Protocol=1&CidrBlock=0.0.0.0/0"), "MissingParameter"),
        (net.create(1, "&Protocol=1&CidrBlock=0.0.0.0/0&Icmp.Type=256&Icmp.Code=0"), "InvalidParameterValue"),
        (net.create(1, "&Protocol=1&CidrBlock=0.0.0.0/0&Icmp.Type=-1&Icmp.Code=0"), "InvalidParameterValue"),
        (net.create(1, "&Protocol=58&Ipv6CidrBlock=::/0"), "MissingParameter"),
        (net.entry("Create", 1, &format!("&RuleAction=drop{ALL}")), "InvalidParameterValue"),
        (
            net.create(1, ALL).replace(&acl, "acl-00000000000000fff"),
            "InvalidNetworkAclID.NotFound: The network acl ID 'acl-00000000000000fff' does not exist",
        ),
        (net.create(1, ALL).replace(&acl, "acl-x"), "InvalidNetworkAclId.Malformed"),
        (net.entry("Delete", 32767, ""), "InvalidParameterValue"),
    ];
    for (form, want) in &cases {
        net.lab.refuses(&[(form, want)]);
    }
    let icmpv6_in_an_ipv4_block = net.create(1, &format!("&Protocol=58&CidrBlock=0.0.0.0/0{ports}"));
    net.lab.xml(&icmpv6_in_an_ipv4_block);
}

#[test]
fn families_and_directions_count_apart_and_the_final_deny_counts() {
    let mut net = Net::new();
    net.lab.settings.quotas.entries_per_network_acl = 3;
    let forms: Vec<_> = (1..=3).map(|number| net.create(number, ALL)).collect();
    net.lab.xml(&forms[0]);
    net.lab.xml(&forms[1]);
    let limit = "NetworkAclEntryLimitExceeded: The maximum number of network acl entries has been reached.";
    net.lab.refuses(&[(&forms[2], limit)]);
    let egress = forms[2].replace("Egress=false", "Egress=true");
    net.lab.xml(&egress);
    for number in [4, 5] {
        let form = net.create(number, "&Protocol=-1&Ipv6CidrBlock=::/0");
        net.lab.xml(&form);
    }
    let across = net.entry("Replace", 5, &format!("&RuleAction=deny{ALL}"));
    let within = net.entry("Replace", 1, &format!("&RuleAction=deny{ALL}"));
    net.lab.refuses(&[(&across, limit)]);
    net.lab.xml(&within);
    net.lab.settings.quotas.network_acls_per_vpc = 2;
    let another = format!("Action=CreateNetworkAcl&VpcId={}", net.vpc);
    net.lab.refuses(&[(&another, "NetworkAclLimitExceeded")]);
}

#[test]
fn a_subnet_moves_between_lists() {
    let mut net = Net::new();
    let (first, default) = (net.association(), net.default_acl());
    let replace =
        |id: &str, acl: &str| format!("Action=ReplaceNetworkAclAssociation&AssociationId={id}&NetworkAclId={acl}");
    let second = net.lab.get(&replace(&first, &net.acl), "newAssociationId");
    assert_ne!(first, second);
    assert_eq!(net.association(), second);
    assert_eq!(values(&net.describe(), "subnetId"), [net.subnet.as_str()]);
    let other = net.lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
    let far = net.lab.get(&format!("Action=CreateNetworkAcl&VpcId={other}"), "networkAclId");
    let (acl, subnet) = (net.acl.clone(), net.subnet.clone());
    let delete = |acl: &str| format!("Action=DeleteNetworkAcl&NetworkAclId={acl}");
    net.lab.refuses(&[
        (
            &replace(&first, &acl),
            &format!("InvalidAssociationID.NotFound: The association ID '{first}' does not exist"),
        ),
        (&replace(&second, &far), "InvalidParameterValue: network acl"),
        (&replace(&second, "acl-00000000000000fff"), "InvalidNetworkAclID.NotFound"),
        (
            &delete(&acl),
            &format!("DependencyViolation: The networkAcl '{acl}' has dependencies and cannot be deleted."),
        ),
        (&delete(&default), &format!("InvalidParameterValue: cannot delete default network ACL {default}")),
        (&format!("Action=DeleteVpc&VpcId={other}"), "DependencyViolation"),
    ]);
    net.lab.xml(&format!("Action=DeleteSubnet&SubnetId={subnet}"));
    net.lab.xml(&delete(&acl));
    net.lab.refuses(&[(&delete(&acl), "InvalidNetworkAclID.NotFound")]);
}

#[test]
fn changed_default_entries_stay_when_ipv6_comes() {
    let mut net = Net::new();
    net.acl = net.default_acl();
    let delete = net.entry("Delete", 100, "");
    net.lab.xml(&delete);
    let add = format!("Action=AssociateVpcCidrBlock&VpcId={}&AmazonProvidedIpv6CidrBlock=true", net.vpc);
    net.lab.xml(&add);
    assert_eq!(values(&net.describe(), "ruleNumber"), ["100", "32767", "32768", "32767", "32768"]);
}
