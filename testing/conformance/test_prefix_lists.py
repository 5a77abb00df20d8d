"""Managed prefix lists by the real clients: versions, sizes, and the routes and rules that name them."""

from conftest import permission, refused


def make(account, name="offices", blocks=(), size=5, family="IPv4"):
    answer = account.ec2.create_managed_prefix_list(
        PrefixListName=name, AddressFamily=family, MaxEntries=size, Entries=[{"Cidr": b, "Description": "d"} for b in blocks]
    )
    return answer["PrefixList"]["PrefixListId"]


def described(account, prefix_list):
    return account.ec2.describe_managed_prefix_lists(PrefixListIds=[prefix_list])["PrefixLists"][0]


def blocks(account, prefix_list, **options):
    answer = account.ec2.get_managed_prefix_list_entries(PrefixListId=prefix_list, **options)
    return [entry["Cidr"] for entry in answer["Entries"]]


def test_a_list_answers_as_recorded_from_aws(account):
    prefix_list = make(account, blocks=["10.1.2.3/8", "192.0.2.0/24"])
    found = described(account, prefix_list)
    assert (found["State"], found["Version"], found["MaxEntries"], found["AddressFamily"]) == ("create-complete", 1, 5, "IPv4")
    assert found["PrefixListArn"].endswith(f":{account.number}:prefix-list/{prefix_list}")
    assert found["OwnerId"] == account.number and found["Tags"] == []
    assert blocks(account, prefix_list) == ["10.0.0.0/8", "192.0.2.0/24"]
    aws = account.aws("ec2", "get-managed-prefix-list-entries", "--prefix-list-id", prefix_list)
    assert aws["Entries"][0] == {"Cidr": "10.0.0.0/8", "Description": "d"}


def test_versions_follow_each_other_and_come_back(account):
    prefix_list = make(account, blocks=["10.0.0.0/8"])
    account.ec2.modify_managed_prefix_list(
        PrefixListId=prefix_list, CurrentVersion=1, AddEntries=[{"Cidr": "192.0.2.0/24"}], RemoveEntries=[{"Cidr": "10.0.0.0/8"}]
    )
    assert (described(account, prefix_list)["State"], described(account, prefix_list)["Version"]) == ("modify-complete", 2)
    assert blocks(account, prefix_list) == ["192.0.2.0/24"]
    assert blocks(account, prefix_list, TargetVersion=1) == ["10.0.0.0/8"]
    late = refused(account.ec2.modify_managed_prefix_list, PrefixListId=prefix_list, CurrentVersion=1, AddEntries=[{"Cidr": "1.0.0.0/8"}])
    assert late == ("PrefixListVersionMismatch", "The prefix list has the incorrect version number.")
    account.ec2.restore_managed_prefix_list_version(PrefixListId=prefix_list, PreviousVersion=1, CurrentVersion=2)
    assert (blocks(account, prefix_list), described(account, prefix_list)["State"]) == (["10.0.0.0/8"], "restore-complete")


def test_a_rule_obeys_the_list_that_it_names(account):
    vpc, subnet = account.network()
    prefix_list = make(account, blocks=["10.0.1.10/32"])
    group = account.group(vpc, "server")
    rule = permission("icmp", -1) | {"PrefixListIds": [{"PrefixListId": prefix_list, "Description": "pings"}]}
    account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    [shown] = account.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    assert shown["PrefixListIds"] == [{"PrefixListId": prefix_list, "Description": "pings"}]
    client, server = account.run(subnet, [group], "10.0.1.10"), account.run(subnet, [group], "10.0.1.11")

    def answered():
        return account.groundplane.exec(client, "ping", "-c", "1", "-W", "1", "10.0.1.11", check=False).returncode == 0

    assert account.groundplane.why(client, server, "icmp")[0] and answered()
    associations = account.ec2.get_managed_prefix_list_associations(PrefixListId=prefix_list)["PrefixListAssociations"]
    assert associations == [{"ResourceId": group, "ResourceOwner": account.number}]
    assert refused(account.ec2.delete_managed_prefix_list, PrefixListId=prefix_list)[0] == "PrefixListInUse"
    account.ec2.modify_managed_prefix_list(
        PrefixListId=prefix_list, CurrentVersion=1, RemoveEntries=[{"Cidr": "10.0.1.10/32"}]
    )
    assert not account.groundplane.why(client, server, "icmp")[0]
    account.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])
    account.ec2.delete_managed_prefix_list(PrefixListId=prefix_list)
    assert refused(account.ec2.describe_managed_prefix_lists, PrefixListIds=[prefix_list])[0] == "InvalidPrefixListID.NotFound"


def test_a_route_may_lead_to_a_list_and_counts_its_size(account):
    vpc, _ = account.network()
    gateway = account.ec2.describe_internet_gateways()["InternetGateways"][0]
    table = account.ec2.create_route_table(VpcId=gateway["Attachments"][0]["VpcId"])["RouteTable"]["RouteTableId"]
    prefix_list = make(account, size=50)
    via = {"RouteTableId": table, "GatewayId": gateway["InternetGatewayId"]}
    account.ec2.create_route(DestinationPrefixListId=prefix_list, **via)
    routes = account.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
    assert routes[1]["DestinationPrefixListId"] == prefix_list and routes[1]["State"] == "active"
    assert refused(account.ec2.create_route, DestinationCidrBlock="0.0.0.0/0", **via)[0] == "RouteLimitExceeded"
    assert refused(account.ec2.modify_managed_prefix_list, PrefixListId=prefix_list, MaxEntries=51)[0] == "RouteLimitExceeded"
    account.ec2.delete_route(RouteTableId=table, DestinationPrefixListId=prefix_list)
    account.ec2.delete_managed_prefix_list(PrefixListId=prefix_list)
