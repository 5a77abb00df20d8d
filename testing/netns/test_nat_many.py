"""A NAT gateway with very many connections: no two share a translated tuple, and the next beyond the limit is refused.

Source: VPC user guide, "NAT gateways" (55,000 connections to one destination for each address), "NAT gateway metrics".
The exact limit is a test of the slow path's.
"""

import json

import pytest
from internet import Network, outside, seen_by, why
from test_nat import outside_address

INSTANCES, EACH = 50, 200
# In a guest: as many connections and datagrams as asked for, each from the same port as in the other guests; nobody goes
# on before the server has had all of them at once.
MANY = """
import json, resource, socket, sys, time
name, server, each, all_of_them = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
def line(s):
    got = b""
    while not got.endswith(b"\\n"):
        more = s.recv(99)
        if not more:
            raise EOFError
        got += more
    return got.decode().split()
seen, echoed = {"tcp": {}, "udp": {}}, 0
streams = {}
for port in range(40000, 40000 + each):
    s = streams[port] = socket.socket()
    s.settimeout(30)
    s.bind(("", port))
    s.connect((server, 7))
for port, s in streams.items():
    seen["tcp"][port] = line(s)
datagrams = {}
for port in range(40000, 40000 + each):
    s = datagrams[port] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(3)
    s.bind(("", port))
    s.connect((server, 7))
for port, s in datagrams.items():
    mine = f"{name}-{port}"
    for attempt in range(5):
        try:
            s.send(mine.encode())
            *peer, said = s.recv(99).decode().split()
        except TimeoutError:
            continue
        assert said == mine, (said, mine)
        seen["udp"][port] = peer
        break
first, end = streams[40000], time.monotonic() + 100
while time.monotonic() < end:
    first.sendall(b"peak\\n")
    if int(line(first)[0]) >= all_of_them:
        break
    time.sleep(0.2)
for port, s in streams.items():
    s.sendall(f"{name}-{port}\\n".encode())
for port, s in streams.items():
    echoed += line(s) == [f"{name}-{port}"]
print(json.dumps({"seen": seen, "echoed": echoed}))
"""
# In a guest: opens connections one after the other until one isn't answered; then all others must still be alive.
FILL = """
import collections, json, socket, sys
kind, server = sys.argv[1], sys.argv[2]
opened, refused, seen = [], 0, collections.Counter()
for port in range(40000, 40040):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    s.bind(("", port))
    s.settimeout(1 if len(opened) >= 20 else 5)
    try:
        s.connect((server, 7))
        if kind == "udp":
            s.send(b"x")
        seen[s.recv(99).split()[0].decode()] += 1
    except TimeoutError:
        refused += 1
        if refused == 2:
            break
    else:
        opened.append(s)
alive = 0
for s in opened:
    s.settimeout(5)
    s.send(b"again\\n")
    alive += s.recv(99).endswith(b"again\\n")
print(json.dumps({"opened": len(opened), "refused": refused, "alive": alive, "seen": seen}))
"""


@pytest.fixture(scope="module")
def nat(groundplane):
    account = groundplane.account()
    network = Network(account)
    public, _ = network.subnet(1, ("0.0.0.0/0", network.igw))
    network.nat, network.public = network.nat_gateway(public)
    network.private, _ = network.subnet(2, ("0.0.0.0/0", network.nat))
    network.outside = outside_address(network.public)
    with outside():
        yield network
    account.reset()


def counters(network):
    return json.loads(network.groundplane.command("counters", network.nat, "--json").stdout)[0]


def test_ten_thousand_connections_of_fifty_instances_share_no_translated_tuple(nat):
    instances = nat.account.run(nat.private, [nat.open], MinCount=INSTANCES)
    running = {
        instance: nat.groundplane.popen_exec(
            instance, "python3", "-c", MANY, instance, nat.outside, str(EACH), str(INSTANCES * EACH)
        )
        for instance in instances
    }
    told = {}
    for instance, process in running.items():
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 0, output
        told[instance] = json.loads(output)
    for protocol in ("tcp", "udp"):
        seen = [tuple(peer) for one in told.values() for peer in one["seen"][protocol].values()]
        assert len(seen) == INSTANCES * EACH, f"{protocol}: not all were answered"
        assert len(set(seen)) == len(seen), f"{protocol}: a translated tuple is shared"
        assert {address for address, _ in seen} == {nat.public}
        assert all(1024 <= int(port) <= 65535 for _, port in seen)
    # While all were open, each stream has led to its own client and to no other.
    assert sum(one["echoed"] for one in told.values()) == INSTANCES * EACH
    counted = counters(nat)
    assert counted["ConnectionAttemptCount"] == counted["ConnectionEstablishedCount"] == INSTANCES * EACH, counted
    assert counted["ErrorPortAllocation"] == 0
    nat.ec2.terminate_instances(InstanceIds=instances)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_at_the_limit_the_next_is_refused_and_counted_and_the_others_live_on(nat, protocol):
    public, _ = nat.subnet({"tcp": 11, "udp": 12}[protocol], ("0.0.0.0/0", nat.igw))
    gateway, address = nat.nat_gateway(public)
    private, _ = nat.subnet({"tcp": 21, "udp": 22}[protocol], ("0.0.0.0/0", gateway))
    client, other = nat.account.run(private, [nat.open], MinCount=2)
    nat.groundplane.command("dial", gateway, "ports=25")
    told = json.loads(nat.groundplane.exec(client, "python3", "-c", FILL, protocol, nat.outside).stdout)
    assert told == {"opened": 25, "refused": 2, "alive": 25, "seen": {address: 25}}
    counted = json.loads(nat.groundplane.command("counters", gateway, "--json").stdout)[0]
    assert counted["nat_gateway"] == gateway
    assert counted["ErrorPortAllocation"] == counted["PacketsDropCount"] >= 2
    attempted = {"tcp": 25, "udp": 0}[protocol]
    assert counted["ConnectionAttemptCount"] == counted["ConnectionEstablishedCount"] == attempted
    assert "ErrorPortAllocation" in nat.groundplane.command("counters", gateway).stdout
    if protocol == "udp":
        # Nothing ends a datagram's flow but time, so the next instance finds no port either.
        assert seen_by(nat.groundplane, other, nat.outside, "udp", 1) is None
        assert why(nat.groundplane, other, nat.outside, "udp/7") == (False, "nat-port-exhausted")
        # Of the other protocol all are free.
        assert seen_by(nat.groundplane, other, nat.outside, "tcp")[0] == address
    else:
        assert seen_by(nat.groundplane, other, nat.outside, "udp")[0] == address
    nat.groundplane.command("dial", gateway, "ports=default")
    assert seen_by(nat.groundplane, other, nat.outside, protocol)[0] == address
    assert why(nat.groundplane, other, nat.outside, f"{protocol}/7") == (True, None)



def test_a_second_address_has_as_many_ports_again(nat):
    public, _ = nat.subnet(13, ("0.0.0.0/0", nat.igw))
    gateway, first = nat.nat_gateway(public)
    second, allocation = nat.elastic()
    nat.ec2.associate_nat_gateway_address(NatGatewayId=gateway, AllocationIds=[allocation])
    private, _ = nat.subnet(23, ("0.0.0.0/0", gateway))
    client = nat.account.run(private, [nat.open])
    nat.groundplane.command("dial", gateway, "ports=12")
    told = json.loads(nat.groundplane.exec(client, "python3", "-c", FILL, "tcp", nat.outside).stdout)
    assert told["opened"] == told["alive"] == 24
    assert sorted(told["seen"].values()) == [12, 12] and set(told["seen"]) == {first, second}
