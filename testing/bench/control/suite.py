"""The API's speed: Groundplane beside moto_server, each with so many network interfaces.

All servers run from the first round to the last. A round goes job by job: in each, all servers that take part do the same work right after
each other. Groundplane stores durably (it answers after fsync) and waits until its host obeys; moto keeps everything in memory and
forwards nothing.

What waits for the disk varies most, from one second to the next: many short turns make a steady median. What filling the servers has left
for the disk is written before the first round.

A quick run does what gates compare, and asks moto for pages in its first round only, by fewer clients: it answers one at a time anyway,
and each takes it a second.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import gates
import results

NAME = "control"
CLIENTS = (1, 16)
SIZES = (100, 1_000, 10_000, 100_000)
# moto takes minutes for a page of the largest.
SERVERS = [("groundplane", enis) for enis in SIZES] + [("moto", enis) for enis in SIZES[:-1]]
SUBJECTS = [f"{kind}-{enis}" for kind, enis in SERVERS]
# A group's limit, with moto as with AWS.
RULES_PER_GROUP = 60
# Subnets of a VPC. As many as make the pages of each size full ones: a page of fewer interfaces would be a faster one.
SUBNETS, SUBNET_BITS, SUBNET_ROOM = 5, 19, 8_000
START_SECONDS = 120
ROUNDS, QUICK_ROUNDS = 15, 5
SECONDS, QUICK_SECONDS = 1, 0.4
# Creations and rules in a turn by many clients; a quarter by one.
WRITES, MOTO_WRITES = 1_200, 60
QUICK_MOTO_PAGERS = 2

WORKS = {"create": "CreateNetworkInterface", "by_id": "Describe by id", "page": "filtered page of 100", "authorize": "Authorize"}


@dataclass(frozen=True)
class Job:
    """One figure with its latencies: so many clients at one kind of work."""

    work: str
    clients: int

    @property
    def name(self):
        return f"{self.work}_{self.clients}"

    @property
    def metrics(self):
        return (self.name, f"{self.name}_p50", f"{self.name}_p99")

    def is_due(self, server, number, quick):
        """Whether a server takes part in a round."""
        needed = gates.needed(NAME).get(server.name)
        # What no gate needs runs because somebody has asked for it.
        if not quick or needed is None:
            return True
        if server.kind == "moto" and self.work == "page" and number:
            return False
        return not needed.isdisjoint(self.metrics)


JOBS = [Job(work, clients) for clients in CLIENTS for work in WORKS]
METRICS = {}
for job in JOBS:
    title = f"{WORKS[job.work]}, {job.clients} client{'s' if job.clients > 1 else ''}"
    METRICS[job.name] = {"unit": "calls/s", "better": "higher", "title": title}
    METRICS[f"{job.name}_p50"] = {"unit": "ms", "better": "lower", "title": f"{title}, p50"}
    METRICS[f"{job.name}_p99"] = {"unit": "ms", "better": "lower", "title": f"{title}, p99"}
METRICS["rss"] = {"unit": "MiB", "better": "lower", "title": "memory of the server"}
METRICS["start"] = {"unit": "s", "better": "lower", "title": "start with what is stored"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server with `enis` network interfaces, and what the load generator needs to know of it."""

    def __init__(self, kind, enis, directory, binaries):
        self.kind, self.enis, self.binaries = kind, enis, Path(binaries)
        self.name = f"{kind}-{enis}"
        self.directory = Path(directory) / self.name
        self.directory.mkdir()
        self.ids = self.directory / "ids"
        self.ids.touch()
        self.port = free_port()
        self.process = None
        self.subnets, self.groups = [], 0

    def command(self):
        listen = f"127.0.0.1:{self.port}"
        if self.kind == "moto":
            return [sys.executable, str(Path(__file__).with_name("moto_fills.py")), "-H", "127.0.0.1", "-p", str(self.port)]
        quotas = {"enis": 1_000_000, "vpcs": 100, "security-groups": 100_000, "network-address-units-per-vpc": 256_000}
        more = [word for name, number in quotas.items() for word in ("--quota", f"{name}={number}")]
        own = ["--name", f"bench-{self.enis}", "up", "--no-uplink", "--listen", listen, "--data-dir", str(self.directory / "data")]
        return [str(self.binaries / "groundplane"), *own, *more]

    def start(self):
        """Starts the server; gives the seconds until it answers."""
        log = (self.directory / "log").open("ab")
        begun = time.monotonic()
        # Both are moto's way to be filled.
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE} if self.kind == "moto" else {"stdin": subprocess.DEVNULL, "stdout": log}
        self.process = subprocess.Popen(self.command(), stderr=log, text=True, **pipes)
        while time.monotonic() - begun < START_SECONDS:
            if self.process.poll() is not None:
                break
            try:
                self.call("DescribeVpcs")
                return time.monotonic() - begun
            except (OSError, urllib.error.URLError):
                time.sleep(0.005)
        raise RuntimeError(f"{self.name} does not answer:\n{(self.directory / 'log').read_text()[-2000:]}")

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.process = None

    def remove(self):
        self.stop()
        if self.kind == "groundplane":
            subprocess.run([self.command()[0], "--name", f"bench-{self.enis}", "down", "--purge"], capture_output=True, timeout=60)

    def call(self, action, **parameters):
        """One call; the reply's elements by name."""
        form = urllib.parse.urlencode({"Action": action, "Version": "2016-11-15", **parameters}).encode()
        claim = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=00"
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/", form, {"authorization": claim})
        with urllib.request.urlopen(request, timeout=60) as reply:
            document = ElementTree.fromstring(reply.read())
        return {element.tag.split("}")[-1]: element.text for element in document.iter()}

    def load(self, clients, work, *arguments):
        command = [str(self.binaries / "gp-bench-control"), "--address", f"127.0.0.1:{self.port}", "--clients", str(clients), work, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
        if done.returncode:
            raise RuntimeError(f"{self.name}: {work}: {done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def lay_out(self):
        """Subnets with room for every interface."""
        vpc = self.call("CreateVpc", CidrBlock="10.0.0.0/16")["vpcId"]
        blocks = [f"10.0.{n << (24 - SUBNET_BITS)}.0/{SUBNET_BITS}" for n in range(SUBNETS)]
        while SUBNET_ROOM * len(blocks) < self.enis * 1.2:
            # Another VPC with as many: AWS lets no VPC have more than 256,000 units, nor a subnet more than a /16.
            blocks += blocks[:SUBNETS]
        for place, block in enumerate(blocks):
            if place and place % SUBNETS == 0:
                vpc = self.call("CreateVpc", CidrBlock="10.0.0.0/16")["vpcId"]
            self.subnets.append(self.call("CreateSubnet", VpcId=vpc, CidrBlock=block)["subnetId"])
        self.vpc = vpc

    def new_group(self):
        self.groups += 1
        name = f"g{self.groups}"
        return self.call("CreateSecurityGroup", GroupName=name, GroupDescription=name, VpcId=self.vpc)["groupId"]

    def fill(self):
        if self.kind == "moto":
            print(self.enis, *self.subnets, file=self.process.stdin, flush=True)
            return self.ids.write_text("\n".join(self.process.stdout.readline().split()) + "\n")
        self.load(CLIENTS[-1], "create", "--subnets", ",".join(self.subnets), "--calls", self.enis, "--ids", self.ids)

    def rss(self):
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))

    def fill_up(self, say):
        say(f"{self.name}: filling")
        self.start()
        self.lay_out()
        self.fill()

    def measure(self, job, writes, seconds, quick):
        """One turn of a job: {metric: number}. What it creates is deleted again, so that the server's size stays."""
        calls = writes if job.clients > 1 else max(writes // 4, 20)
        if job.work == "create":
            report = self.create(job.clients, calls)
        elif job.work == "authorize":
            report = self.authorize(job.clients, calls)
        elif job.work == "by_id":
            report = self.load(job.clients, "by-id", "--ids", self.ids, "--seconds", seconds)
        else:
            clients = min(job.clients, QUICK_MOTO_PAGERS) if quick and self.kind == "moto" else job.clients
            report = self.load(clients, "page", "--subnets", ",".join(self.subnets), "--seconds", seconds)
        return dict(zip(job.metrics, (report["per_second"], report["p50_ms"], report["p99_ms"]))) | {"rss": self.rss()}

    def create(self, clients, calls):
        new = self.directory / "new"
        report = self.load(clients, "create", "--subnets", ",".join(self.subnets), "--calls", calls, "--ids", new)
        self.load(CLIENTS[-1], "delete", "--ids", new)
        new.unlink()
        return report

    def authorize(self, clients, calls):
        # Into new groups, each of which gets no more rules than it may have.
        groups = [self.new_group() for _ in range(-(-calls // RULES_PER_GROUP))]
        return self.load(clients, "authorize", "--groups", ",".join(groups), "--calls", calls)


def take_round(servers, number, options):
    """Job by job, all servers that take part one right after the other, each first in turn."""
    samples, orders = {server.name: {} for server in servers}, {}
    for job in JOBS:
        due = [server for server in servers if job.is_due(server, number, options.quick)]
        if not due:
            continue
        order = results.orders(due, number + 1)[number]
        orders[job.name] = [server.name for server in order]
        for server in order:
            writes = MOTO_WRITES if server.kind == "moto" else WRITES
            samples[server.name] |= server.measure(job, writes, QUICK_SECONDS if options.quick else SECONDS, options.quick)
    return {"orders": orders, "samples": samples}


def run(options):
    chosen = options.only or (gates.needed(NAME) if options.quick else SUBJECTS)
    wanted = [server for server, subject in zip(SERVERS, SUBJECTS) if subject in chosen]
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    machine, taken = results.machine(), []
    with tempfile.TemporaryDirectory(prefix="gp-bench-") as directory:
        servers = [Server(kind, enis, directory, options.binaries) for kind, enis in wanted]
        try:
            for server in servers:
                server.fill_up(options.say)
            os.sync()
            for number in range(rounds):
                options.say(f"round {number + 1} of {rounds}")
                taken.append(take_round(servers, number, options))
            for server in (server for server in servers if server.kind == "groundplane"):
                server.stop()
                taken[-1]["samples"][server.name]["start"] = server.start()
        finally:
            for server in servers:
                server.remove()
    result = {
        "suite": NAME,
        "machine": machine,
        "settings": {"quick": options.quick, "rounds": rounds, "seconds": QUICK_SECONDS if options.quick else SECONDS, "clients": list(CLIENTS)},
        "metrics": METRICS,
        "rounds": taken,
        "notes": [
            "moto answers all matching interfaces at once, whatever MaxResults says: its pages are whole subnets.",
            "moto's interfaces were made in its memory, not by calls.",
            *([f"--quick: what gates compare; moto's pages in the first round only, by {QUICK_MOTO_PAGERS} clients."] if options.quick else []),
        ],
    }
    result["table"] = tabulate(result)
    return result


def tabulate(result):
    """As the suites do, with moto of the same size as the base."""
    whole = results.tabulate(result, None)
    for subject in whole:
        base = subject.replace("groundplane", "moto")
        if base != subject and base in whole:
            whole[subject] = results.tabulate(result, base)[subject]
    return whole


def table(result):
    subjects = list(result["table"])
    rows = [("", *subjects)]
    for metric, facts in result["metrics"].items():
        cells = (results.cell(result["table"][subject].get(metric)) for subject in subjects)
        rows.append((f"{facts['title']}, {facts['unit']}", *cells))
    return results.grid(rows)
