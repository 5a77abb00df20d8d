"""Groundplane's own paths: instances made by the API, with security groups and counters as users run them."""

import copy
import glob
import json
import re
import subprocess
import tempfile
from pathlib import Path

from conftest import REGION, Groundplane, free_port, permission

from .place import Netns, client_settings, end_settings, run

# Its limits are in force, as users have them, and out of reach: 200 Gbit/s, 128 vCPUs' worth of tracked connections.
INSTANCE_TYPE = "m6in.32xlarge"
# What one ENI may have is limited, flows and new flows a second, whatever the type: many flows go by several.
ENIS = 8
RULES = 10
MTU = 1500
OUTSIDE = "198.51.100.1"
SLOW_PATH_THREAD = "gp-upcalls"
EVICTED = "flows thrown out"
# Any `ip rule` in a guest costs its own stack a look into the routing tables for each packet received: the guest's cost, not
# the path's, and what we are compared with has no rules. So guests go without, and routes say which ENI leads where.
NO_POLICY_ROUTING = {"ResourceType": "instance", "Tags": [{"Key": "groundplane:policy-routing", "Value": "off"}]}


class Host:
    """One running Groundplane, with one account."""

    def __init__(self, uplink=True):
        self.folder = tempfile.TemporaryDirectory()
        quotas = ("rules-per-security-group=1000", "security-groups-per-eni=1", "vcpus=100000", "addresses=20")
        options = [word for quota in quotas for word in ("--quota", quota)]
        way_out = [] if uplink else ["--no-uplink"]
        self.groundplane = Groundplane(self.folder.name, free_port(), "--region", REGION, *options, uplink=way_out).up()
        self.account = self.groundplane.account()
        self.make_vpc(RULES)

    def make_vpc(self, count):
        """A VPC with two subnets, and a group of so many rules for what is started in it."""
        self.ec2 = self.account.ec2
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.public = self.account.subnet(self.vpc, "10.0.0.0/20")
        self.private = self.account.subnet(self.vpc, "10.0.16.0/20")
        self.group = self.account.group(self.vpc, "bench", *rules(count))

    def another_vpc(self, count):
        """This host, seen from a VPC of its own."""
        other = copy.copy(self)
        other.make_vpc(count)
        return other

    def prioritise(self, priority):
        """The slow path is a part of the path: it runs under the same scheduler as what sends and receives; 0: as any process. Not
        the rest: what the process does in the background must not stand in the way of other paths."""
        policy = "--rr" if priority else "--other"
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            if (task / "comm").read_text().strip() == SLOW_PATH_THREAD:
                run("chrt", policy, "-p", str(priority), task.name)

    def fill(self, count):
        """So many more instances of the smallest type, with an ENI each."""
        ids = self.account.run(self.private, [self.group], MinCount=count, InstanceType="t3.nano", wait=False)
        self.account.wait(ids, "running", seconds=120)

    def instances(self, most):
        """Ids of some of those that [`Host.fill`] has started."""
        pages = self.ec2.get_paginator("describe_instances").paginate(Filters=[{"Name": "subnet-id", "Values": [self.private]}])
        found = [one["InstanceId"] for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
        return found[:most]

    def attach(self, instance):
        """A second ENI for an instance."""
        made = self.ec2.create_network_interface(SubnetId=self.private, Groups=[self.group])["NetworkInterface"]
        self.ec2.attach_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"], InstanceId=instance, DeviceIndex=1)

    @property
    def pid(self):
        return self.groundplane.process.pid

    def instance(self, name, subnet, enis=ENIS):
        """An instance with so many ENIs; its namespace, as one that `ip netns` knows."""
        interfaces = [
            {"DeviceIndex": index, "SubnetId": subnet, "Groups": [self.group]} for index in range(enis)
        ]
        answer = self.ec2.run_instances(
            ImageId=self.account.image(), InstanceType=INSTANCE_TYPE, MinCount=1, MaxCount=1, NetworkInterfaces=interfaces,
            TagSpecifications=[NO_POLICY_ROUTING],
        )  # fmt: skip
        instance = answer["Instances"][0]["InstanceId"]
        self.account.wait(instance, "running")
        guest = Guest(name, self.first_process(instance))
        interfaces = self.account.instance(instance)["NetworkInterfaces"]
        interfaces.sort(key=lambda eni: eni["Attachment"]["DeviceIndex"])
        guest.addresses = [eni["PrivateIpAddress"] for eni in interfaces]
        guest.instance = instance
        return guest

    def first_process(self, instance):
        for record in glob.glob(f"{self.groundplane.run_dir}/**/sandbox.json", recursive=True):
            if instance in record or instance in Path(record).read_text():
                return json.loads(Path(record).read_text())["pid"]
        raise RuntimeError(f"{instance} has no process")

    def memory_bytes(self):
        """Of the process alone: the tables in the kernel are the kernel's."""
        return 1024 * int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[1])

    def drops(self):
        """Packets dropped, and flows thrown out because there was no room for more."""
        host = self.groundplane.status()["host"]
        return {**host["drops"], EVICTED: host["evicted"]}

    def make_outside(self):
        """A NAT gateway in the public subnet, and the private subnet's way to it."""
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        self.route(self.public, GatewayId=gateway)
        allocation = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        made = self.ec2.create_nat_gateway(SubnetId=self.public, AllocationId=allocation)["NatGateway"]["NatGatewayId"]
        self.ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[made], WaiterConfig={"Delay": 1})
        self.route(self.private, NatGatewayId=made)

    def route(self, subnet, **target):
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)

    def down(self):
        # A thousand instances take their time.
        self.groundplane.command("down", "--purge", check=False, timeout=600)
        self.groundplane.down()
        self.folder.cleanup()


def rules(count):
    """So many ingress permissions, the last of which lets the traffic pass."""
    others = [permission("tcp", 1024 + rule % 1000, cidr=f"172.{16 + rule // 250}.{rule % 250}.0/24") for rule in range(count - 1)]
    return [*others, permission("-1", cidr="10.0.0.0/16")]


class Guest(Netns):
    """An instance's network namespace under a name of ours."""

    def __init__(self, name, pid):
        super().__init__(name)
        run("ip", "netns", "attach", name, str(pid))
        client_settings(self)
        # Guests have jumbo frames by default; the paths beside have not.
        for link in self.links():
            self.ip(f"link set {link} mtu {MTU}")
            end_settings(self, link)

    def links(self):
        links = json.loads(run("ip", "-n", self.name, "-j", "link"))
        return sorted(link["ifname"] for link in links if link["ifname"].startswith("eth"))

    def lanes(self, destinations, gateway=None):
        """A lane from each of our ENIs to the destination at its place, and the guest's way there by that ENI. Where several
        lanes have one destination, the first ENI is the guest's way."""
        lanes = []
        for link, source, destination in reversed(list(zip(self.links(), self.addresses, destinations))):
            via = f"via {gateway} onlink " if gateway else ""
            self.ip(f"route replace {destination}/32 {via}dev {link} src {source}")
            lanes.insert(0, f"{link},{source},{destination},{self.next_hop(link, destination, gateway or destination)}")
        return lanes

    def next_hop(self, link, destination, neighbour):
        """The MAC address that frames go to. One packet makes the guest ask for it; there may be no way back for an answer yet."""
        subprocess.run(["ip", "netns", "exec", self.name, "ping", "-c1", "-W0.1", destination], capture_output=True)
        shown = json.loads(run("ip", "-n", self.name, "-j", "neigh", "show", neighbour, "dev", link))
        return shown[0]["lladdr"]

    def router(self):
        """Where the first ENI's subnet has its router."""
        return json.loads(run("ip", "-n", self.name, "-j", "route", "show", "default"))[0]["gateway"]


class GroundplanePath:
    """As the paths of linux.py, over a [`Host`] that several paths share."""

    has_state, has_neighbour = True, False

    def offload(self, is_on):
        # TCP goes by the first ENI.
        self.client.offload(is_on)

    def state_bytes(self):
        return self.host.memory_bytes()

    def prioritise(self, priority):
        self.host.prioritise(priority)

    def close(self):
        for guest in self.guests:
            guest.delete()


class SameHost(GroundplanePath):
    name, title = "groundplane", f"Groundplane: two instances, group of {RULES} rules"
    has_neighbour = True

    def __init__(self, host):
        self.host = host
        self.client = host.instance(f"{self.name}-c", host.public)
        self.server = host.instance(f"{self.name}-s", host.public)
        self.guests = [self.client, self.server]
        if self.has_neighbour:
            self.neighbour = host.instance(f"{self.name}-n", host.public, enis=1)
            self.guests.append(self.neighbour)
        self.to = self.server.addresses[0]
        self.lanes = self.client.lanes(self.server.addresses)
        self.server.lanes(self.client.addresses)

    def offload(self, is_on):
        super().offload(is_on)
        self.server.offload(is_on)


class Translated(GroundplanePath):
    """The server is the machine: the namespace of the benchmark, which is the outside."""

    name, title = "groundplane-nat", "Groundplane: instance, NAT gateway, the outside"

    def __init__(self, host):
        self.host = host
        host.make_outside()
        self.client, self.server = host.instance(f"{self.name}-c", host.private), None
        self.guests = [self.client]
        self.to = OUTSIDE
        self.lanes = self.client.lanes([OUTSIDE] * ENIS, self.client.router())
        links = json.loads(run("ip", "-j", "route", "get", "198.51.100.2"))
        self.outer = links[0]["dev"]

    def offload(self, is_on):
        super().offload(is_on)
        state = "on" if is_on else "off"
        run("ethtool", "-K", self.outer, "tso", state, "gso", state)

