"""Security groups and their rules."""

from conftest import permission, refused


def test_a_new_group_lets_everything_out_and_nothing_in(account):
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = account.ec2.create_security_group(GroupName="web", Description="d", VpcId=vpc)
    assert made["SecurityGroupArn"].endswith(f":security-group/{made['GroupId']}")
    [group] = account.ec2.describe_security_groups(GroupIds=[made["GroupId"]])["SecurityGroups"]
    assert group["IpPermissions"] == []
    [out] = group["IpPermissionsEgress"]
    assert out["IpProtocol"] == "-1" and out["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}] and "FromPort" not in out


def test_rules_are_added_found_changed_and_taken_away(account):
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = account.group(vpc)
    added = account.ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 80,
                "ToPort": 81,
                "IpRanges": [{"CidrIp": "10.0.1.7/24", "Description": "a"}, {"CidrIp": "10.0.2.0/24"}],
                "UserIdGroupPairs": [{"GroupId": group}],
            }
        ],
    )["SecurityGroupRules"]
    assert len(added) == 3 and all(r["SecurityGroupRuleId"].startswith("sgr-") for r in added)
    assert added[0]["CidrIpv4"] == "10.0.1.0/24", "host bits are cut off"
    [merged] = account.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    assert len(merged["IpRanges"]) == 2 and merged["UserIdGroupPairs"] == [{"GroupId": group, "UserId": account.number}]
    rule = added[1]["SecurityGroupRuleId"]
    account.ec2.modify_security_group_rules(
        GroupId=group,
        SecurityGroupRules=[
            {
                "SecurityGroupRuleId": rule,
                "SecurityGroupRule": {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "CidrIpv4": "10.0.3.0/24"},
            }
        ],
    )
    [shown] = account.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule])["SecurityGroupRules"]
    assert (shown["IpProtocol"], shown["FromPort"], shown["CidrIpv4"]) == ("udp", 53, "10.0.3.0/24")
    account.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule])
    assert refused(account.ec2.describe_security_group_rules, SecurityGroupRuleIds=[rule])[0].endswith(".NotFound")


def test_duplicates_and_unknown_rules_are_refused_in_aws_words(account):
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ssh = permission("tcp", 22, cidr="0.0.0.0/0")
    group = account.group(vpc, "g", ssh)
    assert refused(account.ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[ssh]) == (
        "InvalidPermission.Duplicate",
        'the specified rule "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW" already exists',
    )
    twice = refused(account.ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission("tcp", 1, cidr="1.0.0.0/8")] * 2)
    assert twice == ("InvalidParameterValue", "The same permission must not appear multiple times")
    no_ports = refused(account.ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission("tcp", cidr="1.0.0.0/8")])
    assert no_ports[1] == "Invalid value for portRange. Must specify both from and to ports with TCP/UDP."
    missing = refused(account.ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=[permission("tcp", 1, cidr="1.0.0.0/8")])
    assert missing == ("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
    unknown = refused(account.ec2.describe_security_groups, GroupIds=["sg-0123456789abcdef0"])
    assert unknown == ("InvalidGroup.NotFound", "The security group 'sg-0123456789abcdef0' does not exist")
    malformed = refused(account.ec2.describe_security_groups, GroupIds=["web"])
    assert malformed == ("InvalidGroupId.Malformed", 'Invalid id: "web" (expecting "sg-...")')


def test_names_are_unique_in_a_vpc_and_default_is_taken(account):
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    account.group(vpc, "web")
    assert refused(account.ec2.create_security_group, GroupName="web", Description="x", VpcId=vpc)[0] == "InvalidGroup.Duplicate"
    reserved = refused(account.ec2.create_security_group, GroupName="default", Description="x", VpcId=vpc)
    assert reserved == ("InvalidParameterValue", "Cannot use reserved security group name: default")


def test_a_group_in_use_can_not_be_deleted(account):
    vpc, subnet = account.network()
    group, named = account.group(vpc, "a"), account.group(vpc, "b")
    account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission("tcp", 1, group=named)])
    assert refused(account.ec2.delete_security_group, GroupId=named) == (
        "DependencyViolation",
        f"resource {named} has a dependent object",
    )
    eni = account.ec2.create_network_interface(SubnetId=subnet, Groups=[group])["NetworkInterface"]["NetworkInterfaceId"]
    assert refused(account.ec2.delete_security_group, GroupId=group)[0] == "DependencyViolation"
    account.ec2.delete_network_interface(NetworkInterfaceId=eni)
    account.ec2.delete_security_group(GroupId=group)
    account.ec2.delete_security_group(GroupId=named)
    [default] = account.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
    assert refused(account.ec2.delete_security_group, GroupId=default["GroupId"])[0] == "CannotDelete"


def test_the_quota_of_rules_holds(account):
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = account.group(vpc)
    rules = [permission("tcp", port, cidr="10.0.0.0/8") for port in range(1, 61)]
    account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules)
    over = refused(account.ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission("tcp", 99, cidr="10.0.0.0/8")])
    assert over[0] == "RulesPerSecurityGroupLimitExceeded"
