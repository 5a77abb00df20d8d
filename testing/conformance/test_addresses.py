"""Public addresses and the gateways that make them work: Elastic IP addresses, automatic ones, internet gateways."""

import json

import pytest
from conftest import REGION, refused


@pytest.fixture
def network(account):
    """(VPC, subnet) with an internet gateway."""
    vpc, subnet = account.network()
    gateway = account.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    account.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    return vpc, subnet, gateway


def tags(kind, name):
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def interface(account, instance):
    return account.instance(instance)["NetworkInterfaces"][0]


# === Elastic IP addresses ===


def test_an_elastic_address_lives_as_on_aws(account, network):
    vpc, subnet, _ = network
    address = account.ec2.allocate_address(Domain="vpc", TagSpecifications=tags("elastic-ip", "a"))
    assert address["Domain"] == "vpc" and address["PublicIpv4Pool"] == "amazon" and address["NetworkBorderGroup"] == REGION
    instance = account.run(subnet, [])
    made = account.ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance)
    [shown] = account.ec2.describe_addresses(Filters=[{"Name": "instance-id", "Values": [instance]}])["Addresses"]
    assert shown["PublicIp"] == address["PublicIp"] and shown["AssociationId"] == made["AssociationId"]
    assert shown["Tags"] == [{"Key": "Name", "Value": "a"}] and shown["NetworkInterfaceOwnerId"] == account.number
    assert account.instance(instance)["PublicIpAddress"] == address["PublicIp"]
    assert interface(account, instance)["Association"]["IpOwnerId"] == account.number
    [eni] = account.ec2.describe_network_interfaces(Filters=[{"Name": "association.public-ip", "Values": [address["PublicIp"]]}])[
        "NetworkInterfaces"
    ]
    assert eni["Association"]["AllocationId"] == address["AllocationId"] == eni["PrivateIpAddresses"][0]["Association"]["AllocationId"]
    in_use = refused(account.ec2.release_address, AllocationId=address["AllocationId"])
    assert in_use == ("InvalidIPAddress.InUse", f"Address {address['PublicIp']} is in use.")
    account.ec2.disassociate_address(AssociationId=made["AssociationId"])
    assert "PublicIpAddress" not in account.instance(instance)
    account.ec2.release_address(AllocationId=address["AllocationId"])
    code, message = refused(account.ec2.describe_addresses, AllocationIds=[address["AllocationId"]])
    assert code == "InvalidAllocationID.NotFound" and address["AllocationId"] in message
    again = account.ec2.allocate_address(Domain="vpc", Address=address["PublicIp"])
    assert again["PublicIp"] == address["PublicIp"], "a released address can be had back"


def test_addresses_come_from_a_pool_that_is_asked_for(account):
    [pool] = account.ec2.describe_public_ipv4_pools()["PublicIpv4Pools"]
    [block] = pool["PoolAddressRanges"]
    assert (block["FirstAddress"], block["LastAddress"], pool["TotalAddressCount"]) == ("198.19.255.0", "198.19.255.15", 16)
    any_of_it = account.ec2.allocate_address(PublicIpv4Pool=pool["PoolId"])
    assert any_of_it["PublicIpv4Pool"] == pool["PoolId"] and any_of_it["PublicIp"].startswith("198.19.255.")
    wanted = "198.19.255.15" if any_of_it["PublicIp"] != "198.19.255.15" else "198.19.255.14"
    assert account.ec2.allocate_address(Address=wanted)["PublicIpv4Pool"] == pool["PoolId"]
    left = account.ec2.describe_public_ipv4_pools(PoolIds=[pool["PoolId"]])["PublicIpv4Pools"][0]["TotalAvailableAddressCount"]
    assert left <= 14
    shown = {a["PublicIp"]: a["PublicIpv4Pool"] for a in account.ec2.describe_addresses()["Addresses"]}
    assert shown == {any_of_it["PublicIp"]: pool["PoolId"], wanted: pool["PoolId"]}
    taken = refused(account.ec2.allocate_address, PublicIpv4Pool=pool["PoolId"], Address=wanted)
    assert taken == ("InvalidIPAddress.InUse", f"Address {wanted} is in use.")
    unknown = refused(account.ec2.allocate_address, PublicIpv4Pool="ipv4pool-ec2-0123456789abcdef0")
    assert unknown[0] == "InvalidPublicIpv4PoolID.NotFound"


def test_an_address_moves_to_another_account(account, groundplane):
    other = groundplane.account()
    address = account.ec2.allocate_address()
    offer = {"AllocationId": address["AllocationId"], "TransferAccountId": other.number}
    offered = account.ec2.enable_address_transfer(**offer)["AddressTransfer"]
    assert offered["AddressTransferStatus"] == "pending" and offered["PublicIp"] == address["PublicIp"]
    account.ec2.disable_address_transfer(AllocationId=address["AllocationId"])
    assert refused(other.ec2.accept_address_transfer, Address=address["PublicIp"])[0] == "InvalidAddress.NotFound"
    account.ec2.enable_address_transfer(**offer)
    accepted = other.ec2.accept_address_transfer(Address=address["PublicIp"], TagSpecifications=tags("elastic-ip", "b"))["AddressTransfer"]
    assert accepted["AddressTransferStatus"] == "accepted"
    [mine] = other.ec2.describe_addresses()["Addresses"]
    assert mine["PublicIp"] == address["PublicIp"] and mine["Tags"] == [{"Key": "Name", "Value": "b"}]
    assert account.ec2.describe_addresses()["Addresses"] == []
    [seen] = account.ec2.describe_address_transfers()["AddressTransfers"]
    assert seen["AddressTransferStatus"] == "accepted" and seen["TransferAccountId"] == other.number
    other.reset()


def test_five_addresses_and_no_more(account):
    addresses = {account.ec2.allocate_address()["PublicIp"] for _ in range(5)}
    assert len(addresses) == 5
    full = refused(account.ec2.allocate_address)
    assert full == ("AddressLimitExceeded", "The maximum number of addresses has been reached.")


def test_a_reverse_name_is_kept(account):
    allocation = account.ec2.allocate_address()["AllocationId"]
    set_ = account.ec2.modify_address_attribute(AllocationId=allocation, DomainName="host.example.com")["Address"]
    assert set_["PtrRecordUpdate"]["Status"] == "PENDING"
    ask = {"AllocationIds": [allocation], "Attribute": "domain-name"}
    assert account.ec2.describe_addresses_attribute(**ask)["Addresses"][0]["PtrRecord"] == "host.example.com."
    account.ec2.reset_address_attribute(AllocationId=allocation, Attribute="domain-name")
    assert "PtrRecord" not in account.ec2.describe_addresses_attribute(**ask)["Addresses"][0]


def test_the_aws_cli_moves_an_address(account, network):
    vpc, subnet, _ = network
    enis = [account.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"] for _ in "ab"]
    allocation = account.aws("ec2", "allocate-address", "--domain", "vpc")["AllocationId"]
    target = ["--allocation-id", allocation, "--network-interface-id"]
    first = account.aws("ec2", "associate-address", *target, enis[0])["AssociationId"]
    assert account.aws("ec2", "associate-address", *target, enis[0])["AssociationId"] == first
    kept = account.aws("ec2", "associate-address", *target, enis[1], "--no-allow-reassociation", check=False)
    assert "Resource.AlreadyAssociated" in kept.stderr
    second = account.aws("ec2", "associate-address", *target, enis[1])["AssociationId"]
    assert second != first
    found = account.aws("ec2", "describe-addresses", "--query", "Addresses[].NetworkInterfaceId")
    assert found == [enis[1]]


# === Automatic addresses ===


def test_an_automatic_address_changes_over_a_stop_and_an_elastic_one_stays(account, network):
    vpc, subnet, _ = network
    account.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    account.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    instance = account.run(subnet, [])
    shown = account.instance(instance)
    first = shown["PublicIpAddress"]
    assert shown["PublicDnsName"] == f"ec2-{first.replace('.', '-')}.{REGION}.compute.amazonaws.com"
    assert interface(account, instance)["Association"]["IpOwnerId"] == "amazon"

    def restart():
        account.ec2.stop_instances(InstanceIds=[instance])
        account.wait(instance, "stopped")
        stopped = account.instance(instance).get("PublicIpAddress")
        account.ec2.start_instances(InstanceIds=[instance])
        account.wait(instance, "running")
        return stopped, account.instance(instance)["PublicIpAddress"]

    stopped, _ = restart()
    assert stopped is None
    address = account.ec2.allocate_address()
    account.ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance)
    assert restart() == (address["PublicIp"], address["PublicIp"])
    account.ec2.disassociate_address(PublicIp=address["PublicIp"])
    assert account.instance(instance)["PublicIpAddress"] != address["PublicIp"], "an automatic one is back"


def test_the_default_vpc_gives_public_addresses(account):
    [instance] = account.ec2.run_instances(ImageId=account.image(), InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"]
    account.wait(instance["InstanceId"], "running")
    assert account.instance(instance["InstanceId"])["PublicIpAddress"]


def test_a_launch_may_refuse_or_ask_for_a_public_address(account, network):
    vpc, subnet, _ = network

    def launch(wanted):
        interfaces = [{"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": wanted}]
        answer = account.ec2.run_instances(
            ImageId=account.image(), InstanceType="t3.micro", MinCount=1, MaxCount=1, NetworkInterfaces=interfaces
        )
        return account.instance(answer["Instances"][0]["InstanceId"]).get("PublicIpAddress")

    assert launch(True) and not launch(False)


# === Gateways and what holds them ===


def test_an_internet_gateway_is_held_by_mapped_addresses(account, network):
    vpc, subnet, gateway = network
    eni = account.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    allocation = account.ec2.allocate_address()["AllocationId"]
    made = account.ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=eni)["AssociationId"]
    held = refused(account.ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc)
    assert held == (
        "DependencyViolation",
        f"Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
    )
    account.ec2.disassociate_address(AssociationId=made)
    attached = refused(account.ec2.delete_internet_gateway, InternetGatewayId=gateway)
    assert attached == ("DependencyViolation", f"The internetGateway '{gateway}' has dependencies and cannot be deleted.")
    account.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    off = refused(account.ec2.associate_address, AllocationId=allocation, NetworkInterfaceId=eni)
    assert off[0] == "Gateway.NotAttached"
    account.ec2.delete_internet_gateway(InternetGatewayId=gateway)


def test_what_is_in_a_vpc_holds_it(account):
    vpc, subnet = account.network()
    ec2 = account.ec2

    def held():
        code, message = refused(ec2.delete_vpc, VpcId=vpc)
        assert (code, message) == ("DependencyViolation", f"The vpc '{vpc}' has dependencies and cannot be deleted.")

    held()
    eni = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    in_subnet = refused(ec2.delete_subnet, SubnetId=subnet)
    assert in_subnet == ("DependencyViolation", f"The subnet '{subnet}' has dependencies and cannot be deleted.")
    ec2.delete_network_interface(NetworkInterfaceId=eni)
    ec2.delete_subnet(SubnetId=subnet)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    held()
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    egress_only = ec2.create_egress_only_internet_gateway(VpcId=vpc)["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"]
    held()
    ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=egress_only)
    group = account.group(vpc)
    held()
    ec2.delete_security_group(GroupId=group)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    held()
    ec2.delete_route_table(RouteTableId=table)
    ec2.delete_vpc(VpcId=vpc)


def test_an_egress_only_gateway_is_attached_when_it_is_made(account):
    vpc, _ = account.network()
    made = account.ec2.create_egress_only_internet_gateway(VpcId=vpc, ClientToken="t")["EgressOnlyInternetGateway"]
    assert made["Attachments"] == [{"State": "attached", "VpcId": vpc}]
    ids = [made["EgressOnlyInternetGatewayId"]]
    [shown] = account.ec2.describe_egress_only_internet_gateways(EgressOnlyInternetGatewayIds=ids)["EgressOnlyInternetGateways"]
    assert shown == made
    assert account.ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=ids[0])["ReturnCode"] is True


# === What it would cost ===


def test_costs_lists_idle_and_used_addresses_and_gateways(account, network):
    vpc, subnet, _ = network
    idle = account.ec2.allocate_address()
    used = account.ec2.allocate_address()["AllocationId"]
    gateway = account.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=used)["NatGateway"]["NatGatewayId"]
    report = json.loads(account.groundplane.command("report", "costs", "--json").stdout)
    own = {item["id"]: item for item in report["items"] if item["account"] == account.number}
    assert set(own) == {idle["AllocationId"], used, gateway}
    assert own[idle["AllocationId"]]["idle"] and own[idle["AllocationId"]]["usd_per_hour"] == 0.005
    assert own[used]["used_by"] == gateway and own[gateway]["kind"] == "nat-gateway"
    text = account.groundplane.command("report", "costs").stdout
    assert any(idle["PublicIp"] in line and "idle" in line for line in text.splitlines())
    assert "USD an hour" in text
