use crate::testing::{Lab, values};

struct Groups {
    lab: Lab,
    vpc: String,
    web: String,
    db: String,
}

impl Groups {
    fn new() -> Self {
        let mut lab = Lab::new();
        let vpc = lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
        let create = |name: &str| format!("Action=CreateSecurityGroup&VpcId={vpc}&GroupName={name}&GroupDescription=d");
        let web = lab.get(&create("web"), "groupId");
        let db = lab.get(&create("db"), "groupId");
        Self { lab, vpc, web, db }
    }

    fn ingress(&self, rest: &str) -> String {
        format!("Action=AuthorizeSecurityGroupIngress&GroupId={}{rest}", self.web)
    }

    fn describe(&mut self) -> String {
        let form = format!("Action=DescribeSecurityGroups&GroupId.1={}", self.web);
        self.lab.xml(&form)
    }
}

const SSH: &str = "&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=22&IpPermissions.1.ToPort=22";

#[test]
fn a_new_group_lets_everything_out_and_nothing_in() {
    let mut groups = Groups::new();
    let xml = groups.describe();
    assert!(xml.contains("<ipPermissions/>"), "{xml}");
    assert_eq!(values(&xml, "ipProtocol"), ["-1"]);
    assert_eq!(values(&xml, "cidrIp"), ["0.0.0.0/0"]);
    assert_eq!(values(&xml, "fromPort"), Vec::<String>::new());
    let arn = format!("arn:aws:ec2:us-east-1:111122223333:security-group/{}", groups.web);
    assert_eq!(values(&xml, "securityGroupArn"), [arn]);
    let rules = format!("Action=DescribeSecurityGroupRules&Filter.1.Name=group-id&Filter.1.Value.1={}", groups.web);
    let xml = groups.lab.xml(&rules);
    assert_eq!(values(&xml, "isEgress"), ["true"]);
    assert_eq!((values(&xml, "fromPort"), values(&xml, "toPort")), (vec!["-1".into()], vec!["-1".into()]));
}

#[test]
fn bad_groups_are_refused() {
    let mut groups = Groups::new();
    let create = |rest: &str| format!("Action=CreateSecurityGroup&VpcId={}{rest}", groups.vpc);
    let vpc = groups.vpc.clone();
    let cases = [
        (create("&GroupName=a"), "MissingParameter: The request must contain the parameter groupDescription".into()),
        (create("&GroupDescription=a"), "MissingParameter: The request must contain the parameter groupName".into()),
        (
            create("&GroupName=default&GroupDescription=d"),
            "InvalidParameterValue: Cannot use reserved security group name: default".into(),
        ),
        (
            create("&GroupName=sg-1&GroupDescription=d"),
            "InvalidParameterValue: Value (sg-1) for parameter groupName".into(),
        ),
        (create("&GroupName=%C3%A9&GroupDescription=d"), "InvalidParameterValue".into()),
        (create("&GroupName=a&GroupDescription=%3Ca%3E"), "InvalidParameterValue".into()),
        (create(&format!("&GroupName={}&GroupDescription=d", "x".repeat(256))), "InvalidParameterValue".into()),
        (
            create("&GroupName=WEB+&GroupDescription=d"),
            format!("InvalidGroup.Duplicate: The security group 'WEB' already exists for VPC '{vpc}'"),
        ),
        (
            "Action=DescribeSecurityGroups&GroupId.1=sg-1,sg-2".into(),
            "InvalidGroupId.Malformed: Invalid id: \"sg-1,sg-2\" (expecting \"sg-...\")".into(),
        ),
        (
            "Action=DeleteSecurityGroup&GroupId=sg-00000000000000fff".into(),
            "InvalidGroup.NotFound: The security group 'sg-00000000000000fff' does not exist".into(),
        ),
        ("Action=DeleteSecurityGroup".into(), "MissingParameter".into()),
        (
            "Action=DeleteSecurityGroup&GroupName=nobody".into(),
            "InvalidGroup.NotFound: The security group 'nobody' does not".into(),
        ),
    ];
    for (form, want) in &cases {
        let want: &String = want;
        groups.lab.refuses(&[(form, want)]);
    }
    groups.lab.settings.quotas.security_groups = 4;
    let refusal = groups.lab.refusal(&create("&GroupName=a&GroupDescription=d"));
    assert!(refusal.starts_with("SecurityGroupLimitExceeded"), "{refusal}");
}

#[test]
fn one_permission_of_many_peers_is_many_rules_and_is_shown_as_one_again() {
    let mut groups = Groups::new();
    let form = groups.ingress(&format!(
        "{SSH}&IpPermissions.1.IpRanges.1.CidrIp=192.0.2.7/24&IpPermissions.1.IpRanges.1.Description=office\
         &IpPermissions.1.Ipv6Ranges.1.CidrIpv6=2001:db8::/32&IpPermissions.1.Groups.1.GroupId={}",
        groups.db
    ));
    let xml = groups.lab.xml(&form);
    assert_eq!(values(&xml, "return"), ["true"]);
    assert_eq!(values(&xml, "securityGroupRuleId").len(), 3);
    assert_eq!(values(&xml, "cidrIpv4"), ["192.0.2.0/24"]);
    assert_eq!(values(&xml, "cidrIpv6"), ["2001:db8::/32"]);
    let xml = groups.describe();
    assert_eq!(values(&xml, "ipProtocol"), ["-1", "tcp"]);
    assert_eq!(values(&xml, "fromPort"), ["22"]);
    assert_eq!(values(&xml, "description"), ["office"]);
    assert_eq!(values(&xml, "userId"), ["111122223333"]);
    assert_eq!(values(&xml, "groupName"), ["web"], "a peer is shown by id alone");
    for (name, value) in [
        ("ip-permission.cidr", "192.0.2.0/24"),
        ("ip-permission.from-port", "22"),
        ("ip-permission.group-name", "db"),
        ("ip-permission.ipv6-cidr", "2001:db8::/32"),
        ("ip-permission.user-id", "111122223333"),
    ] {
        let vpc = groups.vpc.clone();
        let form = format!(
            "Action=DescribeSecurityGroups&Filter.1.Name={name}&Filter.1.Value.1={value}&Filter.2.Name=vpc-id&\
             Filter.2.Value.1={vpc}&Filter.3.Name=group-name&Filter.3.Value.1=web"
        );
        assert_eq!(groups.lab.all(&form, "groupName"), ["web"], "{name}");
    }
}

#[test]
fn a_rule_that_is_there_or_that_cannot_be_is_refused() {
    let mut groups = Groups::new();
    let open = format!("{SSH}&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0");
    let form = groups.ingress(&open);
    groups.lab.xml(&form);
    let other = groups.lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
    let create = format!("Action=CreateSecurityGroup&VpcId={other}&GroupName=far&GroupDescription=d");
    let far = groups.lab.get(&create, "groupId");
    let far_rule = format!("{SSH}&IpPermissions.1.Groups.1.GroupId={far}");
    for (rest, want) in [
        (
            open.as_str(),
            "InvalidPermission.Duplicate: the specified rule \"peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, \
             ALLOW\" already exists",
        ),
        (
            &format!("{SSH}&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8&IpPermissions.1.IpRanges.2.CidrIp=10.1.0.0/8"),
            "InvalidParameterValue: The same permission must not appear multiple times",
        ),
        (&far_rule, "InvalidGroup.NotFound: You have specified two resources that belong to different networks."),
        (SSH, "MissingParameter"),
        ("", "MissingParameter"),
        ("&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0", "InvalidParameterValue: Invalid value 'null' for protocol."),
        (
            &format!("{SSH}&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0"),
            "InvalidParameterValue: CIDR block 0.0.0.0 is malformed",
        ),
        (&format!("{SSH}&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=1.2.3.4/5"), "InvalidParameterValue"),
        (&format!("{SSH}&IpPermissions.1.PrefixListIds.1.PrefixListId=pl-1"), "InvalidPrefixListId.Malformed"),
        (&format!("{SSH}&IpPermissions.1.Groups.1.GroupName=nobody"), "InvalidGroup.NotFound"),
        (
            &format!("{SSH}&IpPermissions.1.Groups.1.GroupName=db&IpPermissions.1.Groups.1.UserId=999999999999"),
            "InvalidGroup.NotFound",
        ),
        (
            "&IpProtocol=tcp&FromPort=80&ToPort=70&CidrIp=0.0.0.0/0",
            "InvalidParameterValue: Invalid TCP/UDP port range (80:70)",
        ),
        (&format!("{open}&CidrIp=0.0.0.0/0"), "InvalidParameterCombination"),
        (
            &format!("{SSH}&IpPermissions.1.IpRanges.1.CidrIp=1.0.0.0/8&IpPermissions.1.IpRanges.1.Description=%3C"),
            "InvalidParameterValue: Invalid rule description.",
        ),
    ] {
        let form = groups.ingress(rest);
        groups.lab.refuses(&[(&form, want)]);
    }
    assert_eq!(values(&groups.describe(), "fromPort"), ["22"]);
}

#[test]
fn the_flat_parameters_still_work() {
    let mut groups = Groups::new();
    let form = groups.ingress("&IpProtocol=6&FromPort=80&ToPort=80&CidrIp=0.0.0.0/0");
    assert_eq!(groups.lab.get(&form, "ipProtocol"), "tcp");
    let form = groups.ingress("&SourceSecurityGroupName=db");
    assert_eq!(groups.lab.all(&form, "ipProtocol"), ["tcp", "udp", "icmp"]);
    let revoke = format!(
        "Action=RevokeSecurityGroupIngress&GroupId={}&IpProtocol=tcp&FromPort=80&ToPort=80&CidrIp=0.0.0.0/0",
        groups.web
    );
    assert_eq!(groups.lab.all(&revoke, "fromPort"), ["80"]);
}

#[test]
fn families_have_their_own_quota_and_groups_count_in_both() {
    let mut groups = Groups::new();
    groups.lab.settings.quotas.rules_per_security_group = 2;
    let db = groups.db.clone();
    let open = |rest: &str| format!("&IpPermissions.1.IpProtocol=-1{rest}");
    for rest in [
        open("&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8"),
        open("&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=2001:db8::/32"),
        open(&format!("&IpPermissions.1.Groups.1.GroupId={db}")),
    ] {
        let form = groups.ingress(&rest);
        groups.lab.xml(&form);
    }
    let form = groups.ingress(&open("&IpPermissions.1.IpRanges.1.CidrIp=11.0.0.0/8"));
    let refusal = groups.lab.refusal(&form);
    assert_eq!(
        refusal,
        "RulesPerSecurityGroupLimitExceeded: The maximum number of rules per security group has been reached."
    );
}

#[test]
fn rules_are_revoked_by_id_and_by_what_they_say() {
    let mut groups = Groups::new();
    let form = groups.ingress(&format!("{SSH}&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0"));
    let rule = groups.lab.get(&form, "securityGroupRuleId");
    let by_id = |direction: &str, id: &str| {
        format!("Action=RevokeSecurityGroup{direction}&GroupId={}&SecurityGroupRuleId.1={id}", groups.web)
    };
    let (wrong, missing, right) =
        (by_id("Egress", &rule), by_id("Ingress", "sgr-00000000000000fff"), by_id("Ingress", &rule));
    groups.lab.refuses(&[
        (&wrong, "InvalidSecurityGroupRuleId.NotFound: The security group rule ID 'sgr-"),
        (
            &missing,
            "InvalidSecurityGroupRuleId.NotFound: The security group rule ID 'sgr-00000000000000fff' does not exist",
        ),
    ]);
    assert_eq!(groups.lab.get(&right, "cidrIpv4"), "0.0.0.0/0");
    let all_out = "&IpPermissions.1.IpProtocol=-1&IpPermissions.1.FromPort=0&IpPermissions.1.ToPort=0";
    let egress = |rest: &str| format!("Action=RevokeSecurityGroupEgress&GroupId={}{all_out}{rest}", groups.web);
    let v4 = egress("&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0");
    let v6 = egress("&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=::/0");
    groups.lab.xml(&v4);
    for form in [&v4, &v6] {
        assert_eq!(
            groups.lab.refusal(form),
            "InvalidPermission.NotFound: The specified rule does not exist in this security group."
        );
    }
}

#[test]
fn in_a_default_vpc_an_unknown_rule_is_answered_and_not_refused() {
    let mut lab = Lab::new();
    let form =
        "Action=RevokeSecurityGroupIngress&GroupName=default&IpProtocol=tcp&FromPort=1&ToPort=2&CidrIp=10.0.0.0/8";
    let xml = lab.xml(form);
    assert!(xml.contains("<unknownIpPermissionSet><item>"), "{xml}");
}

#[test]
fn rules_are_rewritten_in_place() {
    let mut groups = Groups::new();
    let form = groups.ingress(&format!(
        "{SSH}&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0&IpPermissions.1.IpRanges.2.CidrIp=10.0.0.0/8"
    ));
    let rules = groups.lab.all(&form, "securityGroupRuleId");
    let modify = |id: &str, rest: &str| {
        let named = rest.replace('&', "&SecurityGroupRule.1.SecurityGroupRule.");
        format!(
            "Action=ModifySecurityGroupRules&GroupId={}&SecurityGroupRule.1.SecurityGroupRuleId={id}{named}",
            groups.web
        )
    };
    let (first, second) = (&rules[0], &rules[1]);
    let tcp = "&IpProtocol=tcp&FromPort=22&ToPort=22";
    let cases = [
        (modify(first, tcp), "MissingParameter: The request must contain exactly one of: cidrIp"),
        (modify(first, &format!("{tcp}&CidrIpv4=1.0.0.0/8&CidrIpv6=::/0")), "InvalidParameterCombination: Only one of"),
        (modify(first, &format!("{tcp}&CidrIpv6=::/0")), "InvalidParameterValue"),
        (modify(first, &format!("{tcp}&PrefixListId=pl-1")), "InvalidPrefixListId.Malformed"),
        (modify(second, &format!("{tcp}&CidrIpv4=0.0.0.0/0")), "InvalidPermission.Duplicate"),
        (modify("sgr-00000000000000fff", &format!("{tcp}&CidrIpv4=0.0.0.0/0")), "InvalidSecurityGroupRuleId.NotFound"),
    ];
    let good = modify(first, "&IpProtocol=udp&FromPort=53&ToPort=53&CidrIpv4=192.0.2.0/24&Description=dns");
    for (form, want) in &cases {
        groups.lab.refuses(&[(form, want)]);
    }
    groups.lab.xml(&good);
    let xml = groups.lab.xml(&format!("Action=DescribeSecurityGroupRules&SecurityGroupRuleId.1={first}"));
    assert_eq!(values(&xml, "cidrIpv4"), ["192.0.2.0/24"]);
    assert_eq!(values(&xml, "description"), ["dns"]);

    let describe =
        |rest: &str| format!("Action=UpdateSecurityGroupRuleDescriptionsIngress&GroupId={}{rest}", groups.web);
    let by_id = describe(&format!(
        "&SecurityGroupRuleDescription.1.SecurityGroupRuleId={first}&SecurityGroupRuleDescription.1.Description=new"
    ));
    let by_content = describe(&format!(
        "{SSH}&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8&IpPermissions.1.IpRanges.1.Description=in"
    ));
    let unknown = describe(&format!("{SSH}&IpPermissions.1.IpRanges.1.CidrIp=11.0.0.0/8"));
    let nothing = describe("");
    groups.lab.xml(&by_id);
    groups.lab.xml(&by_content);
    assert_eq!(values(&groups.describe(), "description"), ["in", "new"]);
    groups.lab.refuses(&[(&unknown, "InvalidPermission.NotFound"), (&nothing, "MissingParameter")]);
}

#[test]
fn a_group_that_something_depends_on_stays() {
    let mut groups = Groups::new();
    let form = groups.ingress(&format!("{SSH}&IpPermissions.1.Groups.1.GroupId={}", groups.db));
    groups.lab.xml(&form);
    let own = groups.ingress(&format!("{SSH}&IpPermissions.1.Groups.1.GroupId={}", groups.web));
    groups.lab.xml(&own);
    let delete = |id: &str| format!("Action=DeleteSecurityGroup&GroupId={id}");
    let (web, db) = (groups.web.clone(), groups.db.clone());
    assert_eq!(groups.lab.refusal(&delete(&db)), format!("DependencyViolation: resource {db} has a dependent object"));
    let default = format!(
        "Action=DescribeSecurityGroups&Filter.1.Name=vpc-id&Filter.1.Value.1={}&Filter.2.Name=group-name\
         &Filter.2.Value.1=default",
        groups.vpc
    );
    let default = groups.lab.get(&default, "groupId");
    assert_eq!(
        groups.lab.refusal(&delete(&default)),
        format!("CannotDelete: the specified group: \"{default}\" name: \"default\" cannot be deleted by a user")
    );
    let xml = groups.lab.xml(&delete(&web));
    assert_eq!(values(&xml, "groupId"), [web]);
    groups.lab.xml(&delete(&db));
}

#[test]
fn groups_of_a_vpc_are_listed_and_nothing_is_stale_without_peering() {
    let mut groups = Groups::new();
    let vpc = groups.vpc.clone();
    let xml = groups.lab.xml(&format!("Action=GetSecurityGroupsForVpc&VpcId={vpc}"));
    assert_eq!(values(&xml, "groupName").len(), 3);
    assert_eq!(values(&xml, "primaryVpcId")[0], vpc);
    let xml = groups.lab.xml(&format!("Action=DescribeStaleSecurityGroups&VpcId={vpc}"));
    assert!(xml.contains("<staleSecurityGroupSet/>"), "{xml}");
    let references = format!("Action=DescribeSecurityGroupReferences&GroupId.1={}", groups.web);
    assert!(groups.lab.xml(&references).contains("<securityGroupReferenceSet/>"));
}

#[test]
fn a_rule_may_name_a_prefix_list() {
    let mut groups = Groups::new();
    let list = "Action=CreateManagedPrefixList&PrefixListName=a&AddressFamily=IPv4&MaxEntries=40";
    let (one, two) = (groups.lab.get(list, "prefixListId"), groups.lab.get(list, "prefixListId"));
    let peer = |list: &str| {
        format!(
            "{SSH}&IpPermissions.1.PrefixListIds.1.PrefixListId={list}&IpPermissions.1.PrefixListIds.1.Description=d"
        )
    };
    let (first, second, unknown) =
        (groups.ingress(&peer(&one)), groups.ingress(&peer(&two)), groups.ingress(&peer("pl-00000000000000fff")));
    let rule = groups.lab.get(&first, "securityGroupRuleId");
    groups.lab.refuses(&[
        (&first, &format!("InvalidPermission.Duplicate: the specified rule \"peer: {one}, TCP, from port: 22")),
        (&second, "RulesPerSecurityGroupLimitExceeded"),
        (&unknown, "InvalidPrefixListID.NotFound"),
    ]);
    let xml = groups.describe();
    assert!(
        xml.contains(&format!(
            "<prefixListIds><item><description>d</description><prefixListId>{one}</prefixListId></item></prefixListIds>"
        )),
        "{xml}"
    );
    let by_list =
        format!("Action=DescribeSecurityGroups&Filter.1.Name=ip-permission.prefix-list-id&Filter.1.Value.1={one}");
    assert_eq!(groups.lab.all(&by_list, "groupName"), ["web"]);
    let modify = |peer: &str| {
        format!(
            "Action=ModifySecurityGroupRules&GroupId={}&SecurityGroupRule.1.SecurityGroupRuleId={rule}\
             &SecurityGroupRule.1.SecurityGroupRule.IpProtocol=tcp&SecurityGroupRule.1.SecurityGroupRule.FromPort=1\
             &SecurityGroupRule.1.SecurityGroupRule.ToPort=1&SecurityGroupRule.1.SecurityGroupRule.{peer}",
            groups.web
        )
    };
    let (other, block) = (modify(&format!("PrefixListId={two}")), modify("CidrIpv4=10.0.0.0/8"));
    groups.lab.xml(&other);
    groups.lab.refuses(&[(&block, "InvalidParameterValue")]);
    let revoke = format!(
        "Action=RevokeSecurityGroupIngress&GroupId={}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=1\
         &IpPermissions.1.ToPort=1&IpPermissions.1.PrefixListIds.1.PrefixListId={two}",
        groups.web
    );
    assert_eq!(groups.lab.get(&revoke, "prefixListId"), two);
}
