"""An internet made of namespaces, and a Groundplane that reaches it by a card.

```text
Groundplane ── card ═══ isp ═══ web                198.19.1.80  2001:db8:2::80
    198.19.0.128/25      ╚═ 1400 ═ edge ═══ deep   198.19.2.80  2001:db8:3::80
```

The ISP asks for public addresses by ARP; IPv6 blocks are routed to the card. Between `isp` and `edge` the MTU is 1400.
"""

import contextlib
import json
import re
import subprocess
import sys
import threading
import uuid
from pathlib import Path

from conftest import REGION, Groundplane, free_port, permission
from test_packets import wait_for

HERE = Path(__file__).parent
WEB, WEB6 = "198.19.1.80", "2001:db8:2::80"
DEEP, DEEP6 = "198.19.2.80", "2001:db8:3::80"
NARROW = 1400
OWN_POOL = "2001:db8:f00::/48"
OPEN = [permission("-1", cidr="0.0.0.0/0"), permission("-1", cidr6="::/0")]


def sh(*command, check=True, namespace=None):
    if namespace:
        command = ("ip", "netns", "exec", namespace, *command)
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if check:
        assert result.returncode == 0, f"{' '.join(command)}: {result.stdout}{result.stderr}"
    return result.stdout


@contextlib.contextmanager
def program(*command):
    """A Python program of this folder's, once it has said that it is ready; ended by its process id."""
    process = subprocess.Popen([*command], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout.readline(), f"{' '.join(command)} did not start"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def outside(namespace=None):
    """The server `outside.py`, here or in a namespace."""
    into = ["ip", "netns", "exec", namespace] if namespace else []
    return program(*into, sys.executable, str(HERE / "outside.py"))


class Internet:
    """The namespaces, their servers, and the Groundplane; or none, and an address and a default route for the machine."""

    def __init__(self, directory, host=None):
        suffix = uuid.uuid4().hex[:6]
        self.card = f"inet{suffix}"
        self.isp, self.web, self.edge, self.deep = (f"gp-{n}-{suffix}" for n in ("isp", "web", "edge", "deep"))
        self.host, self.groundplane = host, None
        if not host:
            self.groundplane = Groundplane(directory, free_port(), uplink=self.uplink(self.card))
        self.stack = contextlib.ExitStack()

    @staticmethod
    def uplink(card):
        """What leads to this internet by its card."""
        options = ["--uplink", card, "--public-pool", "198.19.0.128/25", "--region", REGION]
        options += ["--uplink-address", "198.19.0.2/24", "--uplink-gateway", "198.19.0.1"]
        options += ["--ipv6-pool", OWN_POOL]
        return [*options, "--uplink-address", "2001:db8:1::2/64", "--uplink-gateway", "2001:db8:1::1"]

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for name in (self.isp, self.web, self.edge, self.deep):
                sh("ip", "netns", "add", name)
                stack.callback(sh, "ip", "netns", "del", name, check=False)
                sh("ip", "link", "set", "lo", "up", namespace=name)
            stack.callback(sh, "ip", "link", "del", self.card, check=False)
            self.wire()
            for name in (self.web, self.deep):
                stack.enter_context(outside(name))
            if self.groundplane:
                stack.callback(self.groundplane.down)
                self.groundplane.up()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def wire(self):
        sh("ip", "link", "add", self.card, "type", "veth", "peer", "name", "card", "netns", self.isp)
        sh("ip", "link", "set", self.card, "addrgenmode", "none")
        sh("ip", "link", "set", self.card, "up")
        if self.host:
            sh("ip", "addr", "add", f"{self.host}/24", "dev", self.card)
            sh("ip", "route", "add", "default", "via", "198.19.0.1")
        self.link(self.isp, "web", self.web, "eth0")
        self.link(self.isp, "edge", self.edge, "wan", mtu=NARROW)
        self.link(self.edge, "deep", self.deep, "eth0")
        addresses = [
            (self.isp, "card", "198.19.0.1/24", "2001:db8:1::1/64"),
            (self.isp, "web", "198.19.1.1/24", "2001:db8:2::1/64"),
            (self.web, "eth0", f"{WEB}/24", f"{WEB6}/64"),
            (self.isp, "edge", "198.19.3.1/24", "2001:db8:4::1/64"),
            (self.edge, "wan", "198.19.3.2/24", "2001:db8:4::2/64"),
            (self.edge, "deep", "198.19.2.1/24", "2001:db8:3::1/64"),
            (self.deep, "eth0", f"{DEEP}/24", f"{DEEP6}/64"),
        ]
        for name, link, *both in addresses:
            for address in both:
                sh("ip", "addr", "add", address, "dev", link, "nodad", namespace=name)
            sh("ip", "link", "set", link, "up", namespace=name)
        for name in (self.isp, self.edge):
            sh("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", namespace=name)
        routes = [
            (self.isp, "198.19.2.0/24 via 198.19.3.2", "2001:db8:3::/64 via 2001:db8:4::2"),
            (self.isp, "", "3fff::/20 via 2001:db8:1::2"),
            (self.edge, "default via 198.19.3.1", "default via 2001:db8:4::1"),
            (self.web, "default via 198.19.1.1", "default via 2001:db8:2::1"),
            (self.deep, "default via 198.19.2.1", "default via 2001:db8:3::1"),
        ]
        for name, v4, v6 in routes:
            if v4:
                sh("ip", "route", "add", *v4.split(), namespace=name)
            sh("ip", "-6", "route", "add", *v6.split(), namespace=name)

    @staticmethod
    def link(name, end, other, other_end, mtu=1500):
        peer = ["type", "veth", "peer", "name", other_end, "netns", other]
        sh("ip", "-n", name, "link", "add", end, "mtu", str(mtu), *peer)
        sh("ip", "-n", other, "link", "set", other_end, "mtu", str(mtu))


class Capture:
    """Packets as `capture.py` describes them, in the order of their coming."""

    def __init__(self, process):
        self.packets, self.process = [], process
        assert process.stdout.readline().strip() == "{}", "the capture did not start"
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        with contextlib.suppress(ValueError):
            for line in self.process.stdout:
                self.packets.append(json.loads(line))

    def find(self, **wanted):
        """The packets that have all this, once there is one."""
        matches = lambda packet: all(packet.get(key) == value for key, value in wanted.items())
        found = lambda: [packet for packet in list(self.packets) if matches(packet)]
        assert wait_for(found, 10), f"no {wanted} in {self.packets[-20:]}"
        return found()


@contextlib.contextmanager
def capture(groundplane=None, instance=None, namespace=None, interface=None):
    """A [`Capture`] in a guest, in a namespace, or here."""
    if instance:
        code = (HERE / "capture.py").read_text()
        process = groundplane.popen_exec(instance, "python3", "-uc", code, *([interface] if interface else []))
    else:
        into = ["ip", "netns", "exec", namespace] if namespace else []
        command = [*into, sys.executable, str(HERE / "capture.py"), *([interface] if interface else [])]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    taken = None
    try:
        taken = Capture(process)
        yield taken
    finally:
        process.kill()
        process.wait()
        if taken:
            taken.thread.join(10)


def guest_python(groundplane, instance, code, *arguments, check=True, timeout=60):
    """A program in a guest: what it prints, or None if it fails and `check` is off."""
    result = groundplane.exec(instance, "python3", "-c", code, *map(str, arguments), check=check, timeout=timeout)
    return result.stdout.strip() if result.returncode == 0 else None


# Whom the server at an address sees: `said PROTOCOL ADDRESS [SECONDS]`.
SAID = """
import socket, sys
address, seconds = sys.argv[2], float(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM)
s.settimeout(seconds)
s.connect((address, 7))
if sys.argv[1] == "udp":
    s.send(b"x")
print(*s.recv(99).decode().split()[:2])
"""


def seen_by(groundplane, instance, address, protocol="tcp", seconds=3):
    """(address, port) of a guest as the server outside sees it; None if they don't reach each other."""
    said = guest_python(groundplane, instance, SAID, protocol, address, seconds, check=False)
    return said and tuple(said.split())


def download(groundplane, instance, address, size, *options, seconds=20):
    """(bytes that came, whom the server has seen) of an HTTP download by curl; None if it fails."""
    host = f"[{address}]" if ":" in address else address
    url = f"http://{host}/{size}"
    command = ["curl", "-sS", "-g", "-m", str(seconds), "-o", "/dev/null", "-D", "-", "-w", "got %{size_download}\n"]
    result = groundplane.exec(instance, *command, *options, url, check=False)
    if result.returncode != 0:
        return None
    got, seen = re.search(r"^got (\d+)", result.stdout, re.M), re.search(r"^Seen: (\S+)", result.stdout, re.M | re.I)
    return (int(got[1]), seen[1]) if got and seen else None


def why(groundplane, source, target, service="tcp/7"):
    """(is it reachable, the reason why not)"""
    reachable, path = groundplane.why(source, target, service)
    reasons = re.findall(r'"reason": "([a-z-]+)"', json.dumps(path))
    return reachable, reasons[0] if reasons else None


class Network:
    """A VPC with an internet gateway, in both families; subnets and routes as a test wants them."""

    def __init__(self, account, block="10.0.0.0/16", ipv6=None):
        self.account, self.ec2, self.groundplane = account, account.ec2, account.groundplane
        vpc = self.ec2.create_vpc(CidrBlock=block, **(ipv6 or {"AmazonProvidedIpv6CidrBlock": True}))["Vpc"]
        self.vpc, self.prefix = vpc["VpcId"], block.rsplit(".", 2)[0]
        described = self.ec2.describe_vpcs(VpcIds=[self.vpc])["Vpcs"][0]
        self.block6 = described["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
        self.igw = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=self.igw, VpcId=self.vpc)
        self.open = account.group(self.vpc, "open", *OPEN)

    def subnet(self, number, *routes, ipv6=True):
        """(subnet, its table): 10.0.NUMBER.0/24, with a table of its own; each route is (destination, target)."""
        block = {"Ipv6CidrBlock": self.block6.replace("00::/56", f"{number:02x}::/64")} if ipv6 else {}
        assert not ipv6 or block["Ipv6CidrBlock"].endswith("/64"), block
        made = self.ec2.create_subnet(
            VpcId=self.vpc, CidrBlock=f"{self.prefix}.{number}.0/24", AvailabilityZone=REGION + "a", **block
        )["Subnet"]["SubnetId"]
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=made)
        for destination, target in routes:
            self.ec2.create_route(RouteTableId=table, **route(destination, target))
        return made, table

    def run(self, subnet, address, *groups, ipv6=False, **options):
        if ipv6:
            options["Ipv6AddressCount"] = 1
        return self.account.run(subnet, list(groups) or [self.open], address, **options)

    def router(self, instance):
        """Switches the source/destination check off."""
        self.ec2.modify_instance_attribute(InstanceId=instance, SourceDestCheck={"Value": False})
        return self.eni(instance)

    def eni(self, instance):
        return self.account.instance(instance)["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def ipv6_of(self, instance):
        return self.account.instance(instance)["NetworkInterfaces"][0]["Ipv6Addresses"][0]["Ipv6Address"]

    def elastic(self, instance=None):
        """(public address, its allocation)"""
        made = self.ec2.allocate_address(Domain="vpc")
        if instance:
            self.ec2.associate_address(AllocationId=made["AllocationId"], InstanceId=instance)
        return made["PublicIp"], made["AllocationId"]

    def nat_gateway(self, subnet, address=None):
        """(NAT gateway, its public address). Where others in the subnet ask for an address, it must not draw one before."""
        public, allocation = self.elastic()
        options = {"PrivateIpAddress": address} if address else {}
        made = self.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation, **options)["NatGateway"]["NatGatewayId"]
        state = lambda: self.ec2.describe_nat_gateways(NatGatewayIds=[made])["NatGateways"][0]["State"]
        assert wait_for(lambda: state() == "available")
        return made, public


def route(destination, target):
    """The arguments of CreateRoute and ReplaceRoute; the target by what its id begins with."""
    kinds = {"igw": "GatewayId", "nat": "NatGatewayId", "eni": "NetworkInterfaceId"}
    kinds |= {"eigw": "EgressOnlyInternetGatewayId"}
    field = "DestinationCidrBlock" if "." in destination else "DestinationIpv6CidrBlock"
    if destination.startswith("pl-"):
        field = "DestinationPrefixListId"
    return {field: destination, kinds[target.split("-")[0]]: target}
