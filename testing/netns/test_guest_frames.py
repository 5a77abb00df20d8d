"""Frames that a guest makes by hand: malformed ones are dropped with a reason, questions to the VPC are answered."""

import json
import textwrap

import pytest
from conftest import permission

PRELUDE = """
import json, random, socket, struct, sys, time
MAC = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
raw.bind(("eth0", 0))
raw.settimeout(2)

def checksum(data):
    data += b"\\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

def ipv4(src, dst, protocol, payload, ident=1, flags=0):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, flags, 64, protocol, 0,
                       socket.inet_aton(src), socket.inet_aton(dst))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload

def frame(dst, ether_type, payload):
    return dst + MAC + struct.pack(">H", ether_type) + payload

def receive(wanted, seconds=2):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            got, sender = raw.recvfrom(65535)
        except socket.timeout:
            return None
        if sender[2] != socket.PACKET_OUTGOING and wanted(got):
            return got
"""


def inside(groundplane, instance, script):
    """Runs Python in the guest; what it printed as JSON."""
    source = PRELUDE + textwrap.dedent(script)
    result = groundplane.command("exec", instance, "--", "python3", "-", input=source)
    return json.loads(result.stdout)


@pytest.fixture
def pair(account):
    vpc, subnet = account.network()
    group = account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))
    return account.run(subnet, [group], "10.0.1.20"), account.run(subnet, [group], "10.0.1.10")


def drops(groundplane):
    return groundplane.status()["host"]["drops"]


def test_malformed_frames_are_dropped_with_a_reason_and_counted(groundplane, pair):
    before = drops(groundplane)
    sent = inside(
        groundplane,
        pair[0],
        """
        random.seed(7)
        for n in range(300):
            raw.send(frame(b"\\2\\0\\0\\0\\0\\1", 0x0800, random.randbytes(random.randrange(60))))
            raw.send(frame(b"\\2\\0\\0\\0\\0\\1", 0x86DD, random.randbytes(random.randrange(60))))
        for n in range(50):
            raw.send(frame(b"\\2\\0\\0\\0\\0\\1", 0x88CC, random.randbytes(40)))
        for n in range(20):
            raw.send(frame(b"\\xff" * 6, 0x0800, ipv4("10.0.1.20", "255.255.255.255", 17, struct.pack(">HHHH", 9, 9, 8, 0))))
        print(json.dumps(670))
        """,
    )
    after = drops(groundplane)
    risen = {reason: count - before.get(reason, 0) for reason, count in after.items()}
    assert risen["malformed"] == 600 and risen["unsupported-ether-type"] == 50 and risen["multicast"] >= 20, (sent, risen)


def test_arp_is_answered_for_the_router_and_for_neighbours_only(groundplane, pair):
    answers = inside(
        groundplane,
        pair[0],
        """
        def ask(address):
            body = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + MAC + socket.inet_aton("10.0.1.20") + bytes(6) + socket.inet_aton(address)
            raw.send(frame(b"\\xff" * 6, 0x0806, body))
            got = receive(lambda f: f[12:14] == b"\\x08\\x06" and f[20:22] == b"\\0\\2" and f[28:32] == socket.inet_aton(address), 0.5)
            return got and got[22:28].hex(":")
        print(json.dumps([ask("10.0.1.1"), ask("10.0.1.10"), ask("10.0.1.200")]))
        """,
    )
    neighbour = groundplane.exec(pair[1], "cat", "/sys/class/net/eth0/address").stdout.strip()
    assert answers[0] and answers[0] != neighbour
    assert answers[1] == neighbour
    assert answers[2] is None


def test_dhcp_offers_the_address_that_the_api_shows(groundplane, pair):
    offer = inside(
        groundplane,
        pair[0],
        """
        body = struct.pack(">BBBBIHH", 1, 1, 6, 0, 0x1234, 0, 0x8000) + bytes(16) + MAC + bytes(10 + 192)
        body += bytes([99, 130, 83, 99, 53, 1, 1, 255])
        udp = struct.pack(">HHHH", 68, 67, 8 + len(body), 0) + body
        raw.send(frame(b"\\xff" * 6, 0x0800, ipv4("0.0.0.0", "255.255.255.255", 17, udp)))
        got = receive(lambda f: f[12:14] == b"\\x08\\0" and f[23] == 17 and f[34:36] == b"\\0\\x43")
        print(json.dumps(got and {"address": socket.inet_ntoa(got[58:62]), "mtu": bytes([26, 2, 0x23, 0x29]) in got}))
        """,
    )
    assert offer == {"address": "10.0.1.20", "mtu": True}


def test_fragments_follow_their_first(groundplane, account, pair):
    result = groundplane.exec(pair[0], "ping", "-c1", "-W2", "-s", "20000", "10.0.1.10", check=False)
    assert result.returncode == 0, result.stdout
    before = drops(groundplane).get("fragment-without-first", 0)
    inside(
        groundplane,
        pair[0],
        """
        raw.send(frame(b"\\2\\0\\0\\0\\0\\1", 0x0800, ipv4("10.0.1.20", "10.0.1.10", 17, bytes(64), ident=99, flags=10)))
        time.sleep(0.2)
        print(json.dumps(None))
        """,
    )
    assert drops(groundplane)["fragment-without-first"] == before + 1


def test_a_flood_of_new_flows_does_not_starve_a_neighbour(groundplane, account, pair):
    vpc = account.instance(pair[0])["VpcId"]
    subnet = account.instance(pair[0])["SubnetId"]
    group = account.instance(pair[0])["SecurityGroups"][0]["GroupId"]
    quiet = account.run(subnet, [group], "10.0.1.30")
    # The flood may track as many connections as its own type, which must not be all that the receiver may.
    account.run(subnet, [group], "10.0.1.40", InstanceType="m5.large")
    assert vpc
    flood = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(400000):
    s.sendto(b"x", ("10.0.1.40", 1 + n % 65000))
"""
    flooding = groundplane.popen_exec(pair[0], "timeout", "10", "python3", "-c", flood)
    try:
        answered = 0
        for _ in range(10):
            answer = groundplane.exec(quiet, "ping", "-c1", "-W1", "10.0.1.40", check=False)
            answered += answer.returncode == 0
        assert answered >= 9
    finally:
        flooding.communicate(timeout=30)


def test_frames_of_ten_thousands_of_segments_are_refused_whole(groundplane, pair):
    """A guest's raw socket says how its frames are to be segmented. User space would get each segment by itself."""
    before = groundplane.status()["host"]
    inside(
        groundplane,
        pair[0],
        """
        raw.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
        for n in range(20):
            tcp = struct.pack(">HHIIBBHHH", 4000 + n, 80, 1, 1, 0x50, 0x10, 1000, 0, 0) + bytes(60000)
            # NEEDS_CSUM, GSO_TCPV4, header length, segment size, where the checksum starts and lies
            head = struct.pack("<BBHHHH", 1, 1, 54, 1, 34, 16)
            raw.send(head + frame(b"\\2\\0\\0\\0\\0\\1", 0x0800, ipv4("10.0.1.20", "10.0.1.10", 6, tcp)))
            time.sleep(0.05)
        print(json.dumps(0))
        """,
    )
    after = groundplane.status()["host"]
    assert after["drops"].get("upcall-budget", 0) - before["drops"].get("upcall-budget", 0) == 20
    assert after["upcalls"] - before["upcalls"] < 50
