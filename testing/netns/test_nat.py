"""Translated packets for real: internet gateway, NAT gateway, egress-only gateway, and what both ends see of them.

The namespace of the tests is the outside: it has the first address of the region's pool.
"""

import contextlib
import re
import socket
import subprocess
import threading

import pytest
from conftest import REGION, permission
from test_packets import wait_for

OPEN = [permission("-1", cidr="0.0.0.0/0"), permission("-1", cidr6="::/0")]
# Says to each client who it is, and at which address it has met the server.
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
# In a guest: connect, and print what the server says.
ASK = "import socket,sys; s=socket.create_connection((sys.argv[1],int(sys.argv[2])),3); print(s.recv(99).decode())"


def asked(address, port=7000, seconds=2):
    """What the server at that address tells the outside: (whom it sees, where it is), or None."""
    try:
        with socket.create_connection((address, port), seconds) as client:
            client.settimeout(seconds)
            return tuple(client.recv(99).decode().split())
    except OSError:
        return None


@contextlib.contextmanager
def outside_server(family=socket.AF_INET):
    """A server in the outside that tells each client its address and port; (port, what it has seen)."""
    seen, held = [], []
    listener = socket.create_server(("", 0), family=family, backlog=512)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                client, peer = listener.accept()
                seen.append(peer[:2])
                client.sendall(f"{peer[0]} {peer[1]}".encode())
                held.append(client)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1], seen
    finally:
        listener.close()
        for client in held:
            client.close()


def outside_address(public):
    """The address that the outside has for this public one."""
    return re.search(r" src (\S+)", subprocess.check_output(["ip", "route", "get", public], text=True))[1]


def ask(account, instance, address, port):
    """What the server tells a guest: (address, port) as the server sees it, or None."""
    result = account.groundplane.exec(instance, "python3", "-c", ASK, address, str(port), check=False)
    return tuple(result.stdout.split()) if result.returncode == 0 else None


class Way:
    """A VPC with a public subnet 10.0.1.0/24 by an internet gateway, and a private one 10.0.2.0/24."""

    def __init__(self, account, ipv6=False):
        self.account, self.ec2 = account, account.ec2
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=ipv6)["Vpc"]["VpcId"]
        block = {}
        if ipv6:
            described = self.ec2.describe_vpcs(VpcIds=[self.vpc])["Vpcs"][0]
            block = described["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
            block = {"Ipv6CidrBlock": block.replace("/56", "/64")}
        zone = REGION + "a"
        make = self.ec2.create_subnet
        self.public = make(VpcId=self.vpc, CidrBlock="10.0.1.0/24", AvailabilityZone=zone, **block)["Subnet"]["SubnetId"]
        self.private = make(VpcId=self.vpc, CidrBlock="10.0.2.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        self.gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=self.gateway, VpcId=self.vpc)
        self.table = self.route(self.public, GatewayId=self.gateway)
        self.group = account.group(self.vpc, "open", *OPEN)

    def route(self, subnet, destination="0.0.0.0/0", **target):
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock=destination, **target)
        return table

    def address(self, instance=None):
        allocated = self.ec2.allocate_address(Domain="vpc")
        if instance:
            self.ec2.associate_address(AllocationId=allocated["AllocationId"], InstanceId=instance)
        return allocated["PublicIp"], allocated["AllocationId"]

    def nat_gateway(self):
        public, allocation = self.address()
        made = self.ec2.create_nat_gateway(SubnetId=self.public, AllocationId=allocation)["NatGateway"]["NatGatewayId"]
        state = lambda: self.ec2.describe_nat_gateways(NatGatewayIds=[made])["NatGateways"][0]["State"]
        assert wait_for(lambda: state() == "available")
        return made, public


@pytest.fixture
def way(account):
    return Way(account)


def test_an_elastic_address_works_in_both_directions_and_the_guest_does_not_see_it(way):
    instance = way.account.run(way.public, [way.group], "10.0.1.10", user_data=TELLER)
    public, _ = way.address(instance)
    outside = outside_address(public)
    assert wait_for(lambda: asked(public) == (outside, "10.0.1.10"))
    with outside_server() as (port, seen):
        assert ask(way.account, instance, outside, port)[0] == public
        assert seen[0][0] == public
    assert public not in way.account.groundplane.exec(instance, "ip", "addr").stdout
    assert subprocess.run(["ping", "-c1", "-W2", public], capture_output=True).returncode == 0


def test_an_automatic_address_works_and_a_changed_route_or_gateway_stops_running_flows(way):
    interface = [{"DeviceIndex": 0, "SubnetId": way.public, "Groups": [way.group], "AssociatePublicIpAddress": True}]
    answer = way.ec2.run_instances(
        ImageId=way.account.image(), InstanceType="t3.micro", MinCount=1, MaxCount=1, NetworkInterfaces=interface
    )
    instance = answer["Instances"][0]["InstanceId"]
    way.account.wait(instance, "running")
    public = way.account.instance(instance)["PublicIpAddress"]
    reaches = lambda: subprocess.run(["ping", "-c1", "-W1", public], capture_output=True).returncode == 0
    assert wait_for(reaches)
    way.ec2.delete_route(RouteTableId=way.table, DestinationCidrBlock="0.0.0.0/0")
    assert not reaches()
    way.ec2.create_route(RouteTableId=way.table, DestinationCidrBlock="0.0.0.0/0", GatewayId=way.gateway)
    assert reaches()


def test_two_public_addresses_of_one_vpc_reach_each_other_by_the_gateway(way):
    a = way.account.run(way.public, [way.group], "10.0.1.10", user_data=TELLER)
    b = way.account.run(way.public, [way.group], "10.0.1.20")
    public_a, _ = way.address(a)
    public_b, _ = way.address(b)
    assert wait_for(lambda: ask(way.account, b, public_a, 7000) == (public_b, "10.0.1.10"))


def test_a_nat_gateway_gives_each_connection_a_port_of_its_own_and_lets_none_in(way):
    nat, public = way.nat_gateway()
    way.route(way.private, NatGatewayId=nat)
    instances = [way.account.run(way.private, [way.group], f"10.0.2.{n}") for n in (10, 11, 12)]
    outside = outside_address(public)
    many = (
        "import socket,sys; a=(sys.argv[1],int(sys.argv[2]));"
        "c=[socket.socket() for _ in range(40)]; [s.bind(('',40000+i)) for i,s in enumerate(c)];"
        "[s.connect(a) for s in c]; print(sum(len(s.recv(99))>0 for s in c), flush=True); sys.stdin.read()"
    )
    with outside_server() as (port, seen):
        command = ("python3", "-c", many, outside, str(port))
        asking = [way.account.groundplane.popen_exec(i, *command, stdin=subprocess.PIPE) for i in instances]
        assert [process.stdout.readline().strip() for process in asking] == ["40"] * 3
        # All of them have chosen the same 40 ports inside, and hold their connections: ports of ended ones are given again.
        assert len(seen) == len(set(seen)) == 120
        assert {address for address, _ in seen} == {public}
        assert all(1024 <= port <= 65535 for _, port in seen)
        assert [process.communicate(timeout=20)[0] for process in asking] == [""] * 3
    assert asked(public, 22, 0.5) is None
    ping = way.account.groundplane.exec(instances[0], "ping", "-c1", "-W2", outside, check=False)
    assert ping.returncode == 0, ping.stdout


def test_large_packets_learn_the_mtu_of_the_gateway(way):
    instance = way.account.run(way.public, [way.group], "10.0.1.10")
    public, _ = way.address(instance)
    outside = outside_address(public)

    def pinged(size, *options):
        return way.account.groundplane.exec(
            instance, "ping", "-c1", "-W1", "-s", str(size), *options, outside, check=False
        )

    assert pinged(1472, "-M", "do").returncode == 0
    too_big = pinged(1473, "-M", "do")
    assert too_big.returncode != 0 and "mtu" in too_big.stdout + too_big.stderr, too_big.stdout
    # Without DF it is cut in pieces, and the outside's answer is put together again.
    assert pinged(4000, "-M", "dont").returncode == 0


def test_a_network_acl_is_stateless_towards_the_outside(way):
    instance = way.account.run(way.public, [way.group], "10.0.1.10", user_data=TELLER)
    public, _ = way.address(instance)
    assert wait_for(lambda: asked(public))
    acl = way.ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [way.vpc]}])["NetworkAcls"][0]
    acl = acl["NetworkAclId"]
    entry = {"NetworkAclId": acl, "RuleNumber": 50, "Protocol": "6", "CidrBlock": "0.0.0.0/0"}
    way.ec2.create_network_acl_entry(
        **entry, RuleAction="deny", Egress=True, PortRange={"From": 1024, "To": 65535}
    )
    assert asked(public, seconds=0.5) is None, "the answer's port is not open"
    way.ec2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=50, Egress=True)
    assert asked(public)
