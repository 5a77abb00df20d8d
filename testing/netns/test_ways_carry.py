"""Every way out carries what people send: downloads, iperf3; with the addresses, TTL and MSS at both ends as on AWS.

Source: VPC user guide, the pages on each gateway. No gateway of a VPC is a hop, so none takes from the TTL. Internet
gateways leave the MSS alone: a guest with an MTU of 9,001 offers 8,961 and learns the path's MTU when it meets it. (On
AWS a NAT gateway limits it to what its own MTU of 8,500 allows, which only shows in a capture; here it does not yet.)
"""

import contextlib
import json
import subprocess

import pytest
from every_way import ALL, HOPS_TO_WEB, LEADING_PACKETS
from internet import DEEP, DEEP6, WEB, WEB6, capture, download, guest_python, seen_by, sh, why

SYN, SYN_ACK = 0x02, 0x12
MEGABYTES = 8


@pytest.mark.parametrize("by", ALL)
def test_a_download_comes_whole_and_the_server_sees_the_public_address(ways, by):
    way = ways.by[by]
    size = MEGABYTES << 20
    assert download(ways.groundplane, way.client, way.web, size, *way.curl) == (size, way.seen)


@pytest.mark.parametrize("by", ALL)
def test_a_download_comes_whole_where_a_link_on_the_way_is_narrower(ways, by):
    way = ways.by[by]
    size = 1 << 20
    assert download(ways.groundplane, way.client, way.deep, size, *way.curl) == (size, way.seen)


@pytest.mark.parametrize("by", LEADING_PACKETS)
def test_why_says_what_packets_find(ways, by):
    way = ways.by[by]
    for protocol in ("tcp", "udp"):
        assert seen_by(ways.groundplane, way.client, way.web, protocol)[0] == way.seen
        assert why(ways.groundplane, way.client, way.web, f"{protocol}/7") == (True, None)
    ping = ways.groundplane.exec(way.client, "ping", "-c1", "-W2", way.web, check=False)
    assert ping.returncode == 0, ping.stdout
    assert why(ways.groundplane, way.client, way.web, "icmp") == (True, None)


@contextlib.contextmanager
def iperf_server(namespace):
    """iperf3 for one test, in a namespace."""
    command = ["ip", "netns", "exec", namespace, "iperf3", "-s", "-1", "--forceflush"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        while "listening" not in (line := process.stdout.readline()):
            assert line, "iperf3 has ended"
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("by", LEADING_PACKETS)
@pytest.mark.parametrize("options", [[], ["-R"], ["-u", "-b", "20M"]], ids=["tcp", "tcp back", "udp"])
def test_iperf3_runs_by_every_way(ways, by, options):
    way = ways.by[by]
    with iperf_server(ways.internet.web):
        ran = ways.groundplane.exec(
            way.client, "iperf3", "-c", way.web, "-t", "1", "-J", *options, check=False
        )
    assert ran.returncode == 0, ran.stdout
    end = json.loads(ran.stdout)["end"]
    if "-u" in options:
        assert end["sum"]["packets"] > 100 and end["sum"]["lost_percent"] < 50, end["sum"]
    else:
        assert end["sum_received"]["bytes"] > 1 << 20, end["sum_received"]


@pytest.mark.parametrize("by", LEADING_PACKETS)
def test_both_ends_see_the_addresses_ttl_and_mss_of_aws(ways, by):
    way = ways.by[by]
    ways.forget_mtu(by)
    inside, outside = capture(ways.groundplane, way.client), capture(namespace=ways.internet.web)
    with inside as near, outside as far:
        address, port = seen_by(ways.groundplane, way.client, way.web)
        left = near.find(flags=SYN, dst=way.web)[0]
        came = far.find(flags=SYN, src=address)[0]
        answer = near.find(flags=SYN_ACK, src=way.web)[0]
        answered = far.find(flags=SYN_ACK, dst=address)[0]
    is_ipv6 = ":" in way.web
    own = ways.ipv6_of(way.client) if is_ipv6 else ways.account.instance(way.client)["PrivateIpAddress"]
    headers = 60 if is_ipv6 else 40
    assert (left["src"], left["dst"], left["ttl"], left["mss"]) == (own, way.web, 64, 9001 - headers)
    assert (came["src"], came["dst"], came["dport"]) == (way.seen, way.web, 7)
    assert int(port) == came["sport"]
    assert came["ttl"] == 64 - HOPS_TO_WEB - way.routers
    # VPC user guide, "NAT gateway basics": they clamp the MSS; here to what the internet gateway behind them takes.
    assert came["mss"] == (1460 if by == "NAT gateway" else left["mss"])
    assert (answered["ttl"], answered["mss"]) == (64, 1500 - headers)
    assert (answer["src"], answer["dst"], answer["dport"]) == (way.web, own, left["sport"])
    assert (answer["ttl"], answer["mss"]) == (64 - HOPS_TO_WEB - way.routers, 1500 - headers)
    assert not [p for p in near.packets if way.seen in (p["src"], p["dst"]) and way.seen != own]


# In a guest: what the kernel says of a port at which nobody listens.
CLOSED = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    s = socket.socket(family, kind)
    s.settimeout(float(sys.argv[2]))
    try:
        s.connect((sys.argv[1], 9))
        s.send(b"x")
        s.recv(9)
    except OSError as error:
        print(type(error).__name__)
"""
REFUSED = ["ConnectionRefusedError"] * 2


@pytest.mark.parametrize("by", LEADING_PACKETS)
def test_a_closed_port_says_so_by_every_way(ways, by):
    """By a reset, and by an ICMP error that quotes the packet as its sender knows it."""
    way = ways.by[by]
    for server in (way.web, way.deep):
        assert guest_python(ways.groundplane, way.client, CLOSED, server, 5).split() == REFUSED


def test_a_closed_port_inside_says_so_to_the_outside(ways):
    knock = lambda *arguments: sh("python3", "-c", CLOSED, *arguments, namespace=ways.internet.web).split()
    for address in (ways.igw_address, ways.ipv6_of(ways.igw_client)):
        assert knock(address, "5") == REFUSED
    # Nobody is told anything by a NAT gateway.
    assert knock(ways.nat_address, "0.5") == ["TimeoutError"] * 2


def test_a_proxy_is_the_client_of_the_server_and_the_server_of_the_client(ways):
    way = ways.by["proxy"]
    with capture(ways.groundplane, way.client) as near, capture(namespace=ways.internet.web) as far:
        assert download(ways.groundplane, way.client, WEB, 1000, *way.curl) == (1000, ways.proxy_address)
        left, came = near.find(flags=SYN)[0], far.find(flags=SYN)[0]
    assert (left["src"], left["dst"], left["dport"]) == ("10.0.5.10", "10.0.1.30", 8888)
    assert (came["src"], came["dst"], came["dport"]) == (ways.proxy_address, WEB, 80)


@pytest.mark.parametrize("server", [WEB, DEEP, WEB6, DEEP6])
def test_without_a_way_nothing_leaves_and_why_names_the_reason(ways, server):
    client = ways.proxy_client
    if ":" not in server:
        assert download(ways.groundplane, client, server, 10, seconds=1) is None
        assert why(ways.groundplane, client, server, "tcp/80") == (False, "no-route")
    else:
        # It has no IPv6 address of its own, so it can't even ask.
        assert "2001" not in ways.groundplane.exec(client, "ip", "-6", "addr").stdout
        assert download(ways.groundplane, client, server, 10, seconds=1) is None
