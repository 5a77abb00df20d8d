"""What can't be deleted while something else needs it: one test for each thing, one refusal for each that needs it."""

import pytest
from conftest import permission, refused

IN_USE = "DependencyViolation"


@pytest.fixture
def ec2(account):
    return account.ec2


def attached_gateway(ec2, vpc):
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    return gateway


def test_a_vpc(account, ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    blocked = (IN_USE, f"The vpc '{vpc}' has dependencies and cannot be deleted.")

    def subnet():
        subnet = account.subnet(vpc, "10.0.1.0/24")
        return lambda: ec2.delete_subnet(SubnetId=subnet)

    def internet_gateway():
        gateway = attached_gateway(ec2, vpc)
        return lambda: ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)

    def egress_only_gateway():
        gateway = ec2.create_egress_only_internet_gateway(VpcId=vpc)["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"]
        return lambda: ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=gateway)

    def group():
        group = account.group(vpc)
        return lambda: ec2.delete_security_group(GroupId=group)

    def list_of_rules():
        acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
        return lambda: ec2.delete_network_acl(NetworkAclId=acl)

    def route_table():
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        return lambda: ec2.delete_route_table(RouteTableId=table)

    for make in (subnet, internet_gateway, egress_only_gateway, group, list_of_rules, route_table):
        remove = make()
        assert refused(ec2.delete_vpc, VpcId=vpc) == blocked, make.__name__
        remove()
    ec2.delete_vpc(VpcId=vpc)


def test_a_subnet(account, ec2):
    vpc, subnet = account.network()
    blocked = (IN_USE, f"The subnet '{subnet}' has dependencies and cannot be deleted.")
    eni = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    assert refused(ec2.delete_subnet, SubnetId=subnet) == blocked
    ec2.delete_network_interface(NetworkInterfaceId=eni)
    instance = account.run(subnet, [])
    assert refused(ec2.delete_subnet, SubnetId=subnet) == blocked
    ec2.terminate_instances(InstanceIds=[instance])
    account.wait(instance, "terminated")
    gateway = ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
    assert refused(ec2.delete_subnet, SubnetId=subnet) == blocked
    assert refused(ec2.delete_vpc, VpcId=vpc)[0] == IN_USE
    ec2.delete_nat_gateway(NatGatewayId=gateway)
    ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[gateway])
    ec2.delete_subnet(SubnetId=subnet)


def test_a_security_group(account, ec2):
    vpc, subnet = account.network()
    group, other = account.group(vpc, "one"), account.group(vpc, "other")
    blocked = (IN_USE, f"resource {group} has a dependent object")
    eni = ec2.create_network_interface(SubnetId=subnet, Groups=[group])["NetworkInterface"]["NetworkInterfaceId"]
    assert refused(ec2.delete_security_group, GroupId=group) == blocked
    ec2.delete_network_interface(NetworkInterfaceId=eni)
    rule = permission(port=80, group=group)
    ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[rule])
    assert refused(ec2.delete_security_group, GroupId=group) == blocked
    ec2.revoke_security_group_ingress(GroupId=other, IpPermissions=[rule])
    ec2.delete_security_group(GroupId=group)
    [default] = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}])[
        "SecurityGroups"
    ]
    kept = f'the specified group: "{default["GroupId"]}" name: "default" cannot be deleted by a user'
    assert refused(ec2.delete_security_group, GroupId=default["GroupId"]) == ("CannotDelete", kept)


def test_a_route_table(account, ec2):
    vpc, subnet = account.network()
    gateway = attached_gateway(ec2, vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]

    def blocked(table):
        return (IN_USE, f"The routeTable '{table}' has dependencies and cannot be deleted.")

    for target in ({"SubnetId": subnet}, {"GatewayId": gateway}):
        association = ec2.associate_route_table(RouteTableId=table, **target)["AssociationId"]
        assert refused(ec2.delete_route_table, RouteTableId=table) == blocked(table), target
        ec2.disassociate_route_table(AssociationId=association)
    ec2.delete_route_table(RouteTableId=table)
    main = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    main = ec2.describe_route_tables(Filters=main)["RouteTables"][0]["RouteTableId"]
    assert refused(ec2.delete_route_table, RouteTableId=main) == blocked(main)


def test_a_network_acl(account, ec2):
    vpc, subnet = account.network()
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    [default] = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "default", "Values": ["true"]}])["NetworkAcls"]
    association = default["Associations"][0]["NetworkAclAssociationId"]
    association = ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)["NewAssociationId"]
    assert refused(ec2.delete_network_acl, NetworkAclId=acl) == (IN_USE, f"The networkAcl '{acl}' has dependencies and cannot be deleted.")
    ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=default["NetworkAclId"])
    ec2.delete_network_acl(NetworkAclId=acl)
    kept = refused(ec2.delete_network_acl, NetworkAclId=default["NetworkAclId"])
    assert kept == ("InvalidParameterValue", f"cannot delete default network ACL {default['NetworkAclId']}")


def test_an_internet_gateway_and_what_is_mapped_by_it(account, ec2):
    vpc, subnet = account.network()
    gateway = attached_gateway(ec2, vpc)
    attached = (IN_USE, f"The internetGateway '{gateway}' has dependencies and cannot be deleted.")
    assert refused(ec2.delete_internet_gateway, InternetGatewayId=gateway) == attached
    eni = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    address = ec2.allocate_address()
    association = ec2.associate_address(AllocationId=address["AllocationId"], NetworkInterfaceId=eni)["AssociationId"]
    in_use = refused(ec2.release_address, AllocationId=address["AllocationId"])
    assert in_use == ("InvalidIPAddress.InUse", f"Address {address['PublicIp']} is in use.")
    mapped = f"Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway."
    detach = {"InternetGatewayId": gateway, "VpcId": vpc}
    assert refused(ec2.detach_internet_gateway, **detach) == (IN_USE, mapped)
    ec2.disassociate_address(AssociationId=association)
    ec2.release_address(AllocationId=address["AllocationId"])
    ec2.detach_internet_gateway(**detach)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)


def test_a_network_interface(account, ec2):
    vpc, subnet = account.network()
    eni = account.instance(account.run(subnet, []))["NetworkInterfaces"][0]["NetworkInterfaceId"]
    attached = ("InvalidParameterValue", f"Network interface '{eni}' is currently in use.")
    assert refused(ec2.delete_network_interface, NetworkInterfaceId=eni) == attached


def test_a_prefix_list(account, ec2):
    vpc, subnet = account.network()
    entries = [{"Cidr": "203.0.113.0/24"}]
    made = ec2.create_managed_prefix_list(PrefixListName="l", MaxEntries=1, AddressFamily="IPv4", Entries=entries)
    listed = made["PrefixList"]["PrefixListId"]
    group = account.group(vpc)
    rule = {"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": listed}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    assert refused(ec2.delete_managed_prefix_list, PrefixListId=listed)[0] in ("PrefixListInUse", IN_USE)
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])
    ec2.delete_managed_prefix_list(PrefixListId=listed)
