"""Elastic network interfaces."""

import pytest
from conftest import REGION, Groundplane, free_port, refused


def create(account, subnet, **options):
    return account.ec2.create_network_interface(SubnetId=subnet, **options)["NetworkInterface"]


def test_a_new_interface_answers_as_recorded(account):
    vpc, subnet = account.network()
    eni = create(account, subnet, Description="d", PrivateIpAddress="10.0.1.50")
    assert eni["Status"] == "pending" and eni["InterfaceType"] == "interface" and eni["SourceDestCheck"] is True
    assert eni["PrivateIpAddresses"] == [{"Primary": True, "PrivateIpAddress": "10.0.1.50"}]
    assert eni["TagSet"] == [] and eni["RequesterManaged"] is False
    assert int(eni["MacAddress"][:2], 16) & 3 == 2, "locally administered, unicast"
    [shown] = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni["NetworkInterfaceId"]])["NetworkInterfaces"]
    assert shown["Status"] == "available" and shown["Groups"][0]["GroupName"] == "default"


def test_addresses_in_use_and_outside_are_refused(account):
    vpc, subnet = account.network()
    create(account, subnet, PrivateIpAddress="10.0.1.50")
    in_use = refused(account.ec2.create_network_interface, SubnetId=subnet, PrivateIpAddress="10.0.1.50")
    assert in_use == ("InvalidIPAddress.InUse", "Address 10.0.1.50 is in use.")
    for outside in ("10.0.2.50", "10.0.1.3", "10.0.1.255"):
        assert refused(account.ec2.create_network_interface, SubnetId=subnet, PrivateIpAddress=outside)[0] == "InvalidParameterValue"


def test_secondary_addresses_move_only_where_it_is_allowed(account):
    vpc, subnet = account.network()
    # None that is drawn, which may be the one that is asked for.
    a, b = (create(account, subnet, PrivateIpAddress=own)["NetworkInterfaceId"] for own in ("10.0.1.50", "10.0.1.51"))
    given = account.ec2.assign_private_ip_addresses(NetworkInterfaceId=a, PrivateIpAddresses=["10.0.1.60"])
    assert given["AssignedPrivateIpAddresses"] == [{"PrivateIpAddress": "10.0.1.60"}]
    assert refused(account.ec2.assign_private_ip_addresses, NetworkInterfaceId=b, PrivateIpAddresses=["10.0.1.60"])[0] == "InvalidParameterValue"
    account.ec2.assign_private_ip_addresses(NetworkInterfaceId=b, PrivateIpAddresses=["10.0.1.60"], AllowReassignment=True)
    by_address = [{"Name": "addresses.private-ip-address", "Values": ["10.0.1.60"]}]
    assert account.ec2.describe_network_interfaces(Filters=by_address)["NetworkInterfaces"][0]["NetworkInterfaceId"] == b
    account.ec2.unassign_private_ip_addresses(NetworkInterfaceId=b, PrivateIpAddresses=["10.0.1.60"])
    assert account.ec2.describe_network_interfaces(Filters=by_address)["NetworkInterfaces"] == []


def test_attributes_change_one_by_one(account):
    vpc, subnet = account.network()
    eni = create(account, subnet)["NetworkInterfaceId"]
    group = account.group(vpc)
    account.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[group])
    account.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, SourceDestCheck={"Value": False})
    account.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Description={"Value": "new"})
    [shown] = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
    assert (shown["Groups"][0]["GroupId"], shown["SourceDestCheck"], shown["Description"]) == (group, False, "new")
    account.ec2.reset_network_interface_attribute(NetworkInterfaceId=eni, SourceDestCheck="true")
    shown = account.ec2.describe_network_interface_attribute(NetworkInterfaceId=eni, Attribute="sourceDestCheck")
    assert shown["SourceDestCheck"]["Value"] is True


def test_attach_and_detach_follow_aws_rules(account):
    vpc, subnet = account.network()
    elsewhere = account.subnet(vpc, "10.0.2.0/24", "b")
    instance = account.run(subnet, None, InstanceType="t2.micro")
    eni, second, far = (create(account, s)["NetworkInterfaceId"] for s in (subnet, subnet, elsewhere))
    attach = account.ec2.attach_network_interface
    assert refused(attach, NetworkInterfaceId=far, InstanceId=instance, DeviceIndex=1) == (
        "InvalidParameterCombination",
        "You may not attach a network interface to an instance if they are not in the same availability zone",
    )
    answer = attach(NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=1)
    assert answer["NetworkCardIndex"] == 0
    assert refused(attach, NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=1) == (
        "InvalidNetworkInterface.InUse",
        f"Interface: [{eni}] in use.",
    )
    assert refused(attach, NetworkInterfaceId=second, InstanceId=instance, DeviceIndex=2) == (
        "AttachmentLimitExceeded",
        "Interface count 3 exceeds the limit for t2.micro",
    )
    assert refused(account.ec2.delete_network_interface, NetworkInterfaceId=eni) == (
        "InvalidParameterValue",
        f"Network interface '{eni}' is currently in use.",
    )
    account.ec2.detach_network_interface(AttachmentId=answer["AttachmentId"])
    # Terraform waits for this answer; by the interface's own id there is no attachment any more.
    by_attachment = [{"Name": "attachment.attachment-id", "Values": [answer["AttachmentId"]]}]
    [found] = account.ec2.describe_network_interfaces(Filters=by_attachment)["NetworkInterfaces"]
    assert (found["Status"], found["Attachment"]["Status"]) == ("available", "detached")
    [found] = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
    assert "Attachment" not in found
    account.ec2.delete_network_interface(NetworkInterfaceId=eni)
    primary = account.instance(instance)["NetworkInterfaces"][0]["Attachment"]["AttachmentId"]
    assert refused(account.ec2.detach_network_interface, AttachmentId=primary) == (
        "OperationNotPermitted",
        "The network interface at device index 0 and networkCard index 0 cannot be detached.",
    )


def test_an_interface_that_came_with_the_instance_goes_with_it(account):
    vpc, subnet = account.network()
    kept = create(account, subnet)["NetworkInterfaceId"]
    instance = account.run(subnet, None)
    account.ec2.attach_network_interface(NetworkInterfaceId=kept, InstanceId=instance, DeviceIndex=1)
    primary = account.instance(instance)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    account.ec2.terminate_instances(InstanceIds=[instance])
    account.wait(instance, "terminated")
    gone = refused(account.ec2.describe_network_interfaces, NetworkInterfaceIds=[primary])
    assert gone == ("InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{primary}' does not exist")
    [left] = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[kept])["NetworkInterfaces"]
    assert left["Status"] == "available" and "Attachment" not in left


@pytest.mark.parametrize("size", [5, 7])
def test_pages_cover_everything_once(account, size):
    vpc, subnet = account.network()
    made = {create(account, subnet)["NetworkInterfaceId"] for _ in range(17)}
    pages = account.ec2.get_paginator("describe_network_interfaces").paginate(
        Filters=[{"Name": "subnet-id", "Values": [subnet]}], PaginationConfig={"PageSize": size}
    )
    seen = [[e["NetworkInterfaceId"] for e in page["NetworkInterfaces"]] for page in pages]
    assert all(len(page) <= size for page in seen) and len(seen) == -(-17 // size)
    flat = [eni for page in seen for eni in page]
    assert len(flat) == 17 and set(flat) == made
    assert refused(account.ec2.describe_network_interfaces, NextToken="nonsense")[0] in ("InvalidPaginationToken", "InvalidNextToken", "InvalidParameterValue")


def test_filters_know_wildcards_and_refuse_what_they_do_not_know(account):
    vpc, subnet = account.network()
    create(account, subnet, Description="blue one", TagSpecifications=[{"ResourceType": "network-interface", "Tags": [{"Key": "Name", "Value": "x"}]}])
    create(account, subnet, Description="blue two")

    def count(name, *values):
        return len(account.ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": list(values)}])["NetworkInterfaces"])

    assert count("description", "blue*") == 2 and count("description", "blue t?o") == 1 and count("description", "blue") == 0
    assert count("tag:Name", "x", "y") == 1 and count("tag-key", "Name") == 1 and count("availability-zone", REGION + "a") == 2
    unknown = refused(account.ec2.describe_network_interfaces, Filters=[{"Name": "colour", "Values": ["blue"]}])
    assert unknown == ("InvalidParameterValue", "The filter 'colour' is invalid")


def test_reservations_of_a_subnet_steer_what_is_drawn(account):
    vpc, subnet = account.network(subnet="10.0.1.0/26")
    reserve = account.ec2.create_subnet_cidr_reservation
    tags = [{"ResourceType": "subnet-cidr-reservation", "Tags": [{"Key": "for", "Value": "pods"}]}]
    kept = reserve(SubnetId=subnet, Cidr="10.0.1.32/28", ReservationType="prefix", TagSpecifications=tags)["SubnetCidrReservation"]
    assert kept["SubnetCidrReservationId"].startswith("scr-") and kept["OwnerId"] == account.number
    assert kept["Tags"] == [{"Key": "for", "Value": "pods"}]
    reserve(SubnetId=subnet, Cidr="10.0.1.16/28", ReservationType="explicit", Description="by hand")
    assert refused(reserve, SubnetId=subnet, Cidr="10.0.2.0/28", ReservationType="prefix") == (
        "InvalidParameterValue",
        "Reservation CIDR should be within subnet CIDR block (10.0.1.0/26)",
    )
    assert refused(reserve, SubnetId=subnet, Cidr="10.0.1.16/29", ReservationType="prefix") == (
        "InvalidParameterValue",
        "Reservation CIDR 10.0.1.16/29 has overlap with existing reserved CIDR block",
    )
    listed = account.ec2.get_subnet_cidr_reservations(SubnetId=subnet)
    assert {r["Cidr"] for r in listed["SubnetIpv4CidrReservations"]} == {"10.0.1.16/28", "10.0.1.32/28"}
    assert listed["SubnetIpv6CidrReservations"] == []
    eni = create(account, subnet, PrivateIpAddress="10.0.1.4", Ipv4PrefixCount=1)
    assert eni["Ipv4Prefixes"] == [{"Ipv4Prefix": "10.0.1.32/28"}]
    drawn = {int(create(account, subnet)["PrivateIpAddress"].split(".")[3]) for _ in range(26)}
    assert drawn == {*range(5, 16), *range(48, 63)}
    assert refused(account.ec2.create_network_interface, SubnetId=subnet)[0] == "InsufficientFreeAddressesInSubnet"
    create(account, subnet, PrivateIpAddress="10.0.1.20")
    gone = account.ec2.delete_subnet_cidr_reservation(SubnetCidrReservationId=kept["SubnetCidrReservationId"])
    assert gone["DeletedSubnetCidrReservation"]["Cidr"] == "10.0.1.32/28"
    again = refused(account.ec2.delete_subnet_cidr_reservation, SubnetCidrReservationId=kept["SubnetCidrReservationId"])
    assert again[0] == "InvalidSubnetCidrReservationID.NotFound"


def test_branches_hang_on_a_trunk(account):
    vpc, subnet = account.network()
    instance = account.run(subnet, None, InstanceType="m5.large")
    trunk = create(account, subnet, InterfaceType="trunk")["NetworkInterfaceId"]
    branch = create(account, subnet, InterfaceType="branch")["NetworkInterfaceId"]
    ids = {"BranchInterfaceId": branch, "TrunkInterfaceId": trunk}
    assert refused(account.ec2.associate_trunk_interface, **ids, VlanId=5)[0] == "IncorrectState"
    account.ec2.attach_network_interface(NetworkInterfaceId=trunk, InstanceId=instance, DeviceIndex=1)
    made = account.ec2.associate_trunk_interface(**ids, VlanId=5)["InterfaceAssociation"]
    assert made["AssociationId"].startswith("trunk-assoc-")
    assert (made["InterfaceProtocol"], made["VlanId"]) == ("VLAN", 5)
    [listed] = account.ec2.describe_trunk_interface_associations()["InterfaceAssociations"]
    assert listed == made
    [shown] = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[branch])["NetworkInterfaces"]
    assert (shown["Status"], shown["InterfaceType"]) == ("associated", "branch") and "Attachment" not in shown
    assert refused(account.ec2.delete_network_interface, NetworkInterfaceId=branch)[1].endswith("is currently in use.")
    other = create(account, subnet, InterfaceType="branch")["NetworkInterfaceId"]
    taken = refused(account.ec2.associate_trunk_interface, BranchInterfaceId=other, TrunkInterfaceId=trunk, VlanId=5)
    assert taken[0] == "InvalidParameterValue"
    gre = refused(account.ec2.associate_trunk_interface, BranchInterfaceId=other, TrunkInterfaceId=trunk, GreKey=5)
    assert gre[0] == "UnsupportedOperation" and "GreKey" in gre[1]
    assert refused(account.ec2.create_network_interface, SubnetId=subnet, InterfaceType="efa")[0] == "UnsupportedOperation"
    assert account.ec2.disassociate_trunk_interface(AssociationId=made["AssociationId"])["Return"] is True
    account.ec2.delete_network_interface(NetworkInterfaceId=branch)


def test_prefixes_run_out_by_fragmentation_and_by_size(account):
    vpc, subnet = account.network(subnet="10.0.1.0/26")
    given = create(account, subnet, PrivateIpAddress="10.0.1.8", Ipv4Prefixes=[{"Ipv4Prefix": "10.0.1.16/28"}])
    assert given["Ipv4Prefixes"] == [{"Ipv4Prefix": "10.0.1.16/28"}]
    for address in ("10.0.1.40", "10.0.1.56"):
        create(account, subnet, PrivateIpAddress=address)
    eni = given["NetworkInterfaceId"]
    assert refused(account.ec2.assign_private_ip_addresses, NetworkInterfaceId=eni, Ipv4PrefixCount=1) == (
        "InsufficientCidrBlocks",
        "The specified subnet does not have enough free cidr blocks to satisfy the request.",
    )
    account.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, SecondaryPrivateIpAddressCount=26)
    assert refused(account.ec2.assign_private_ip_addresses, NetworkInterfaceId=eni, Ipv4PrefixCount=1) == (
        "InvalidParameterValue",
        "There aren't sufficient free Ipv4 addresses or prefixes",
    )
    account.ec2.unassign_private_ip_addresses(NetworkInterfaceId=eni, Ipv4Prefixes=["10.0.1.16/28"])
    again = account.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, Ipv4PrefixCount=1)
    assert again["AssignedIpv4Prefixes"] == [{"Ipv4Prefix": "10.0.1.16/28"}]


def test_an_interface_of_another_vpc_is_attached_as_a_secondary_one(account):
    _, here = account.network()
    _, there = account.network()
    instance, eni = account.run(here, None), create(account, there)["NetworkInterfaceId"]
    answer = account.ec2.attach_network_interface(NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=1)
    shown = account.instance(instance)
    assert shown["SubnetId"] == here and {e["SubnetId"] for e in shown["NetworkInterfaces"]} == {here, there}
    account.ec2.detach_network_interface(AttachmentId=answer["AttachmentId"], Force=True)
    stranger = account.groundplane.account()
    _, elsewhere = stranger.network()
    foreign = create(stranger, elsewhere)["NetworkInterfaceId"]
    across = refused(account.ec2.attach_network_interface, NetworkInterfaceId=foreign, InstanceId=instance, DeviceIndex=1)
    assert across[0] == "InvalidNetworkInterfaceID.NotFound"
    stranger.reset()


def test_the_primary_ipv6_address_stays_until_the_interface_is_detached(account):
    vpc, subnet = account.network()
    account.ec2.associate_vpc_cidr_block(VpcId=vpc, AmazonProvidedIpv6CidrBlock=True)
    [block] = account.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"]
    account.ec2.associate_subnet_cidr_block(SubnetId=subnet, Ipv6CidrBlock=block["Ipv6CidrBlock"].replace("/56", "/64"))
    instance = account.run(subnet, None)
    eni = create(account, subnet, Ipv6AddressCount=2, EnablePrimaryIpv6=True)
    pinned = [a["Ipv6Address"] for a in eni["Ipv6Addresses"] if a["IsPrimaryIpv6"]]
    assert pinned == [eni["Ipv6Addresses"][0]["Ipv6Address"]]
    eni = eni["NetworkInterfaceId"]
    unassign = {"NetworkInterfaceId": eni, "Ipv6Addresses": pinned}
    assert refused(account.ec2.unassign_ipv6_addresses, **unassign)[0] == "InvalidParameterValue"
    attached = account.ec2.attach_network_interface(NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=1)
    account.ec2.detach_network_interface(AttachmentId=attached["AttachmentId"])
    account.ec2.unassign_ipv6_addresses(**unassign)


def test_a_client_token_makes_one_interface(account):
    vpc, subnet = account.network()
    first, second = (create(account, subnet, ClientToken="t") for _ in "ab")
    assert first["NetworkInterfaceId"] == second["NetworkInterfaceId"]
    other = refused(account.ec2.create_network_interface, SubnetId=subnet, ClientToken="t", Description="x")
    assert other[0] == "IdempotentParameterMismatch"


def test_quotas_are_set_on_the_command_line(tmp_path):
    own = Groundplane(tmp_path, free_port(), "--quota", "enis=2", "--quota", "security-groups-per-eni=1").up()
    try:
        account = own.account()
        vpc, subnet = account.network()
        groups = [account.group(vpc, name) for name in "ab"]
        many = refused(account.ec2.create_network_interface, SubnetId=subnet, Groups=groups)
        assert many[0] == "SecurityGroupsPerInterfaceLimitExceeded"
        for _ in range(2):
            create(account, subnet)
        assert refused(account.ec2.create_network_interface, SubnetId=subnet) == (
            "NetworkInterfaceLimitExceeded",
            "The maximum number of network interfaces has been reached.",
        )
    finally:
        own.down()
    for given, why in [("elephants=1", "there is no quota 'elephants'; there are: vpcs"), ("enis", "NAME=VALUE")]:
        refusing = Groundplane(tmp_path, free_port(), "--quota", given)
        with pytest.raises(RuntimeError, match=why):
            refusing.up()
        refusing.down()
