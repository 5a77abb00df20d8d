"""What an instance's type allows its network: bandwidth by real packets, counted as an ENA driver counts it."""

import json
import time

import pytest
from conftest import Groundplane, free_port, permission

# t2.nano: 512 Mbit/s at most, and a burst of 20 ms of it.
PEAK_BYTES = 512_000_000 / 8
BURST_BYTES = PEAK_BYTES / 50

# Super-packets of the kernel's UDP segmentation: a slow machine, too, sends more than the type allows.
SEND = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_UDP, 103, 1400)
data, sent, start = b"x" * 44 * 1400, 0, time.monotonic()
while sent < int(sys.argv[2]):
    try:
        sent += s.sendto(data, (sys.argv[1], 9))
    except OSError:
        time.sleep(0.001)
"""


def network(groundplane, type_of_receiver="m5.24xlarge", type_of_sender="t2.nano"):
    """(account, sender, receiver); the sender may send as it likes as far as groups go."""
    account = groundplane.account()
    vpc, subnet = account.network()
    group = account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))
    sender = account.run(subnet, [group], "10.0.1.10", InstanceType=type_of_sender)
    receiver = account.run(subnet, [group], "10.0.1.20", InstanceType=type_of_receiver)
    return account, sender, receiver


def counters(groundplane, instance):
    return json.loads(groundplane.command("counters", instance, "--json").stdout)[0]


def received(groundplane, instance):
    return int(groundplane.exec(instance, "cat", "/sys/class/net/eth0/statistics/rx_bytes").stdout)


def send(groundplane, sender, size):
    groundplane.exec(sender, "python3", "-c", SEND, "10.0.1.20", str(size))


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    running = Groundplane(tmp_path_factory.mktemp("gp"), free_port()).up()
    yield running
    running.down()


@pytest.mark.parametrize(
    "types, who, counter",
    [
        (("m5.24xlarge", "t2.nano"), "sender", "bw_out_allowance_exceeded"),
        (("t2.nano", "m5.24xlarge"), "receiver", "bw_in_allowance_exceeded"),
    ],
)
def test_no_more_passes_than_the_type_allows_and_what_dies_is_counted(limited, types, who, counter):
    _, sender, receiver = network(limited, *types)
    limit = {"sender": sender, "receiver": receiver}[who]
    other = {"sender": receiver, "receiver": sender}[who]
    # The link to what is yet unknown: neighbours and the like.
    send(limited, sender, 1)
    before, start = received(limited, receiver), time.monotonic()
    deadline = start + 60
    while counters(limited, limit)[counter] == 0:
        assert time.monotonic() < deadline, "it never sends more than its type allows"
        send(limited, sender, 50_000_000)
    passed, seconds = received(limited, receiver) - before, time.monotonic() - start
    assert 0 < passed <= (BURST_BYTES + PEAK_BYTES * seconds) * 1.02 + 70_000
    shown = counters(limited, limit)
    assert shown[counter] > 0
    for name in ("bw_in_allowance_exceeded", "bw_out_allowance_exceeded"):
        assert counters(limited, other)[name] == 0, "the other end has plenty"
    drops = limited.status()["host"]["drops"]
    assert drops["bandwidth-out-allowance" if who == "sender" else "bandwidth-in-allowance"] > 0
    reachable, _ = limited.why(sender, receiver, "udp/9")
    assert reachable, "a trace judges rules, and not what is left of an allowance"


def test_what_is_left_outlives_the_process_and_the_switch_takes_the_limit_away(tmp_path):
    groundplane = Groundplane(tmp_path, free_port()).up()
    try:
        _, sender, receiver = network(groundplane)
        deadline = time.monotonic() + 60
        while counters(groundplane, sender)["bw_out_allowance_exceeded"] == 0:
            assert time.monotonic() < deadline
            send(groundplane, sender, 50_000_000)
        groundplane.kill()
        groundplane.up()
        before = counters(groundplane, sender)["bw_out_allowance_exceeded"]
        assert before > 0, "the kernel's counters go on"
        while counters(groundplane, sender)["bw_out_allowance_exceeded"] == before:
            assert time.monotonic() < deadline
            send(groundplane, sender, 50_000_000)
        groundplane.kill()
        groundplane.options += ["--bandwidth-limits", "off"]
        groundplane.up()
        before = counters(groundplane, sender)["bw_out_allowance_exceeded"]
        for _ in range(3):
            send(groundplane, sender, 50_000_000)
        assert counters(groundplane, sender)["bw_out_allowance_exceeded"] == before
    finally:
        groundplane.down()


def test_the_connections_of_an_instance_are_those_of_its_type(limited):
    account = limited.account()
    vpc, subnet = account.network()
    group = account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))
    small = account.run(subnet, [group], "10.0.1.30", InstanceType="t3.nano")
    large = account.run(subnet, [group], "10.0.1.40", InstanceType="m5.xlarge")
    assert counters(limited, small)["conntrack_allowance_available"] == 32_768
    assert counters(limited, large)["conntrack_allowance_available"] == 109_200
