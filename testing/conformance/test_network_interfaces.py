"""Elastic network interfaces."""

import pytest
from conftest import REGION, refused


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
    a, b = (create(account, subnet)["NetworkInterfaceId"] for _ in "ab")
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
