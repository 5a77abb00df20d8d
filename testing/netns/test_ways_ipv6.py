"""IPv6 ways: internet gateway and egress-only gateway, IPv6-only subnets, and NAT64 from them to IPv4 servers.

Source: VPC user guide, "Egress-only internet gateways", "IPv6-only subnets", "DNS64 and NAT64".
"""

import ipaddress

import pytest
from conftest import REGION
from internet import DEEP, WEB, WEB6, Network, capture, download, guest_python, seen_by, sh, why
from test_packets import ping
from test_ways_path import STREAM

# In the outside: is a TCP or UDP server of a guest reached?
KNOCK = "import socket,sys;print(socket.create_connection((sys.argv[1],int(sys.argv[2])),2).recv(9).decode())"
SERVER = """#!/bin/sh
exec python3 -c '
import socket
s = socket.create_server(("::", 7000), family=socket.AF_INET6)
while True:
    c, a = s.accept()
    c.sendall(b"hello")
    c.close()
'
"""


def nat64(address):
    """The address that stands for an IPv4 one, as DNS64 answers (RFC 6052)."""
    return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) + int(ipaddress.IPv4Address(address))))


def knocks(ways, address):
    return sh("python3", "-c", KNOCK, address, "7000", check=False, namespace=ways.internet.web).strip() == "hello"


def test_an_internet_gateway_leads_in_and_an_egress_only_one_refuses(ways):
    listening = [
        ways.groundplane.popen_exec(client, "sh", "-c", SERVER.partition("\n")[2])
        for client in (ways.igw_client, ways.nat_client)
    ]
    try:
        ready = "until ss -ltn | grep -q :7000; do sleep 0.05; done"
        for client in (ways.igw_client, ways.nat_client):
            ways.groundplane.exec(client, "sh", "-c", ready)
        assert knocks(ways, ways.ipv6_of(ways.igw_client))
        assert why(ways.groundplane, WEB6, ways.ipv6_of(ways.igw_client), "tcp/7000") == (True, None)
        before = ways.groundplane.status()["host"]["drops"].get("egress-only", 0)
        assert not knocks(ways, ways.ipv6_of(ways.nat_client))
        assert ways.groundplane.status()["host"]["drops"]["egress-only"] > before
        assert why(ways.groundplane, WEB6, ways.ipv6_of(ways.nat_client), "tcp/7000") == (False, "egress-only")
        # What it opens itself is answered, by an address that is its own.
        assert seen_by(ways.groundplane, ways.nat_client, WEB6)[0] == ways.ipv6_of(ways.nat_client)
        # And inside the VPC nothing is in the way.
        assert ping(ways.account, ways.igw_client, ways.ipv6_of(ways.nat_client))
    finally:
        for process in listening:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def only6(ways):
    """(subnet, an instance with nothing but an IPv6 address)"""
    block = ways.block6.replace("00::/56", "66::/64")
    made = ways.ec2.create_subnet(
        VpcId=ways.vpc, Ipv6Native=True, Ipv6CidrBlock=block, AvailabilityZone=REGION + "a"
    )["Subnet"]
    table = ways.ec2.create_route_table(VpcId=ways.vpc)["RouteTable"]["RouteTableId"]
    ways.ec2.associate_route_table(RouteTableId=table, SubnetId=made["SubnetId"])
    ways.ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="64:ff9b::/96", NatGatewayId=ways.nat)
    ways.ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="::/0", GatewayId=ways.igw)
    return made["SubnetId"], ways.run(made["SubnetId"], None, ipv6=True)


def test_an_instance_of_an_ipv6_only_subnet_has_no_ipv4_and_reaches_both_internets(ways, only6):
    _, instance = only6
    assert "PrivateIpAddress" not in ways.account.instance(instance)
    shown = ways.groundplane.exec(instance, "ip", "-4", "-o", "addr", "show", "eth0").stdout
    assert "10.0." not in shown
    assert seen_by(ways.groundplane, instance, WEB6)[0] == ways.ipv6_of(instance)
    assert ping(ways.account, instance, ways.ipv6_of(ways.igw_client))
    for protocol in ("tcp", "udp"):
        assert seen_by(ways.groundplane, instance, nat64(WEB), protocol)[0] == ways.nat_address
        assert why(ways.groundplane, instance, nat64(WEB), f"{protocol}/7") == (True, None)
    assert ping(ways.account, instance, nat64(WEB), 2)
    assert why(ways.groundplane, instance, nat64(WEB), "icmp") == (True, None)


def test_nat64_carries_a_download_and_learns_of_narrow_links(ways, only6):
    _, instance = only6
    size = 1 << 20
    assert download(ways.groundplane, instance, nat64(WEB), size) == (size, ways.nat_address)
    # 1,400 bytes of IPv4 are 1,420 of IPv6: RFC 7915, 4.2.
    length, mtu = guest_python(ways.groundplane, instance, STREAM, nat64(DEEP), 20).split()
    assert (int(length), int(mtu)) == (400_001, 1420)


def test_the_far_end_of_nat64_sees_plain_ipv4(ways, only6):
    _, instance = only6
    with capture(ways.groundplane, instance) as near, capture(namespace=ways.internet.web) as far:
        _, port = seen_by(ways.groundplane, instance, nat64(WEB))
        left = near.find(flags=2, dst=nat64(WEB))[0]
        came = far.find(flags=2, src=ways.nat_address)[0]
        answer = near.find(flags=0x12, src=nat64(WEB))[0]
    assert (left["src"], left["ttl"]) == (ways.ipv6_of(instance), 64)
    assert (came["sport"], came["dport"], came["ttl"]) == (int(port), 7, 62)
    assert (answer["dst"], answer["dport"]) == (left["src"], left["sport"])
    # As large as 1,500 bytes of IPv6 have room for, both ways.
    assert (left["mss"], came["mss"], answer["mss"]) == (9001 - 60, 1440, 1440)


def test_nat64_to_private_ipv4_addresses_works_where_a_route_leads(ways, only6):
    """The NAT gateway's subnet has a local route, so it reaches IPv4 instances of its own VPC."""
    _, instance = only6
    assert ping(ways.account, instance, nat64("10.0.1.20"), 2)
    assert why(ways.groundplane, instance, nat64("10.0.1.20"), "icmp") == (True, None)


def test_two_vpcs_of_a_region_reach_each_other_by_ipv6_but_not_behind_an_egress_only_gateway(ways):
    other = Network(ways.groundplane.account())
    subnet, _ = other.subnet(1, ("::/0", other.igw))
    # The same private block, too: nothing of IPv4 is in the way.
    instance = other.run(subnet, "10.0.1.10", ipv6=True)
    theirs = other.ipv6_of(instance)
    for client in (ways.igw_client, ways.nat_client):
        assert ping(ways.account, client, theirs, 2)
        assert why(ways.groundplane, client, theirs, "icmp") == (True, None)
    assert ping(other.account, instance, ways.ipv6_of(ways.igw_client), 2)
    assert not ping(other.account, instance, ways.ipv6_of(ways.nat_client))
    assert why(ways.groundplane, instance, ways.ipv6_of(ways.nat_client), "icmp") == (False, "egress-only")
    other.account.reset()


def test_a_dual_stack_instance_is_reached_by_both(ways):
    for server, seen in ((WEB, ways.igw_address), (WEB6, ways.ipv6_of(ways.igw_client))):
        assert seen_by(ways.groundplane, ways.igw_client, server)[0] == seen
        assert sh("ping", "-c1", "-W2", seen, namespace=ways.internet.web)
