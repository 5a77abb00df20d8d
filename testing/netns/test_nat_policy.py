"""What lies around a NAT gateway: the network ACL of its own subnet, its own route table, other gateways behind it.

Source: VPC user guide, "NAT gateways": it has no security group; the list of its subnet applies, both ways, on both sides.
"""

import pytest
from internet import DEEP, NARROW, WEB, Network, guest_python, route, seen_by, sh, why
from test_packets import wait_for
from test_ways_appliance import TELLER, TOLD
from test_ways_path import LARGE, STREAM


@pytest.fixture(scope="module")
def world(internet):
    network = Network(internet.groundplane.account())
    network.internet = internet
    network.public, _ = network.subnet(1, ("0.0.0.0/0", network.igw))
    network.nat, network.nat_address = network.nat_gateway(network.public, "10.0.1.100")
    network.private, _ = network.subnet(2, ("0.0.0.0/0", network.nat))
    network.client = network.run(network.private, "10.0.2.10")
    yield network
    network.account.reset()


def association_of(world, subnet):
    lists = world.ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
    associations = lists["NetworkAcls"][0]["Associations"]
    return lists["NetworkAcls"][0]["NetworkAclId"], next(
        one["NetworkAclAssociationId"] for one in associations if one["SubnetId"] == subnet
    )


def test_the_list_of_its_subnet_is_asked_four_times(world):
    default, association = association_of(world, world.public)
    strict = world.ec2.create_network_acl(VpcId=world.vpc)["NetworkAcl"]["NetworkAclId"]
    changed = world.ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=strict)

    def allow(number, egress, block, first, last):
        ports = {"From": first, "To": last}
        entry = {"NetworkAclId": strict, "RuleNumber": number, "Egress": egress, "CidrBlock": block, "PortRange": ports}
        world.ec2.create_network_acl_entry(**entry, Protocol="6", RuleAction="allow")

    def expect(reason):
        assert why(world.groundplane, world.client, WEB) == (False, reason)
        assert seen_by(world.groundplane, world.client, WEB, seconds=0.5) is None

    try:
        expect("network-acl-ingress")
        allow(10, False, "10.0.2.0/24", 7, 7)
        expect("network-acl-egress")
        allow(10, True, f"{WEB}/32", 7, 7)
        # The answer: a NAT gateway's ports begin at 1,024.
        expect("network-acl-ingress")
        allow(20, False, f"{WEB}/32", 1024, 65535)
        expect("network-acl-egress")
        allow(20, True, "10.0.2.0/24", 32768, 60999)
        assert why(world.groundplane, world.client, WEB) == (True, None)
        assert seen_by(world.groundplane, world.client, WEB)[0] == world.nat_address
    finally:
        world.ec2.replace_network_acl_association(AssociationId=changed["NewAssociationId"], NetworkAclId=default)
    world.ec2.delete_network_acl(NetworkAclId=strict)


def test_a_private_gateway_leads_on_to_a_public_one(world):
    home, _ = world.subnet(3, ("0.0.0.0/0", world.nat))
    made = world.ec2.create_nat_gateway(SubnetId=home, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
    state = lambda: world.ec2.describe_nat_gateways(NatGatewayIds=[made])["NatGateways"][0]["State"]
    assert wait_for(lambda: state() == "available")
    far, _ = world.subnet(4, ("0.0.0.0/0", made))
    client = world.run(far, "10.0.4.10")
    for protocol in ("tcp", "udp"):
        assert seen_by(world.groundplane, client, WEB, protocol)[0] == world.nat_address
        assert why(world.groundplane, client, WEB, f"{protocol}/7") == (True, None)
    # Errors come back through both, and pieces do.
    assert guest_python(world.groundplane, client, STREAM, DEEP, 20).split() == ["400001", str(NARROW)]
    assert guest_python(world.groundplane, client, LARGE, WEB, 4000) == f"{world.nat_address} True"


def test_a_gateway_that_its_own_subnet_is_routed_to_is_a_loop_by_name(world):
    subnet, table = world.subnet(5)
    gateway, _ = world.nat_gateway(subnet, "10.0.5.100")
    world.ec2.create_route(RouteTableId=table, **route("0.0.0.0/0", gateway))
    client = world.run(subnet, "10.0.5.10")
    assert seen_by(world.groundplane, client, WEB, seconds=0.5) is None
    assert why(world.groundplane, client, WEB) == (False, "routing-loop")


def test_an_elastic_address_is_at_its_new_instance_when_the_call_returns(world):
    instances = {address: world.run(world.public, address, user_data=TELLER) for address in ("10.0.1.11", "10.0.1.12")}
    public, allocation = world.elastic()
    told = lambda: sh("python3", "-c", TOLD, public, "2", check=False, namespace=world.internet.web).split()[1:]
    for address, instance in instances.items():
        world.ec2.associate_address(AllocationId=allocation, InstanceId=instance)
        assert wait_for(told) and told() == [address]
    for address in list(instances) * 4:
        world.ec2.associate_address(AllocationId=allocation, InstanceId=instances[address])
        assert told() == [address]
