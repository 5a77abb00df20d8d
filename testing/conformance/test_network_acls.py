"""Network ACLs by the real clients: lists, entries, associations, and what they do to packets."""

import pytest
from conftest import permission, refused


def entries(acl):
    """(egress, number, action, protocol, block) of each entry."""
    return [
        (e["Egress"], e["RuleNumber"], e["RuleAction"], e["Protocol"], e.get("CidrBlock") or e["Ipv6CidrBlock"])
        for e in acl["Entries"]
    ]


def described(account, acl):
    return account.ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"][0]


def association(account, subnet):
    """(association id, list id) of a subnet."""
    found = [{"Name": "association.subnet-id", "Values": [subnet]}]
    [acl] = account.ec2.describe_network_acls(Filters=found)["NetworkAcls"]
    [of_subnet] = [a for a in acl["Associations"] if a["SubnetId"] == subnet]
    return of_subnet["NetworkAclAssociationId"], acl["NetworkAclId"]


def test_lists_answer_as_recorded_from_aws(account):
    vpc, subnet = account.network()
    acl = account.ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]
    denies = [(True, 32767, "deny", "-1", "0.0.0.0/0"), (False, 32767, "deny", "-1", "0.0.0.0/0")]
    assert entries(acl) == denies
    assert acl["Associations"] == [] and acl["IsDefault"] is False and acl["OwnerId"] == account.number
    default = described(account, association(account, subnet)[1])
    allows = [(egress, 100, "allow", "-1", "0.0.0.0/0") for egress in (True, False)]
    assert entries(default) == [allows[0], denies[0], allows[1], denies[1]]


def test_the_command_line_makes_entries_and_shows_them(account):
    vpc, _ = account.network()
    acl = account.aws("ec2", "create-network-acl", "--vpc-id", vpc)["NetworkAcl"]["NetworkAclId"]
    create = ["ec2", "create-network-acl-entry", "--network-acl-id", acl, "--rule-action", "allow", "--ingress"]
    account.aws(*create, "--rule-number", "110", "--protocol", "tcp", "--port-range", "From=80,To=81", "--cidr-block", "10.1.2.3/8")
    account.aws(*create, "--rule-number", "90", "--protocol", "icmp", "--icmp-type-code", "Code=-1,Type=8", "--cidr-block", "0.0.0.0/0")
    account.aws(*create, "--rule-number", "100", "--protocol", "udp", "--port-range", "From=53,To=53", "--ipv6-cidr-block", "::/0")
    again = account.aws(
        *create, "--rule-number", "90", "--protocol", "all", "--cidr-block", "0.0.0.0/0", check=False
    )
    assert "(NetworkAclEntryAlreadyExists)" in again.stderr
    shown = [e for e in described(account, acl)["Entries"] if not e["Egress"]]
    assert [e["RuleNumber"] for e in shown] == [90, 100, 110, 32767]
    assert shown[0]["IcmpTypeCode"] == {"Code": -1, "Type": 8}
    assert shown[2]["PortRange"] == {"From": 80, "To": 81} and shown[2]["CidrBlock"] == "10.0.0.0/8"
    account.aws("ec2", "delete-network-acl-entry", "--network-acl-id", acl, "--ingress", "--rule-number", "90")
    found = [{"Name": "entry.rule-number", "Values": ["90"]}, {"Name": "entry.egress", "Values": ["false"]}]
    assert account.ec2.describe_network_acls(NetworkAclIds=[acl], Filters=found)["NetworkAcls"] == []


@pytest.mark.parametrize(
    "options, code",
    [
        ({"RuleNumber": 32767, "Protocol": "-1", "CidrBlock": "0.0.0.0/0"}, "InvalidParameterValue"),
        ({"RuleNumber": 1, "Protocol": "6", "CidrBlock": "0.0.0.0/0"}, "MissingParameter"),
        ({"RuleNumber": 1, "Protocol": "-1"}, "MissingParameter"),
        ({"RuleNumber": 1, "Protocol": "-1", "CidrBlock": "10.0.0/8"}, "InvalidParameterValue"),
        ({"RuleNumber": 1, "Protocol": "what", "CidrBlock": "0.0.0.0/0"}, "InvalidParameterValue"),
    ],
)
def test_entries_that_no_list_can_have_are_refused(account, options, code):
    acl = account.ec2.create_network_acl(VpcId=account.network()[0])["NetworkAcl"]["NetworkAclId"]
    assert refused(account.ec2.create_network_acl_entry, NetworkAclId=acl, Egress=False, RuleAction="allow", **options)[0] == code


def test_lists_in_use_and_default_lists_stay(account):
    vpc, subnet = account.network()
    first, default = association(account, subnet)
    acl = account.ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    second = account.ec2.replace_network_acl_association(AssociationId=first, NetworkAclId=acl)["NewAssociationId"]
    assert association(account, subnet) == (second, acl)
    assert refused(account.ec2.delete_network_acl, NetworkAclId=acl) == (
        "DependencyViolation",
        f"The networkAcl '{acl}' has dependencies and cannot be deleted.",
    )
    assert refused(account.ec2.delete_network_acl, NetworkAclId=default)[0] == "InvalidParameterValue"
    assert refused(account.ec2.replace_network_acl_association, AssociationId=first, NetworkAclId=default)[0] == (
        "InvalidAssociationID.NotFound"
    )
    assert refused(account.ec2.delete_vpc, VpcId=vpc)[0] == "DependencyViolation"
    account.ec2.replace_network_acl_association(AssociationId=second, NetworkAclId=default)
    account.ec2.delete_network_acl(NetworkAclId=acl)


def test_a_list_is_stateless_and_acts_at_once(account):
    vpc, front = account.network()
    back = account.subnet(vpc, "10.0.2.0/24")
    group = account.group(vpc, "open", permission("-1", cidr="0.0.0.0/0"))
    client, server = account.run(front, [group], "10.0.1.10"), account.run(back, [group], "10.0.2.10")

    def reachable():
        return account.groundplane.why(client, server, "tcp/80")[0]

    def answered():
        return account.groundplane.exec(client, "ping", "-c", "1", "-W", "1", "10.0.2.10", check=False).returncode == 0

    assert reachable() and answered()
    acl = account.ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    account.ec2.replace_network_acl_association(AssociationId=association(account, back)[0], NetworkAclId=acl)
    assert not reachable() and not answered()

    def entry(egress, number, protocol, **options):
        account.ec2.create_network_acl_entry(
            NetworkAclId=acl, Egress=egress, RuleNumber=number, Protocol=protocol, RuleAction="allow", CidrBlock="0.0.0.0/0", **options
        )

    entry(False, 100, "1", IcmpTypeCode={"Type": 8, "Code": -1})
    assert not answered(), "the answer needs an entry of its own"
    entry(True, 100, "1", IcmpTypeCode={"Type": 0, "Code": -1})
    assert answered()
    account.ec2.replace_network_acl_entry(
        NetworkAclId=acl, Egress=False, RuleNumber=100, Protocol="-1", RuleAction="deny", CidrBlock="10.0.1.10/32"
    )
    assert not answered(), "running flows obey, too"
