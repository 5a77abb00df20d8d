"""Ways by somebody's own machine or around a corner: edge tables, middleboxes, private NAT, hairpins, new addresses.

Source: VPC user guide, "Gateway route tables", "Middlebox routing", "Private NAT gateways".
"""

import contextlib
import re

import pytest
from internet import DEEP, WEB, WEB6, Network, capture, guest_python, route, seen_by, sh, why
from loops import after, loop
from test_packets import ping, wait_for

# In a guest: tells each client of port 7000 whom it sees, and at which address.
TELLER = """#!/bin/sh
exec python3 -c '
import socket
s = socket.create_server(("0.0.0.0", 7000), backlog=64)
while True:
    c, a = s.accept()
    c.sendall(f"{a[0]} {c.getsockname()[0]}".encode())
    c.close()
'
"""
FORWARD = "#!/bin/sh\nsysctl -w net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0\n"
TOLD = "import socket,sys;print(socket.create_connection((sys.argv[1],7000),float(sys.argv[2])).recv(99).decode())"


@pytest.fixture(scope="module")
def world(internet):
    """An appliance in a subnet of its own in front of a server with a public address."""
    network = Network(internet.groundplane.account())
    network.internet = internet
    network.front, _ = network.subnet(1, ("0.0.0.0/0", network.igw), ipv6=False)
    network.appliance = network.run(network.front, "10.0.1.10", user_data=FORWARD)
    # AWS wants a public address on an appliance that takes the internet's packets.
    network.elastic(network.appliance)
    network.appliance_eni = network.router(network.appliance)
    network.back, network.back_table = network.subnet(2, ("0.0.0.0/0", network.igw), ipv6=False)
    network.server = network.run(network.back, "10.0.2.10", user_data=TELLER)
    network.address, _ = network.elastic(network.server)
    assert wait_for(lambda: told_outside(network, network.address))
    yield network
    network.account.reset()


def told_outside(world, address, seconds=2):
    said = sh("python3", "-c", TOLD, address, str(seconds), check=False, namespace=world.internet.web)
    return tuple(said.split()) or None


def told(world, instance, address, seconds=2):
    said = guest_python(world.groundplane, instance, TOLD, address, seconds, check=False)
    return said and tuple(said.split())


@contextlib.contextmanager
def edge_table(world):
    """The gateway's own table leads what comes in for the server's subnet to the appliance, and what leaves, too."""
    ec2 = world.ec2
    table = ec2.create_route_table(VpcId=world.vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, **route("10.0.2.0/24", world.appliance_eni))
    ec2.replace_route(RouteTableId=world.back_table, **route("0.0.0.0/0", world.appliance_eni))
    association = ec2.associate_route_table(RouteTableId=table, GatewayId=world.igw)["AssociationId"]
    try:
        yield table
    finally:
        ec2.disassociate_route_table(AssociationId=association)
        ec2.replace_route(RouteTableId=world.back_table, **route("0.0.0.0/0", world.igw))
        ec2.delete_route_table(RouteTableId=table)


def test_an_edge_table_leads_what_comes_in_by_an_appliance_that_forwards(world):
    with edge_table(world), capture(world.groundplane, world.appliance) as between:
        with capture(world.groundplane, world.server) as near:
            # No address is changed but by the gateway.
            assert told_outside(world, world.address) == (WEB, "10.0.2.10")
            came = near.find(flags=2, dport=7000)[0]
            passed = between.find(flags=2, dport=7000, dst="10.0.2.10")
        assert [packet["out"] for packet in passed[:2]] == [False, True]
        assert (came["src"], came["ttl"]) == (WEB, 64 - 2 - 1), "the appliance is a hop"
        between.find(flags=0x12, src="10.0.2.10", out=True)
        assert why(world.groundplane, WEB, world.server, "tcp/7000")[0]
        # And what the server begins itself goes the same way, as its own public address.
        assert seen_by(world.groundplane, world.server, WEB)[0] == world.address
        between.find(flags=2, src="10.0.2.10", dst=WEB, out=True)
        # An appliance that doesn't forward is the end.
        world.groundplane.exec(world.appliance, "sysctl", "-w", "net.ipv4.ip_forward=0")
        assert told_outside(world, world.address, 1) is None
        world.groundplane.exec(world.appliance, "sysctl", "-w", "net.ipv4.ip_forward=1")
        assert told_outside(world, world.address)
    assert told_outside(world, world.address) == (WEB, "10.0.2.10")


def test_an_edge_table_acts_on_running_flows_within_the_call(world):
    with loop(world.groundplane, world.server, "udp", WEB) as datagrams:
        with edge_table(world) as table:
            moment, _ = after(world.ec2.describe_route_tables, RouteTableIds=[table])
            datagrams.expect_answers(moment, world.address)
            moment, _ = after(world.ec2.stop_instances, InstanceIds=[world.appliance])
            world.account.wait(world.appliance, "stopped")
            moment, _ = after(world.ec2.describe_instances, InstanceIds=[world.appliance])
            datagrams.expect_silence(moment)
            world.ec2.start_instances(InstanceIds=[world.appliance])
            world.account.wait(world.appliance, "running")
        moment, _ = after(world.ec2.describe_route_tables)
        datagrams.expect_answers(moment, world.address)
    world.groundplane.exec(world.appliance, "sysctl", "-w", *FORWARD.split()[3:])


def test_an_edge_table_and_its_appliance_work_for_ipv6_too(world):
    front6, _ = world.subnet(11, ("::/0", world.igw))
    appliance = world.run(front6, "10.0.11.10", ipv6=True)
    # Its own kernel limits how often it says that a hop limit is exceeded, from the first answer on.
    world.groundplane.exec(appliance, "sysctl", "-w", "net.ipv6.conf.all.forwarding=1", "net.ipv6.icmp.ratelimit=0")
    eni = world.router(appliance)
    back6, _ = world.subnet(12, ("::/0", eni))
    server = world.run(back6, "10.0.12.10", ipv6=True)
    own, between = world.ipv6_of(server), world.ipv6_of(appliance)
    described = world.ec2.describe_subnets(SubnetIds=[back6])["Subnets"][0]
    table = world.ec2.create_route_table(VpcId=world.vpc)["RouteTable"]["RouteTableId"]
    block = described["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    world.ec2.create_route(RouteTableId=table, **route(block, eni))
    association = world.ec2.associate_route_table(RouteTableId=table, GatewayId=world.igw)["AssociationId"]
    try:
        assert seen_by(world.groundplane, server, WEB6)[0] == own
        assert why(world.groundplane, server, WEB6) == (True, None)
        traced = sh("traceroute", "-n", "-q1", "-w2", "-I", own, namespace=world.internet.web)
        assert re.findall(r"^ *\d+  (\S+)", traced, re.M)[2:] == [between, own]
        traced = world.groundplane.exec(server, "traceroute", "-n", "-q1", "-w2", "-I", WEB6).stdout
        assert re.findall(r"^ *\d+  (\S+)", traced, re.M)[0] == between
    finally:
        world.ec2.disassociate_route_table(AssociationId=association)
        world.ec2.delete_route_table(RouteTableId=table)


def test_routes_more_specific_than_local_lead_between_subnets_by_a_middlebox(world):
    subnet, table = world.subnet(3, ("10.0.2.0/24", world.appliance_eni), ipv6=False)
    client = world.run(subnet, "10.0.3.10")
    world.ec2.create_route(RouteTableId=world.back_table, **route("10.0.3.0/24", world.appliance_eni))
    try:
        with capture(world.groundplane, world.server) as near:
            assert told(world, client, "10.0.2.10") == ("10.0.3.10", "10.0.2.10")
            assert near.find(flags=2, src="10.0.3.10")[0]["ttl"] == 63
        assert why(world.groundplane, client, world.server, "tcp/7000") == (True, None)
        traced = world.groundplane.exec(client, "traceroute", "-n", "-q1", "-w2", "10.0.2.10", check=False).stdout
        assert "1  10.0.1.10 " in traced and "2  10.0.2.10 " in traced, traced
    finally:
        world.ec2.delete_route(RouteTableId=world.back_table, DestinationCidrBlock="10.0.3.0/24")
        world.ec2.delete_route(RouteTableId=table, DestinationCidrBlock="10.0.2.0/24")
    assert told(world, client, "10.0.2.10") == ("10.0.3.10", "10.0.2.10")
    world.ec2.terminate_instances(InstanceIds=[client])


def test_a_private_nat_gateway_hides_its_clients_inside_and_has_no_way_out(world):
    home, _ = world.subnet(4, ("0.0.0.0/0", world.igw), ipv6=False)
    made = world.ec2.create_nat_gateway(SubnetId=home, ConnectivityType="private", PrivateIpAddress="10.0.4.77")
    gateway = made["NatGateway"]["NatGatewayId"]
    state = lambda: world.ec2.describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"][0]["State"]
    assert wait_for(lambda: state() == "available")
    subnet, _ = world.subnet(5, ("10.0.2.0/24", gateway), ("0.0.0.0/0", gateway), ipv6=False)
    client = world.run(subnet, "10.0.5.10")
    with capture(world.groundplane, client) as near, capture(world.groundplane, world.server) as far:
        assert told(world, client, "10.0.2.10") == ("10.0.4.77", "10.0.2.10")
        left, came = near.find(flags=2, dst="10.0.2.10")[0], far.find(flags=2, src="10.0.4.77")[0]
        answered, answer = far.find(flags=0x12, dst="10.0.4.77")[0], near.find(flags=0x12, src="10.0.2.10")[0]
    # Both ends announce what their interfaces take, and are told what the gateway takes.
    assert (left["mss"], came["mss"]) == (9001 - 40, 8500 - 40)
    assert (answered["mss"], answer["mss"]) == (9001 - 40, 8500 - 40)
    assert why(world.groundplane, client, world.server, "tcp/7000") == (True, None)
    assert ping(world.account, client, "10.0.2.10")
    # Jumbo frames, but not the largest.
    size = lambda bytes: world.groundplane.exec(
        client, "ping", "-c1", "-W1", "-M", "do", "-s", str(bytes - 28), "10.0.2.10", check=False
    )
    assert size(8500).returncode == 0
    too_large = size(8501)
    assert too_large.returncode != 0 and "8500" in too_large.stdout + too_large.stderr, too_large.stdout
    assert seen_by(world.groundplane, client, WEB, seconds=1) is None
    assert why(world.groundplane, client, WEB) == (False, "no-public-address")


def test_public_addresses_of_one_vpc_reach_each_other_around_the_gateway(world):
    """As themselves: not by their private addresses, so no group reference matches."""
    subnet, _ = world.subnet(6, ("0.0.0.0/0", world.igw), ipv6=False)
    client = world.run(subnet, "10.0.6.10")
    public, _ = world.elastic(client)
    assert told(world, client, world.address) == (public, "10.0.2.10")
    assert why(world.groundplane, client, world.address, "tcp/7000") == (True, None)
    # From behind a NAT gateway as well.
    gateway, address = world.nat_gateway(subnet)
    private, _ = world.subnet(7, ("0.0.0.0/0", gateway), ipv6=False)
    hidden = world.run(private, "10.0.7.10")
    assert told(world, hidden, world.address) == (address, "10.0.2.10")
    assert why(world.groundplane, hidden, world.address, "tcp/7000") == (True, None)
    # A group that lets in the client's group does not know its public address.
    referring = world.account.group(
        world.vpc, "referring", {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": world.open}]}
    )
    eni = world.eni(world.server)
    world.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[referring])
    try:
        assert told(world, client, world.address, 1) is None
        assert why(world.groundplane, client, world.address, "tcp/7000") == (False, "security-group-ingress")
        assert told(world, client, "10.0.2.10") == ("10.0.6.10", "10.0.2.10")
    finally:
        world.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[world.open])


def test_an_automatic_address_goes_at_the_stop_and_another_comes_at_the_start(world):
    subnet, _ = world.subnet(8, ("0.0.0.0/0", world.igw), ipv6=False)
    world.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    instance = world.run(subnet, "10.0.8.10")
    first = world.account.instance(instance)["PublicIpAddress"]
    ping = lambda address: sh("ping", "-c1", "-W1", address, check=False, namespace=world.internet.web)
    reaches = lambda address: "ttl=" in ping(address)
    assert reaches(first)
    assert seen_by(world.groundplane, instance, WEB)[0] == first
    world.ec2.stop_instances(InstanceIds=[instance])
    world.account.wait(instance, "stopped")
    assert "PublicIpAddress" not in world.account.instance(instance)
    assert not reaches(first)
    world.ec2.start_instances(InstanceIds=[instance])
    world.account.wait(instance, "running")
    second = world.account.instance(instance)["PublicIpAddress"]
    assert second != first
    assert reaches(second) and not reaches(first)
    assert seen_by(world.groundplane, instance, DEEP)[0] == second
    # A reboot is no stop.
    world.ec2.reboot_instances(InstanceIds=[instance])
    assert wait_for(lambda: reaches(second))
    assert world.account.instance(instance)["PublicIpAddress"] == second
