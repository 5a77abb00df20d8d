"""NAT gateways: their life, their addresses, what they fail for, and the dial."""

import json
import time

import pytest
from conftest import refused


@pytest.fixture
def network(account):
    """(VPC, subnet) with an internet gateway."""
    vpc, subnet = account.network()
    gateway = account.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    account.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    return vpc, subnet


def shown(account, gateway):
    return account.ec2.describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"][0]


def drained(account, gateway, left):
    """Once no connection uses the addresses that drain, so many are left."""
    deadline = time.monotonic() + 20
    while len(shown(account, gateway)["NatGatewayAddresses"]) != left and time.monotonic() < deadline:
        time.sleep(0.05)
    return [a["Status"] for a in shown(account, gateway)["NatGatewayAddresses"]] == ["succeeded"] * left


def test_a_public_gateway_is_waited_for_listed_and_deleted(account, network):
    vpc, subnet = network
    address = account.ec2.allocate_address(Domain="vpc")
    tags = [{"ResourceType": "natgateway", "Tags": [{"Key": "Name", "Value": "n"}]}]
    made = account.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address["AllocationId"], TagSpecifications=tags)["NatGateway"]
    assert made["State"] == "pending" and made["ConnectivityType"] == "public" and made["VpcId"] == vpc
    gateway = made["NatGatewayId"]
    account.ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[gateway])
    [of_gateway] = shown(account, gateway)["NatGatewayAddresses"]
    assert of_gateway["PublicIp"] == address["PublicIp"] and of_gateway["IsPrimary"] and of_gateway["Status"] == "succeeded"
    interfaces = {"NetworkInterfaceIds": [of_gateway["NetworkInterfaceId"]]}
    [eni] = account.ec2.describe_network_interfaces(**interfaces)["NetworkInterfaces"]
    assert (eni["InterfaceType"], eni["Description"]) == ("nat_gateway", f"Interface for NAT Gateway {gateway}")
    assert eni["RequesterManaged"] and not eni["SourceDestCheck"] and eni["Groups"] == [] and eni["Status"] == "in-use"
    assert refused(account.ec2.disassociate_address, AssociationId=of_gateway["AssociationId"])[0] == "AuthFailure"
    assert refused(account.ec2.delete_subnet, SubnetId=subnet)[0] == "DependencyViolation"
    here = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "state", "Values": ["available"]}]
    assert [g["NatGatewayId"] for g in account.ec2.describe_nat_gateways(Filters=here)["NatGateways"]] == [gateway]
    assert account.ec2.delete_nat_gateway(NatGatewayId=gateway)["NatGatewayId"] == gateway
    account.ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[gateway])
    assert shown(account, gateway)["DeleteTime"]
    assert "AssociationId" not in account.ec2.describe_addresses()["Addresses"][0], "it stays allocated"
    account.ec2.release_address(AllocationId=address["AllocationId"])
    account.ec2.delete_subnet(SubnetId=subnet)


def test_a_gateway_fails_for_what_it_cannot_be_made_with(account):
    vpc, subnet = account.network()
    allocation = account.ec2.allocate_address()["AllocationId"]
    made = account.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation)["NatGateway"]
    failed = shown(account, made["NatGatewayId"])
    assert (failed["State"], failed["FailureCode"]) == ("failed", "Gateway.NotAttached")
    assert failed["FailureMessage"] == f"Network {vpc} has no Internet gateway attached"
    assert "AssociationId" not in account.ec2.describe_addresses()["Addresses"][0]


def test_the_aws_cli_gives_a_private_gateway_more_addresses(account):
    vpc, subnet = account.network()
    create = ["--subnet-id", subnet, "--connectivity-type", "private", "--private-ip-address", "10.0.1.50"]
    gateway = account.aws("ec2", "create-nat-gateway", *create)["NatGateway"]["NatGatewayId"]
    account.aws("ec2", "wait", "nat-gateway-available", "--nat-gateway-ids", gateway)
    of = ["--nat-gateway-id", gateway]
    account.aws("ec2", "assign-private-nat-gateway-address", *of, "--private-ip-addresses", "10.0.1.60", "10.0.1.61")
    addresses = [a["PrivateIp"] for a in shown(account, gateway)["NatGatewayAddresses"]]
    assert addresses == ["10.0.1.50", "10.0.1.60", "10.0.1.61"]
    told = account.aws("ec2", "unassign-private-nat-gateway-address", *of, "--private-ip-addresses", "10.0.1.60")
    assert [a["Status"] for a in told["NatGatewayAddresses"]] == ["unassigning"]
    assert drained(account, gateway, 2)
    primary = account.aws("ec2", "unassign-private-nat-gateway-address", *of, "--private-ip-addresses", "10.0.1.50", check=False)
    assert "InvalidParameterValue" in primary.stderr


def test_a_public_gateway_takes_a_second_elastic_address(account, network):
    vpc, subnet = network
    first, second = (account.ec2.allocate_address()["AllocationId"] for _ in "ab")
    gateway = account.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=first)["NatGateway"]["NatGatewayId"]
    account.ec2.associate_nat_gateway_address(NatGatewayId=gateway, AllocationIds=[second])
    addresses = shown(account, gateway)["NatGatewayAddresses"]
    assert [a["AllocationId"] for a in addresses] == [first, second] and all(a["Status"] == "succeeded" for a in addresses)
    account.ec2.disassociate_nat_gateway_address(NatGatewayId=gateway, AssociationIds=[addresses[1]["AssociationId"]])
    assert drained(account, gateway, 1)
    account.ec2.release_address(AllocationId=second)


def test_a_zone_has_five_gateways_and_no_more(account):
    vpc, subnet = account.network()
    private = {"SubnetId": subnet, "ConnectivityType": "private"}
    for _ in range(5):
        account.ec2.create_nat_gateway(**private)
    full = refused(account.ec2.create_nat_gateway, **private)
    assert full == ("NatGatewayLimitExceeded", "Performing this operation would exceed the limit of 5 NAT gateways")
    unknown = refused(account.ec2.describe_nat_gateways, NatGatewayIds=["nat-0123456789abcdef0"])
    assert unknown == ("NatGatewayNotFound", "NAT gateway nat-0123456789abcdef0 was not found")


def test_the_dial_takes_a_number_or_the_default(account):
    vpc, subnet = account.network()
    gateway = account.ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
    command = account.groundplane.command
    assert "at most 64 connections" in command("dial", gateway, "ports=64").stdout
    assert json.loads(command("dial", gateway, "ports=default", "--json").stdout)["ports"] is None
    for setting, sentence in [("ports=0", "ports must be 1 to 55000"), ("ports=many", "expecting a number"), ("size=3", "the one dial")]:
        wrong = command("dial", gateway, setting, check=False)
        assert wrong.returncode != 0 and sentence in wrong.stderr
    missing = command("dial", "nat-0123456789abcdef0", "ports=64", check=False)
    assert missing.returncode != 0 and "there is no NAT gateway nat-0123456789abcdef0" in missing.stderr
