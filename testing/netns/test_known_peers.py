"""Connections that the kernel begins by itself between peers it knows: they obey each change, and none is ever lost."""

import subprocess
import time

from conftest import permission
from test_packets import wait_for

# In a guest: answers each datagram to port 7 with itself, and holds every connection to port 7 and echoes on it.
SERVER = """#!/usr/bin/python3
import selectors, socket
ready = selectors.DefaultSelector()
tcp = socket.create_server(("0.0.0.0", 7), backlog=4096)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", 7))
for one in (tcp, udp):
    ready.register(one, selectors.EVENT_READ)
while True:
    for key, _ in ready.select():
        one = key.fileobj
        try:
            if one is tcp:
                ready.register(tcp.accept()[0], selectors.EVENT_READ)
            elif one is udp:
                udp.sendto(*udp.recvfrom(99))
            elif got := one.recv(99):
                one.send(got)
            else:
                ready.unregister(one)
        except OSError:
            ready.unregister(one)
"""

# In a guest: a datagram each millisecond, each from a port of its own: a port used twice could be a tracked connection.
# Says when each was sent whose answer came.
FLOOD = """
import select, socket, sys, time
open_ones, end, port = {}, time.monotonic() + float(sys.argv[1]), 10000
while (now := time.monotonic()) < end:
    s, port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), port + 1
    s.bind(("", port))
    s.connect(("10.0.1.10", 7))
    s.send(b"x")
    open_ones[s] = now
    for old in [s for s, sent in open_ones.items() if sent < now - 0.2]:
        del open_ones[old]
    for answered in select.select(list(open_ones), [], [], 0.001)[0]:
        print(open_ones.pop(answered), flush=True)
"""

# In a guest: opens connections for as long as it is told and keeps them; at each line on its input uses all of them, and
# says how many there are and how many were answered.
HOLD = """
import itertools, socket, sys, time
ports = itertools.count(10000)
def connect():
    s = socket.socket()
    s.settimeout(0.5)
    try:
        s.bind(("", next(ports)))
        s.connect(("10.0.1.10", 7))
    except OSError:
        return None
    return s
def answers(s):
    try:
        s.settimeout(5)
        s.send(b"x")
        return s.recv(9) == b"x"
    except OSError:
        return False
held, end = [], time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    if s := connect():
        held.append(s)
    time.sleep(0.004)
for line in sys.stdin:
    print(len(held), sum(map(answers, held)), bool(connect()), flush=True)
"""


def _peers(groundplane, account):
    """(client, group of the server, the rule of the server)"""
    vpc, subnet = account.network()
    group, rules = account.group(vpc, "server"), [permission(kind, 7, cidr="10.0.1.20/32") for kind in ("tcp", "udp")]
    account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules)
    server = account.run(subnet, [group], "10.0.1.10", user_data=SERVER)
    client = account.run(subnet, [account.group(vpc, "client")], "10.0.1.20")
    assert wait_for(lambda: ":7 " in groundplane.exec(server, "ss", "-ltn").stdout)
    return client, group, rules


def test_after_a_rule_is_revoked_none_begins(own_groundplane):
    account = own_groundplane.account()
    client, group, rules = _peers(own_groundplane, account)
    flood = own_groundplane.popen_exec(client, "python3", "-c", FLOOD, "6")
    closed = []
    for _ in range(10):
        time.sleep(0.25)
        account.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=rules)
        start = time.monotonic()
        time.sleep(0.25)
        closed.append((start, time.monotonic()))
        account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules)
    output, _ = flood.communicate(timeout=60)
    answered = [float(line) for line in output.split()]
    assert len(answered) > 200 and own_groundplane.status()["host"]["opened"] > 100, output
    # The clock is the machine's, which guests share.
    passed = [(sent - start, start) for sent in answered for start, end in closed if start < sent < end]
    assert not passed


def test_those_begun_while_nobody_listens_outlive_a_kill(own_groundplane):
    account = own_groundplane.account()
    client, group, rules = _peers(own_groundplane, account)
    holder = own_groundplane.popen_exec(client, "python3", "-c", HOLD, "3", stdin=subprocess.PIPE)
    time.sleep(1)
    own_groundplane.kill()
    time.sleep(1)
    own_groundplane.up()

    def use():
        holder.stdin.write("\n")
        holder.stdin.flush()
        held, answered, opens = holder.stdout.readline().split()
        return int(held), int(answered), opens == "True"

    held, answered, opens = use()
    assert held == answered and held > 100 and opens, own_groundplane.log()
    # They were allowed when they began, and so they are tracked. Others are not.
    account.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=rules)
    assert use() == (held, held, False)
    holder.stdin.close()
    assert holder.wait(timeout=30) == 0
