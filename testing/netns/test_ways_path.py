"""What lies on the way: traceroute's hops, the largest packets, and how senders learn of them.

Source: VPC user guide, "Compare NAT gateways and NAT instances" (no gateway shows as a hop); EC2 user guide, "Network
MTU": 9,001 inside a VPC, 1,500 at a gateway to the internet, which answers what is larger and must not be cut.
"""

import re

import pytest
from every_way import LEADING_PACKETS
from internet import NARROW, capture, guest_python, sh

# In a guest: a stream towards an address, then what the kernel has learnt of the way there.
STREAM = """
import socket, sys
address = sys.argv[1]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM)
s.settimeout(float(sys.argv[2]))
s.connect((address, 7))
s.recv(99)
s.sendall(b"x" * 400000 + b"\\n")
got = b""
while not got.endswith(b"\\n"):
    got += s.recv(65536)
level, option = (socket.IPPROTO_IP, 14) if family == socket.AF_INET else (socket.IPPROTO_IPV6, 24)
print(len(got), s.getsockopt(level, option))
"""

# In a guest: one large datagram, until it is answered in full; the first ones may teach the sender the MTU.
LARGE = """
import socket, sys
address, size = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
s.connect((address, 7))
sent = bytes(i % 251 for i in range(size))
for attempt in range(5):
    try:
        s.send(sent)
        got = s.recv(65536)
        peer, port, said = got.split(b" ", 2)
        print(peer.decode(), said == sent)
        break
    except (TimeoutError, OSError):
        pass
"""


def hops(ways, client, address, *options):
    """The addresses that traceroute prints, one for each hop; `*` for a silent one."""
    shown = ways.groundplane.exec(
        client, "traceroute", "-n", "-q", "1", "-w", "2", "-m", "8", *options, address, check=False
    ).stdout
    return re.findall(r"^ *\d+  (\S+)", shown, re.M)


def routers(ways):
    """The addresses of what lies between the region and `deep`: our router, the ISP, the edge."""
    return {
        ".": ["198.19.0.129", "198.19.0.1", "198.19.3.2"],
        ":": ["2001:db8::c613:81", "2001:db8:1::1", "2001:db8:4::2"],
    }


@pytest.mark.parametrize("options", [[], ["-I"], ["-T", "-p", "7"]], ids=["udp", "icmp", "tcp"])
@pytest.mark.parametrize("by", LEADING_PACKETS)
def test_traceroute_shows_the_routers_outside_and_no_gateway(ways, by, options):
    way = ways.by[by]
    outside = routers(ways)[":" if ":" in way.deep else "."]
    inside = ["10.0.1.20"] if way.routers else []
    assert hops(ways, way.client, way.deep, *options) == [*inside, *outside, way.deep]


@pytest.mark.parametrize("options", [[], ["-I"], ["-T", "-p", "22"]], ids=["udp", "icmp", "tcp"])
def test_traceroute_inside_a_vpc_is_one_hop(ways, options):
    for target in ("10.0.1.20", "10.0.2.10"):
        assert hops(ways, ways.igw_client, target, *options) == [target]


def test_traceroute_from_outside_shows_the_public_address_alone(ways):
    shown = sh("traceroute", "-n", "-q", "1", "-w", "2", "-m", "6", "-I", ways.igw_address, namespace=ways.internet.web)
    assert re.findall(r"^ *\d+  (\S+)", shown, re.M) == ["198.19.1.1", "198.19.0.2", ways.igw_address]


def pinged(ways, client, target, size, *options):
    """ping with packets of `size` bytes: what it prints, and whether it was answered."""
    headers = 48 if ":" in target else 28
    result = ways.groundplane.exec(
        client, "ping", "-c1", "-W1", "-s", str(size - headers), *options, target, check=False
    )
    return result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("size", [1500, 1501, 8500, 8501, 9000, 9001])
def test_packets_up_to_9001_bytes_pass_inside_a_vpc(ways, size):
    target6 = ways.ipv6_of(ways.nat_client)
    for target in ("10.0.1.20", "10.0.2.10", target6):
        answered, shown = pinged(ways, ways.igw_client, target, size, "-M", "do")
        assert answered, shown


def test_one_byte_more_does_not_leave_the_guest(ways):
    answered, shown = pinged(ways, ways.igw_client, "10.0.2.10", 9002, "-M", "do")
    assert not answered and "mtu=9001" in shown.replace("mtu: ", "mtu=").replace("mtu = ", "mtu="), shown


@pytest.mark.parametrize("by", LEADING_PACKETS)
def test_1500_bytes_pass_a_gateway_and_one_more_is_answered_with_the_mtu(ways, by):
    way = ways.by[by]
    ways.forget_mtu(by)
    answered, shown = pinged(ways, way.client, way.web, 1500, "-M", "do")
    assert answered, shown
    with capture(ways.groundplane, way.client) as near:
        answered, shown = pinged(ways, way.client, way.web, 1501, "-M", "do")
        assert not answered and re.search(r"mtu[ =:]+1500", shown), shown
        is_ipv6 = ":" in way.web
        told = near.find(icmp=[2, 0] if is_ipv6 else [3, 4])[0]
    assert told["mtu"] & 0xFFFF == 1500
    # By the router of the subnet, as tracepath in the user guide shows; a NAT instance is told, and passes it on.
    own_router = ways.account.instance(way.client)["PrivateIpAddress"].rsplit(".", 1)[0] + ".1"
    assert told["src"] == ("fe80:ec2::1" if is_ipv6 else "10.0.1.1" if way.routers else own_router)


@pytest.mark.parametrize("by", LEADING_PACKETS)
def test_tcp_learns_the_mtu_of_a_narrow_link_far_away(ways, by):
    way = ways.by[by]
    length, mtu = guest_python(ways.groundplane, way.client, STREAM, way.deep, 20).split()
    assert int(length) == 400_001
    assert int(mtu) == NARROW, "told by a router behind the internet"


@pytest.mark.parametrize("by", ["internet gateway", "NAT gateway"])
def test_a_network_acl_without_icmp_makes_a_black_hole_as_on_aws(ways, by):
    """EC2 user guide: lists must allow ICMP type 3 code 4 in."""
    way = ways.by[by]
    ways.forget_mtu(by)
    lists = ways.ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [ways.vpc]}])["NetworkAcls"]
    acl = next(one["NetworkAclId"] for one in lists if one["IsDefault"])
    entry = {"NetworkAclId": acl, "RuleNumber": 50, "Egress": False}
    deny = {"Protocol": "1", "RuleAction": "deny", "CidrBlock": "0.0.0.0/0", "IcmpTypeCode": {"Type": 3, "Code": 4}}
    ways.ec2.create_network_acl_entry(**entry, **deny)
    try:
        assert guest_python(ways.groundplane, way.client, STREAM, way.deep, 4, check=False) is None
        # The first gateway's own word comes from the router of the VPC, which no list is about.
        answered, shown = pinged(ways, way.client, way.web, 1501, "-M", "do")
        assert not answered and re.search(r"mtu[ =:]+1500", shown), shown
    finally:
        ways.ec2.delete_network_acl_entry(**entry)
    assert guest_python(ways.groundplane, way.client, STREAM, way.deep, 20).split() == ["400001", str(NARROW)]


@pytest.mark.parametrize("by", LEADING_PACKETS)
def test_large_datagrams_arrive_in_pieces_and_are_put_together(ways, by):
    """VPC user guide: a NAT gateway lets fragments of UDP pass."""
    way = ways.by[by]
    for server in (way.web, way.deep):
        assert guest_python(ways.groundplane, way.client, LARGE, server, 4000) == f"{way.seen} True"


@pytest.mark.parametrize("by", ["internet gateway", "NAT gateway"])
def test_what_may_be_cut_is_cut_at_the_gateway(ways, by):
    way = ways.by[by]
    ways.forget_mtu(by)
    with capture(namespace=ways.internet.web) as far:
        answered, shown = pinged(ways, way.client, way.web, 4000, "-M", "dont")
        far.find(src=way.seen, more=False)
        pieces = [packet for packet in far.packets if packet["src"] == way.seen]
    assert sorted(piece["offset"] for piece in pieces) == [0, 1480, 2960]
    assert all(piece["length"] <= 1500 for piece in pieces), pieces
    # A NAT gateway drops fragments of ICMP, and the answer comes in pieces.
    assert answered == (by == "internet gateway"), shown
