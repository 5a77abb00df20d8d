"""`kill -9` of the process while flows run by gateways: they go on without it, and after its restart no translated tuple
is given twice.

Nobody waits 350 seconds here: the process is started again where the clock is that much ahead (a time namespace). Exact
times are tests of the slow path's.
"""

import contextlib
import json
import time

from internet import WEB, WEB6, seen_by, why
from loops import loop
from test_packets import wait_for

# In a guest: as many connections as asked for, from ports that others have too; says whom the server sees, and then
# again and again how many of them echo.
HOLD = """
import json, socket, sys, time
server, count = sys.argv[1], int(sys.argv[2])
held, seen = [], []
for port in range(41000, 41000 + count):
    s = socket.socket()
    s.settimeout(20)
    s.bind(("", port))
    s.connect((server, 7))
    seen.append(s.recv(99).decode().split())
    held.append(s)
print(json.dumps(seen), flush=True)
while True:
    began, echoed = time.monotonic(), 0
    for s in held:
        s.sendall(b"again\\n")
    for s in held:
        echoed += s.recv(99) == b"again\\n"
    print(began, echoed, flush=True)
    time.sleep(0.1)
"""
EACH = 60
# In a guest: a connection that is silent until the file /root/speak is there.
SILENT = """
import os, socket, sys, time
s = socket.create_connection((sys.argv[1], 7), 10)
print(*s.recv(99).decode().split(), flush=True)
while not os.path.exists("/root/speak"):
    time.sleep(0.02)
try:
    s.sendall(b"still there\\n")
    print(s.recv(99).decode().strip())
except OSError as error:
    print(type(error).__name__)
"""
IDLE = 350
# Not the time since boot: by that, processes are told apart.
AHEAD = ("unshare", "--time", "--monotonic", str(IDLE + 10))


def hold(ways, instance):
    process = ways.groundplane.popen_exec(instance, "python3", "-uc", HOLD, WEB, str(EACH))
    line = process.stdout.readline()
    assert line.startswith("[["), line + process.stdout.read()
    return process, [tuple(peer) for peer in json.loads(line)]


def restart(groundplane):
    """For the tests that follow, where this one has failed."""
    if groundplane.process.poll() is not None:
        groundplane.up()


def end(process):
    process.kill()
    process.wait()


def expect_echoes(process, moment):
    """A whole round after the moment."""
    for line in process.stdout:
        began, echoed = line.split()
        assert int(echoed) == EACH
        if float(began) > moment:
            return
    raise AssertionError("the connections are lost")


def test_flows_go_on_without_the_process_and_new_ones_share_no_tuple(ways):
    others = [ways.run(ways.private, f"10.0.2.{n}") for n in (31, 32)]
    first, first_seen = hold(ways, ways.nat_client)
    loops = [
        (ways.igw_client, "udp", WEB, ways.igw_address),
        (ways.igw_client, "tcp", WEB6, None),
        (ways.nat_client, "udp", WEB, ways.nat_address),
        (ways.nat_client, "tcp", WEB6, None),
        (ways.instance_client, "udp", WEB, ways.instance_address),
    ]
    with contextlib.ExitStack() as stack:
        stack.callback(end, first)
        running = [stack.enter_context(loop(ways.groundplane, *one[:3])) for one in loops]
        for _ in range(2):
            moment = time.monotonic()
            ways.groundplane.kill()
            stack.callback(restart, ways.groundplane)
            for one, (*_, seen) in zip(running, loops):
                one.expect_answers(moment, seen)
            expect_echoes(first, moment)
            ways.groundplane.up()
            moment = time.monotonic()
            for one, (*_, seen) in zip(running, loops):
                one.expect_answers(moment, seen)
            # All of the same ports inside, towards the same server.
            other = others.pop()
            second, second_seen = hold(ways, other)
            assert len(set(first_seen) | set(second_seen)) == len(first_seen) + EACH
            assert {address for address, _ in second_seen} == {ways.nat_address}
            expect_echoes(second, moment)
            expect_echoes(first, moment)
            first_seen += second_seen
            end(second)
            ways.ec2.terminate_instances(InstanceIds=[other])
        assert seen_by(ways.groundplane, ways.nat_client, WEB)[0] == ways.nat_address
        assert why(ways.groundplane, ways.nat_client, WEB) == (True, None)


def test_a_nat_gateway_resets_what_speaks_after_350_idle_seconds_and_no_other_way_does(ways):
    """VPC user guide, "Compare NAT gateways and NAT instances": a reset, and no FIN; metric IdleTimeoutCount."""
    timeouts = lambda: json.loads(ways.groundplane.command("counters", ways.nat, "--json").stdout)[0]["IdleTimeoutCount"]
    clients = [(ways.nat_client, WEB), (ways.igw_client, WEB), (ways.igw_client, WEB6)]
    silent = [ways.groundplane.popen_exec(client, "python3", "-c", SILENT, server) for client, server in clients]
    with contextlib.ExitStack() as stack:
        for process in silent:
            stack.callback(end, process)
            assert process.stdout.readline().strip()
        stack.callback(ways.groundplane.up)
        ways.groundplane.kill()
        ways.groundplane.up(*AHEAD)
        # And to the right time again.
        stack.callback(ways.groundplane.kill)
        assert wait_for(lambda: timeouts() > 0)
        for client in (ways.nat_client, ways.igw_client):
            ways.groundplane.exec(client, "touch", "/root/speak")
        said = [process.stdout.readline().strip() for process in silent]
        assert said == ["ConnectionResetError", "still there", "still there"]
        assert seen_by(ways.groundplane, ways.nat_client, WEB)[0] == ways.nat_address
