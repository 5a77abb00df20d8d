"""How long a service address is away while it moves between two instances, and whether the old owner hears of it again.

A client sends numbered datagrams to the address, one each millisecond; both instances answer with their name. The
address is moved again and again, (a) by AssignPrivateIpAddresses with AllowReassignment, (b) by DetachNetworkInterface
with Force and AttachNetworkInterface of the ENI that holds it. Clocks: all processes share the host's CLOCK_REALTIME;
arrival times are the kernel's (SO_TIMESTAMPNS), so a busy receiver does not move them. The calls are bare HTTP, so that
what is timed is Groundplane's; boto3 needs a millisecond or two of its own for each call on these machines.
"""

import http.client
import json
import random
import re
import time
import urllib.parse

PORT = 7000
INTERVAL_SECONDS = 0.001
# Both run as `python3 -c` inside instances.
SERVER = f"""
import json, os, socket, struct, sys, time
name, until = sys.argv[1], time.time() + float(sys.argv[2])
SO_TIMESTAMPNS = 35
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
s.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.bind(('0.0.0.0', {PORT}))
s.settimeout(0.2)
heard = []
print('ready', flush=True)
while time.time() < until:
    try:
        data, control, _, peer = s.recvmsg(64, 256)
    except TimeoutError:
        continue
    at, answer = 0, []
    for level, kind, value in control:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanos = struct.unpack('qq', value)
            at = seconds * 10**9 + nanos
        elif (level, kind) == (socket.IPPROTO_IP, 8):
            # Answer from the address that was asked, by whatever way the routes say.
            answer = [(level, kind, struct.pack('I4s4s', 0, value[4:8], bytes(4)))]
    heard.append((at, struct.unpack('!Q', data)[0]))
    try:
        s.sendmsg([data + name.encode()], answer, 0, peer)
    except OSError:
        pass  # The address has just left.
print(json.dumps(heard))
"""
CLIENT = f"""
import json, socket, struct, sys, threading, time
target, until = sys.argv[1], time.time() + float(sys.argv[2])
SO_TIMESTAMPNS = 35
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.bind(('0.0.0.0', 0))
s.settimeout(0.2)
answers = []
def listen():
    while time.time() < until + 0.5:
        try:
            data, control, _, _ = s.recvmsg(64, 256)
        except TimeoutError:
            continue
        (_, _, value), = control
        seconds, nanos = struct.unpack('qq', value)
        answers.append((seconds * 10**9 + nanos, struct.unpack('!Q', data[:8])[0], data[8:].decode()))
listener = threading.Thread(target=listen)
listener.start()
print('ready', flush=True)
sent, due = 0, time.time()
while time.time() < until:
    s.sendto(struct.pack('!Q', sent), (target, {PORT}))
    sent += 1
    due += {INTERVAL_SECONDS}
    time.sleep(max(0, due - time.time()))
listener.join()
print(json.dumps([sent, answers]))
"""


def now_ns():
    return time.time_ns()


class Http:
    """The moves by bare HTTP, on one connection."""

    def __init__(self, account):
        place = urllib.parse.urlsplit(account.groundplane.endpoint)
        self.connection = http.client.HTTPConnection(place.hostname, place.port)
        scope = f"{account.number}/20260101/{account.ec2.meta.region_name}/ec2/aws4_request"
        self.headers = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
            "Content-Type": "application/x-www-form-urlencoded",
        }

    def call(self, action, **parameters):
        form = urllib.parse.urlencode({"Action": action, "Version": "2016-11-15", **parameters})
        self.connection.request("POST", "/", form, self.headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, text
        return text

    def reassign(self, eni, address):
        parameters = {"NetworkInterfaceId": eni, "PrivateIpAddress.1": address, "AllowReassignment": "true"}
        self.call("AssignPrivateIpAddresses", **parameters)

    def detach(self, attachment):
        self.call("DetachNetworkInterface", AttachmentId=attachment, Force="true")

    def attach(self, eni, instance):
        answer = self.call("AttachNetworkInterface", NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex="1")
        return re.search("<attachmentId>(.+?)</attachmentId>", answer)[1]


class Boto3:
    """The moves as most users make them."""

    def __init__(self, account):
        self.ec2 = account.ec2

    def reassign(self, eni, address):
        self.ec2.assign_private_ip_addresses(
            NetworkInterfaceId=eni, PrivateIpAddresses=[address], AllowReassignment=True
        )

    def detach(self, attachment):
        self.ec2.detach_network_interface(AttachmentId=attachment, Force=True)

    def attach(self, eni, instance):
        answer = self.ec2.attach_network_interface(NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=1)
        return answer["AttachmentId"]


CLIENTS = {"http": Http, "boto3": Boto3}


class Stage:
    """A client and two owners-to-be in one subnet, and the service address."""

    address = "10.0.1.100"

    def __init__(self, account, permission, client="http"):
        self.account, self.ec2 = account, account.ec2
        self.client_of = CLIENTS[client]
        vpc, self.subnet = account.network()
        self.group = account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))
        # None of them may happen to have the service address.
        run = lambda number: account.run(self.subnet, [self.group], f"10.0.1.{number}", InstanceType="m5.large")  # noqa: E731
        self.client, self.a, self.b = map(run, (11, 12, 13))

    def primary(self, instance):
        return self.account.instance(instance)["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def by_reassignment(self):
        """A function that moves the secondary address to the instance that is named."""
        enis = {instance: self.primary(instance) for instance in (self.a, self.b)}
        # For each way a connection of its own: the server closes one that is idle while results are read.
        api = self.client_of(self.account)

        def move(to):
            api.reassign(enis[to], self.address)

        return move

    def by_attachment(self):
        """A function that moves the ENI to the instance that is named."""
        eni = self.ec2.create_network_interface(
            SubnetId=self.subnet, PrivateIpAddress=self.address, Groups=[self.group]
        )["NetworkInterface"]["NetworkInterfaceId"]
        attachments, api = [], self.client_of(self.account)

        def move(to):
            if attachments:
                api.detach(attachments.pop())
            attachments.append(api.attach(eni, to))

        return move


def run(stage, move, moves, pause=(0.2, 0.3)):
    """Moves the address `moves` times under the client's datagrams; the list of [`Move`]s."""
    # Moves and their pauses, on a machine that is busy with other work too.
    seconds = 5 + moves * (pause[1] + 0.15)
    groundplane = stage.account.groundplane
    owners = [stage.a, stage.b]
    move(owners[0])
    # From here on: on a busy machine it takes a while until all of them are ready.
    deadline, made = now_ns() + int((seconds - 1.5) * 1e9), []
    servers = {i: groundplane.popen_exec(i, "python3", "-c", SERVER, i, str(seconds)) for i in owners}
    client = groundplane.popen_exec(stage.client, "python3", "-c", CLIENT, stage.address, str(seconds))
    for process in (*servers.values(), client):
        assert process.stdout.readline().strip() == "ready", process.stdout.read()
    time.sleep(0.5)
    for turn in range(1, moves + 1):
        if now_ns() > deadline:
            break
        to = owners[turn % 2]
        called = now_ns()
        move(to)
        made.append((called, now_ns(), owners[1 - turn % 2], to))
        time.sleep(random.uniform(*pause))
    heard = {i: json.loads(process.communicate(timeout=seconds + 30)[0]) for i, process in servers.items()}
    sent, answers = json.loads(client.communicate(timeout=seconds + 30)[0])
    return [Move(*made[i], made[i + 1][0] if i + 1 < len(made) else deadline, heard, answers) for i in range(len(made))]


class Move:
    """One move of the address, as the client and the old owner saw it. Times in nanoseconds."""

    def __init__(self, called, returned, old, new, until, heard, answers):
        self.call_ns = returned - called
        first = min((at for at, _, name in answers if name == new and called <= at < until), default=None)
        self.outage_ns = None if first is None else first - called
        self.strays = [number for at, number in heard[old] if returned < at < until]
        answered = [number for at, number, _ in answers if called <= at < until]
        self.lost = max(answered) - min(answered) + 1 - len(set(answered)) if answered else None


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def spread(values):
    """The distribution of some figures; empty of none."""
    shares = (("min", 0), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1))
    return {name: round(percentile(values, share), 2) for name, share in shares} if values else {}


def summary(moves):
    """The distribution, as plain numbers."""
    outages = [move.outage_ns / 1e6 for move in moves if move.outage_ns is not None]
    calls = [move.call_ns / 1e6 for move in moves]
    return {
        "moves": len(moves),
        "stuck": sum(move.outage_ns is None for move in moves),
        "packets to the old owner after the call": sum(len(move.strays) for move in moves),
        "call to first answer, ms": spread(outages),
        "API call, ms": spread(calls),
        "datagrams lost": spread([move.lost for move in moves if move.lost is not None]),
    }
