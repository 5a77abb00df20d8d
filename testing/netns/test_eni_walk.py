"""A random walk over ENI calls by boto3: after each step the API, the guests and the trace tell the same.

The walk's seed is printed on failure; WALK_SEED=… repeats it, WALK_STEPS=… makes it longer.
"""

import ipaddress
import json
import os
import random

import pytest
from botocore.exceptions import ClientError
from conftest import permission

STEPS = int(os.environ.get("WALK_STEPS", "60"))
# Of the type's limits: m5.large has 3 ENIs of 10 addresses.
INSTANCE_TYPE, ENIS_MAX, ADDRESSES_MAX = "m5.large", 3, 10
# Codes that a call may meet by bad luck of the draw; any other one is a finding.
REFUSALS = {
    "AttachmentLimitExceeded",
    "InsufficientCidrBlocks",
    "InvalidAttachmentID.NotFound",
    "InvalidIPAddress.InUse",
    "InvalidNetworkInterface.InUse",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "OperationNotPermitted",
    "PrivateIpAddressLimitExceeded",
}


class Walk:
    def __init__(self, account, seed):
        self.account, self.ec2, self.random = account, account.ec2, random.Random(seed)
        vpc, first = account.network()
        self.subnets = [first, account.subnet(vpc, "10.0.2.0/24", "a"), account.subnet(vpc, "10.0.3.0/24", "b")]
        all_allowed = permission("-1", cidr="10.0.0.0/16")
        self.groups = [account.group(vpc, "all", all_allowed), account.group(vpc, "none")]
        self.instances = [
            account.run(subnet, [self.groups[0]], InstanceType=INSTANCE_TYPE, name=f"walker-{n}")
            for n, subnet in enumerate((first, first, self.subnets[2]))
        ]
        self.done, self.seen = [], []
        # The instances' own, before there are others that have no instance to be ordered by.
        self.enis()

    def enis(self):
        """In the order in which they were first seen: their ids differ from run to run."""
        enis = {eni["NetworkInterfaceId"]: eni for eni in self.ec2.describe_network_interfaces()["NetworkInterfaces"]}
        by_instance = lambda id: self.instances.index(enis[id]["Attachment"]["InstanceId"])  # noqa: E731
        fresh = [id for id in enis if id not in self.seen]
        self.seen += sorted(fresh, key=by_instance) if len(fresh) > 1 else fresh
        return [enis[id] for id in self.seen if id in enis]

    def step(self):
        moves = [
            self.create, self.create, self.attach, self.attach, self.attach, self.detach, self.delete,
            self.assign, self.assign, self.unassign, self.take_over, self.prefix, self.set_groups, self.set_check,
        ]
        move = self.random.choice(moves)
        try:
            self.done.append((move.__name__, move()))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            self.done.append((move.__name__, code))
            assert code in REFUSALS, error

    def pick(self, wanted=lambda eni: True):
        enis = [eni for eni in self.enis() if wanted(eni)]
        return self.random.choice(enis) if enis else None

    def create(self):
        subnet = self.random.choice(self.subnets)
        count = self.random.choice([0, 0, 1, 3])
        options = {"SecondaryPrivateIpAddressCount": count} if count else {}
        groups = self.random.sample(self.groups, self.random.choice([1, 2]))
        return self.ec2.create_network_interface(SubnetId=subnet, Groups=groups, **options)["NetworkInterface"][
            "NetworkInterfaceId"
        ]

    def attach(self):
        eni = self.pick(lambda eni: eni["Status"] == "available") or self.pick()
        instance = self.random.choice(self.instances)
        self.ec2.attach_network_interface(
            NetworkInterfaceId=eni["NetworkInterfaceId"], InstanceId=instance, DeviceIndex=self.random.choice([1, 2, 3])
        )
        return eni["NetworkInterfaceId"], instance

    def detach(self):
        eni = self.pick(lambda eni: "Attachment" in eni)
        self.ec2.detach_network_interface(
            AttachmentId=eni["Attachment"]["AttachmentId"], Force=self.random.random() < 0.5
        )
        return eni["NetworkInterfaceId"]

    def delete(self):
        eni = self.pick()
        self.ec2.delete_network_interface(NetworkInterfaceId=eni["NetworkInterfaceId"])
        return eni["NetworkInterfaceId"]

    def assign(self):
        eni = self.pick()
        count = self.random.choice([1, 2, 8])
        self.ec2.assign_private_ip_addresses(
            NetworkInterfaceId=eni["NetworkInterfaceId"], SecondaryPrivateIpAddressCount=count
        )
        return eni["NetworkInterfaceId"], count

    def unassign(self):
        eni = self.pick(lambda eni: len(eni["PrivateIpAddresses"]) > 1) or self.pick()
        address = self.random.choice(eni["PrivateIpAddresses"])["PrivateIpAddress"]
        self.ec2.unassign_private_ip_addresses(
            NetworkInterfaceId=eni["NetworkInterfaceId"], PrivateIpAddresses=[address]
        )
        return eni["NetworkInterfaceId"], address

    def take_over(self):
        giver, taker = self.pick(lambda eni: len(eni["PrivateIpAddresses"]) > 1) or self.pick(), self.pick()
        address = giver["PrivateIpAddresses"][-1]["PrivateIpAddress"]
        self.ec2.assign_private_ip_addresses(
            NetworkInterfaceId=taker["NetworkInterfaceId"], PrivateIpAddresses=[address], AllowReassignment=True
        )
        return taker["NetworkInterfaceId"], address

    def prefix(self):
        eni = self.pick()
        self.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni["NetworkInterfaceId"], Ipv4PrefixCount=1)
        return eni["NetworkInterfaceId"]

    def set_groups(self):
        eni = self.pick()
        groups = self.random.sample(self.groups, self.random.choice([1, 2]))
        self.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni["NetworkInterfaceId"], Groups=groups)
        return eni["NetworkInterfaceId"], groups

    def set_check(self):
        eni = self.pick()
        self.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=eni["NetworkInterfaceId"], SourceDestCheck={"Value": self.random.random() < 0.8}
        )
        return eni["NetworkInterfaceId"]

    def check(self):
        enis = self.enis()
        addresses = [a["PrivateIpAddress"] for eni in enis for a in eni["PrivateIpAddresses"]]
        assert len(addresses) == len(set(addresses)), "an address is held twice"
        prefixes = [ipaddress.ip_network(p["Ipv4Prefix"]) for eni in enis for p in eni.get("Ipv4Prefixes", [])]
        assert len(prefixes) == len(set(prefixes)), "a prefix is delegated twice"
        for prefix in prefixes:
            assert not any(ipaddress.ip_address(a) in prefix for a in addresses), f"an address of {prefix} is held"
        for eni in enis:
            assert sum(a["Primary"] for a in eni["PrivateIpAddresses"]) == 1
            assert eni["Status"] == ("in-use" if "Attachment" in eni else "available")
        for instance in self.instances:
            self.check_guest(instance, [e for e in enis if e.get("Attachment", {}).get("InstanceId") == instance])

    def check_guest(self, instance, enis):
        """The instance's interfaces are what the API says."""
        assert 1 <= len(enis) <= ENIS_MAX
        shown = {f"eth{eni['Attachment']['DeviceIndex']}": eni for eni in enis}
        assert len(shown) == len(enis), "a device index is taken twice"
        links = json.loads(self.account.groundplane.exec(instance, "ip", "-j", "-4", "addr").stdout)
        guest = {link["ifname"].split("@")[0]: link for link in links if link["ifname"] != "lo"}
        assert set(guest) == set(shown)
        for name, eni in shown.items():
            slots = len(eni["PrivateIpAddresses"]) + len(eni.get("Ipv4Prefixes", []))
            assert slots <= ADDRESSES_MAX
            inside = {a["local"] for a in guest[name]["addr_info"] if a["family"] == "inet"}
            assert inside == {a["PrivateIpAddress"] for a in eni["PrivateIpAddresses"]}, name

    def check_pings(self, pairs):
        """For some pairs a ping fares as the trace says."""
        enis = [eni for eni in self.enis() if "Attachment" in eni]
        for _ in range(pairs):
            source, target = self.random.sample(enis, 2)
            if source["Attachment"]["InstanceId"] == target["Attachment"]["InstanceId"]:
                continue
            if self.answers_by_another(enis, target, source["SubnetId"]):
                continue
            address = self.random.choice(target["PrivateIpAddresses"])["PrivateIpAddress"]
            own = source["PrivateIpAddress"]
            reachable, path = self.account.groundplane.why(source["NetworkInterfaceId"], address, "icmp")
            instance = source["Attachment"]["InstanceId"]
            # A busy machine may take its time over an answer; that none comes is sure sooner.
            patience = "-W5" if reachable else "-W1"
            # The main table knows subnets of other interfaces, too: the ENI that is asked about has to be named.
            device = f"eth{source['Attachment']['DeviceIndex']}"
            answered = self.account.groundplane.exec(
                instance, "ping", "-c1", patience, "-I", device, "-I", own, address, check=False
            ).returncode
            assert (answered == 0) == reachable, f"{own} to {address}: {path}"

    def answers_by_another(self, enis, target, subnet):
        """Whether an answer to the subnet leaves by another ENI than the one that was asked, as on AWS: a primary's
        answers are routed by the main table, which knows the subnets of the instance's other interfaces."""
        instance = target["Attachment"]["InstanceId"]
        others = [e for e in enis if e["Attachment"]["InstanceId"] == instance and e is not target]
        return target["Attachment"]["DeviceIndex"] == 0 and any(e["SubnetId"] == subnet for e in others)


@pytest.mark.timeout(600)
def test_a_random_walk_leaves_api_guests_and_trace_in_step(account):
    seed = int(os.environ.get("WALK_SEED", random.randrange(10**9)))
    walk = Walk(account, seed)
    try:
        for number in range(STEPS):
            walk.step()
            walk.check()
            if number % 5 == 4:
                walk.check_pings(3)
    except BaseException as error:
        last = "\n".join(map(str, walk.done[-8:]))
        raise AssertionError(f"WALK_SEED={seed}, step {len(walk.done)}: {error}\nthe last ones:\n{last}") from error
