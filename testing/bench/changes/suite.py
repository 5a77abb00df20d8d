"""From a call to the packets: how long until instances that are run answer, an ENI is another instance's and a rule is obeyed.

Everything is in one Groundplane with as many ENIs and live flows as said. Calls are bare HTTP, as in `failover.py`. What comes before an
answer is the call's; what comes after it is a promise: a packet that disobeys then is counted, and there must be none.
"""

import contextlib
import json
import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import failover
import results
from conftest import REGION, Groundplane, free_port, permission
from paths import groundplane as paths_groundplane
from paths.metrics import Meter, kernel_bytes

from . import probes

NAME = "changes"
JOBS = ("launch", "attach", "move", "rules")
SUBJECTS = list(JOBS)
ROUNDS, QUICK_ROUNDS = 5, 2
# Of a round.
LAUNCHES, ATTACHES, RULES, MOVES, QUICK_MOVES = 10, 40, 60, 30, 15
TOGETHER = 100
ENIS, FLOWS = 10_000, 100_000
CLIENTS = 4
PORT = 7000
# Between two changes of a rule, and of an ENI's place.
PAUSE_SECONDS = 0.03
MOVE_PAUSE_SECONDS = (0.05, 0.1)
# How long a new flow's first packet may wait for its upcall on a busy machine.
IN_FLIGHT_NS = 20_000_000

TITLES = {
    "launch_1": ("RunInstances of 1: call to its first ping answered", "ms"),
    "launch_100": (f"RunInstances of {TOGETHER}: call to the last one's first ping answered", "ms"),
    "sandbox_kib": (f"memory of an instance, of {TOGETHER}: kernel, its processes and ours", "KiB"),
    "attach": ("AttachNetworkInterface, one client", "ms"),
    "attach_beyond": ("the same, beyond a change that the host need not obey", "ms"),
    "move": ("ENI moved: AttachNetworkInterface answered to its first packet at the new instance", "ms"),
    "move_call": ("ENI moved: detachment called to its first packet at the new instance", "ms"),
    "move_strays": ("ENI moved: packets to the instance that had it, after the answer", "1"),
    "allow": ("AuthorizeSecurityGroupIngress, one client", "ms"),
    "revoke": ("RevokeSecurityGroupIngress, one client", "ms"),
    "passed": ("packets that left after the revocation was answered and arrived", "1"),
    "lost": ("packets that left after the permission was answered and did not", "1"),
    "enis": ("ENIs in the VPC", "1"),
    "flows": ("live flows on the host", "1"),
}
SPREAD = ("launch_1", "attach", "move", "move_call", "allow", "revoke")


def metrics():
    made = {}
    for name, (title, unit) in TITLES.items():
        shares = ("_p50", "_p99") if name in SPREAD else ("",)
        for share in shares:
            made[name + share] = {"title": title + share.replace("_", ", "), "unit": unit, "better": "lower"}
    return made


METRICS = metrics()


def spread(name, values):
    return {f"{name}_p50": failover.percentile(values, 0.5), f"{name}_p99": failover.percentile(values, 0.99)} if values else {}


class Api(failover.Http):
    """Bare HTTP that also says how long a call took, in milliseconds."""

    def timed(self, action, **parameters):
        begun = time.monotonic()
        text = self.call(action, **parameters)
        return text, 1000 * (time.monotonic() - begun)


class Stage:
    """One Groundplane with a VPC, and two instances that talk to each other."""

    def __init__(self, options):
        self.options = options
        self.folder = tempfile.TemporaryDirectory()
        self.guests = []
        quotas = {"vcpus": 100_000, "enis": 100_000, "network-address-units-per-vpc": 256_000, "security-groups-per-eni": 2}
        quotas = [word for name, number in quotas.items() for word in ("--quota", f"{name}={number}")]
        self.groundplane = Groundplane(self.folder.name, free_port(), "--region", REGION, *quotas).up()
        try:
            self.make()
        except BaseException:
            self.close()
            raise

    def make(self):
        self.account = self.groundplane.account()
        self.ec2 = self.account.ec2
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnet = self.account.subnet(self.vpc, "10.0.0.0/18")
        self.group = self.account.group(self.vpc, "all", permission("-1", cidr="10.0.0.0/16"))
        self.client, self.server = self.account.run(self.subnet, [self.group], MinCount=2, InstanceType="m5.large")

    @property
    def pid(self):
        return self.groundplane.process.pid

    def fill(self):
        """ENIs that are nobody's, and flows of two instances of their own."""
        self.options.say(f"{ENIS} ENIs and {FLOWS} flows")
        with ThreadPoolExecutor(CLIENTS) as pool:
            for made in [pool.submit(self.make_enis, ENIS // CLIENTS) for _ in range(CLIENTS)]:
                made.result()
        host = SimpleNamespace(account=self.account, ec2=self.ec2, group=self.group, groundplane=self.groundplane)
        host.first_process = lambda instance: paths_groundplane.Host.first_process(host, instance)
        one, other = (paths_groundplane.Host.instance(host, f"changes-{name}", self.subnet) for name in "cs")
        self.guests += [one, other]
        path = SimpleNamespace(name=NAME, client=one, server=other, to=other.addresses[0], lanes=one.lanes(other.addresses))
        other.lanes(one.addresses)
        meter = Meter(str(self.options.binaries / "gp-bench-traffic"), 1.0)
        meter.packets(path, FLOWS)

    def make_enis(self, count):
        api = Api(self.account)
        for _ in range(count):
            api.call("CreateNetworkInterface", SubnetId=self.subnet)

    def facts(self):
        """What there is beside what is measured."""
        enis = self.ec2.get_paginator("describe_network_interfaces").paginate(
            Filters=[{"Name": "vpc-id", "Values": [self.vpc]}], PaginationConfig={"PageSize": 1000}
        )
        count = sum(len(page["NetworkInterfaces"]) for page in enis)
        return {"enis": count, "flows": self.groundplane.status()["host"]["flows"]}

    @contextlib.contextmanager
    def probe(self, instance, code, *arguments):
        """A process of ours in an instance, which is ready."""
        process = self.groundplane.popen_exec(instance, "python3", "-c", code, *map(str, arguments), stdin=subprocess.PIPE)
        try:
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError(f"a probe in {instance}: {process.stdout.read()}")
            yield process
        finally:
            process.kill()
            process.wait()

    def close(self):
        for guest in self.guests:
            guest.delete()
        self.groundplane.down()
        self.folder.cleanup()


def ask(process, text):
    process.stdin.write(text + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer.startswith(("[", "{")):
        raise RuntimeError(f"a probe says {answer}{process.stdout.read()}")
    return json.loads(answer)


def launch(stage):
    """Instances that are run by one at a time, then by a hundred."""
    with stage.probe(stage.client, probes.PINGER) as pinger:
        single = []
        for _ in range(LAUNCHES):
            ids, took = run_and_ping(stage, pinger, 1, 0.001)
            single.append(took)
            terminate(stage, ids)
        before = memory(stage)
        ids, took = run_and_ping(stage, pinger, TOGETHER, 0.02)
        used = memory(stage) - before
        terminate(stage, ids)
    return spread("launch_1", single) | {"launch_100": took, "sandbox_kib": used / TOGETHER / 1024}


def run_and_ping(stage, pinger, count, pause):
    """(ids, milliseconds from the call until the last of them has answered)"""
    begun = time.time_ns()
    answer = stage.ec2.run_instances(
        ImageId=stage.image, SubnetId=stage.subnet, SecurityGroupIds=[stage.group], InstanceType="t3.nano", MinCount=count, MaxCount=count
    )["Instances"]
    addresses = [instance["PrivateIpAddress"] for instance in answer]
    answered = ask(pinger, json.dumps([pause, *addresses]))
    if set(answered) != set(addresses):
        raise RuntimeError(f"{len(addresses) - len(answered)} of {count} instances do not answer")
    return [instance["InstanceId"] for instance in answer], (max(answered.values()) - begun) / 1e6


def terminate(stage, ids):
    stage.ec2.terminate_instances(InstanceIds=ids)
    stage.account.wait(ids, "terminated")


def memory(stage):
    """Bytes that the kernel, Groundplane and the processes inside instances have."""
    own = os.readlink("/proc/self/ns/pid")
    total = kernel_bytes()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, StopIteration):
            if process.name == str(stage.pid) or os.readlink(process / "ns/pid") != own:
                lines = (process / "smaps_rollup").read_text().splitlines()
                total += next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def attach(stage):
    """An ENI that comes and goes, and what of that is the host's part."""
    api = Api(stage.account)
    eni = stage.ec2.create_network_interface(SubnetId=stage.subnet, Groups=[stage.group])["NetworkInterface"]["NetworkInterfaceId"]
    took, elsewhere = [], []
    for number in range(ATTACHES):
        text, milliseconds = api.timed("AttachNetworkInterface", NetworkInterfaceId=eni, InstanceId=stage.server, DeviceIndex="1")
        took.append(milliseconds)
        api.detach(text.split("<attachmentId>")[1].split("<")[0])
        described = {"NetworkInterfaceId": eni, "Description.Value": f"d{number}"}
        elsewhere.append(api.timed("ModifyNetworkInterfaceAttribute", **described)[1])
    stage.ec2.delete_network_interface(NetworkInterfaceId=eni)
    beyond = failover.percentile(took, 0.5) - failover.percentile(elsewhere, 0.5)
    return spread("attach", took) | {"attach_beyond": beyond}


def move(stage):
    """An ENI under a client's datagrams, from one instance to the other and back; see failover.py."""
    mover = failover.Stage(stage.groundplane.account(), permission)
    moves = failover.run(mover, mover.by_attachment(), QUICK_MOVES if stage.options.quick else MOVES, MOVE_PAUSE_SECONDS)
    mover.account.reset()
    came = [one for one in moves if one.outage_ns is not None]
    if len(came) < len(moves):
        raise RuntimeError(f"{len(moves) - len(came)} of {len(moves)} moves are stuck")
    figures = spread("move", [max(0, one.outage_ns - one.call_ns) / 1e6 for one in came])
    figures |= spread("move_call", [one.outage_ns / 1e6 for one in came])
    return figures | {"move_strays": sum(len(one.strays) for one in moves)}


def rules(stage):
    """A rule that comes and goes under datagrams each of which is a new flow."""
    group = stage.account.group(stage.vpc, f"rules-{time.time_ns()}")
    target, sender = stage.account.run(stage.subnet, [group], MinCount=2, InstanceType="m5.large")
    api = Api(stage.account)
    rule = {"GroupId": group, "IpProtocol": "udp", "FromPort": str(PORT), "ToPort": str(PORT), "CidrIp": "10.0.0.0/16"}
    calls = {"AuthorizeSecurityGroupIngress": [], "RevokeSecurityGroupIngress": []}
    address = stage.account.instance(target)["PrivateIpAddress"]
    with stage.probe(target, probes.RECEIVER, PORT) as receiver, stage.probe(sender, probes.SENDER, address, PORT) as sending:
        deadline = time.monotonic() + probes.SENDER_SECONDS * 0.8
        for _ in range(RULES):
            for action, made in calls.items():
                called = time.time_ns()
                api.call(action, **rule)
                made.append((called, time.time_ns()))
                time.sleep(PAUSE_SECONDS)
            if time.monotonic() > deadline:
                break
        sent, heard = ask(sending, ""), dict(ask(receiver, ""))
    terminate(stage, [target, sender])
    allows, revokes = calls.values()
    took = lambda made: [(answered - called) / 1e6 for called, answered in made]  # noqa: E731
    return spread("allow", took(allows)) | spread("revoke", took(revokes)) | disobeying(allows, revokes, sent, heard)


def disobeying(allows, revokes, sent, heard):
    """How many datagrams left after a revocation was answered and arrived before the next permission was asked for, and how many left
    after a permission was answered and never arrived. `sent`: when each left, by number; `heard`: {number: when it arrived}."""
    next_allows = [called for called, _ in allows[1:]] + [max(sent) + 1]
    denied = [(answered, called) for (_, answered), called in zip(revokes, next_allows)]
    # What leaves just before the revocation is called may meet either.
    allowed = [(answered, called - IN_FLIGHT_NS) for (_, answered), (called, _) in zip(allows, revokes)]
    passed = sum(start < sent[number] and at < end for number, at in heard.items() for start, end in denied)
    lost = sum(number not in heard and start < at < end for number, at in enumerate(sent) for start, end in allowed)
    return {"passed": passed, "lost": lost}


def run(options):
    chosen = [job for job in JOBS if job in (options.only or JOBS)]
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    machine, taken = results.machine(), []
    with contextlib.closing(Stage(options)) as stage:
        stage.image = stage.account.image()
        stage.fill()
        facts = stage.facts()
        for number in range(rounds):
            order = results.orders(chosen, number + 1)[number]
            samples = {}
            for job in order:
                options.say(f"round {number + 1} of {rounds}: {job}")
                samples |= globals()[job](stage)
            taken.append({"orders": {NAME: order}, "samples": {"groundplane": samples | facts}})
    result = {
        "suite": NAME,
        "machine": machine,
        "settings": {"quick": options.quick, "rounds": rounds, "enis": ENIS, "flows": FLOWS},
        "metrics": METRICS,
        "rounds": taken,
        "notes": ["Instances are sandboxes. `move` is exact to the millisecond that lies between two datagrams."],
    }
    result["table"] = results.tabulate(result, None)
    return result


def table(result):
    row = result["table"]["groundplane"]
    rows = [("", "groundplane")]
    rows += [(f"{facts['title']}, {facts['unit']}", results.cell(row[name])) for name, facts in result["metrics"].items() if name in row]
    return results.grid(rows)
