"""What is measured of a path: each function returns {metric: number}."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

# Title, unit, which is better; in the order of the table.
METRICS = {
    "tcp_1": ("TCP, 1 stream", "Gb/s", "higher"),
    "tcp_4": ("TCP, 4 streams", "Gb/s", "higher"),
    "tcp_1_nogso": ("1 stream, no GSO", "Gb/s", "higher"),
    "tcp_4_nogso": ("4 streams, no GSO", "Gb/s", "higher"),
    "cpu_1": ("CPU, 1 stream", "ms/Gb", "lower"),
    "cpu_1_nogso": ("CPU, no GSO", "ms/Gb", "lower"),
    "rr_p50": ("request p50, one CPU", "µs", "lower"),
    "rr_p99": ("request p99, one CPU", "µs", "lower"),
    "rr_cross_p50": ("request p50, two CPUs", "µs", "lower"),
    "rr_cross_p99": ("request p99, two CPUs", "µs", "lower"),
    "connect_1": ("connects, 1 thread", "1/s", "higher"),
    "connect_4": ("connects, 4 threads", "1/s", "higher"),
    "pps_1": ("64 B, 1 flow", "1/s", "higher"),
    "pps_1k": ("64 B, 1k flows", "1/s", "higher"),
    "pps_100k": ("64 B, 100k flows", "1/s", "higher"),
    "new_flows": ("new UDP flows", "1/s", "higher"),
    "new_lost": ("of them lost", "%", "lower"),
    "plain_new": ("new UDP flows, plain scheduling", "1/s", "higher"),
    "plain_lost": ("of them lost", "%", "lower"),
    "overload_new": ("at twice that, by two senders", "1/s", "higher"),
    "overload_asked": ("of those asked for", "1/s", "higher"),
    "overload_lost": ("established packets lost", "1", "lower"),
    "first_p50": ("first packet's round trip, p50", "µs", "lower"),
    "first_p99": ("the same, p99", "µs", "lower"),
    "neighbour_p50": ("beside a neighbour's flood, p50", "µs", "lower"),
    "neighbour_p99": ("the same, p99", "µs", "lower"),
    "first_added_p50": ("first packet takes longer, p50", "µs", "lower"),
    "first_added_p99": ("the same, p99", "µs", "lower"),
    "flow_bytes": ("kernel memory of a flow", "B", "lower"),
    "flow_process_bytes": ("process memory of a flow", "B", "lower"),
}
# A host's flow table has room for half a million flows, and what all its paths begin in a round, nearly that, stays for a minute.
# Where it is full, packets are lost: that is another figure.
NEW_FLOWS = 20_000
MANY_FLOWS = 100_000
# Of several threads: as many as the CPUs have to share, each of which SCHED_RR lets run for a tenth of a second.
SHARED_CPUS_FACTOR = 2
# TCP is at full speed after some milliseconds.
WARM_UP_SECONDS = 0.05
# In a turn. Whether a CPU that idles wakes fast or slowly lasts for a good part of a second, so many short turns see more of both
# than a few long ones, and have as many packets beyond p99 together.
FIRST_PACKETS = 125
NEIGHBOURS_FIRST_PACKETS = 500
FIRST_PAUSE_MICROSECONDS = 300
# Twice what one ENI may ask for, for longer than the first packets beside it take.
FLOOD_RATE = 20_000
FLOOD_FLOWS = 15_000
FLOOD_HEAD_START_SECONDS = 0.3
# Of an overload, a CPU for each.
SENDERS = 2


@dataclass(frozen=True)
class Job:
    """What is measured at a time, of one path after the other: a function of [`Meter`] by name."""

    name: str
    metrics: tuple
    # In a round, of each path that a gate needs; their middle is the round's figure. Two runs of one path, one after the other, can
    # be a sixth apart, however long they are: the nearer a figure is to its limit, the more turns. Of a loss, which must not stray
    # unseen, two at most.
    turns: int = 1

    @property
    def title(self):
        return METRICS[self.metrics[0]][0]


# Of a round. Connections first: what is established after them stays in the tables for a while, and tables have an end.
JOBS = (
    Job("tcp_1", ("tcp_1", "cpu_1"), turns=10),
    Job("tcp_4", ("tcp_4",), turns=8),
    Job("tcp_1_nogso", ("tcp_1_nogso", "cpu_1_nogso"), turns=5),
    Job("tcp_4_nogso", ("tcp_4_nogso",), turns=2),
    Job("rr", ("rr_p50", "rr_p99"), turns=12),
    Job("rr_cross", ("rr_cross_p50", "rr_cross_p99")),
    Job("connect_1", ("connect_1",), turns=3),
    Job("connect_4", ("connect_4",), turns=2),
    Job("first", ("first_p50", "first_p99", "first_added_p50", "first_added_p99"), turns=16),
    Job("pps_1", ("pps_1",), turns=5),
    Job("pps_1k", ("pps_1k",)),
    # Before there are many flows to look after: who does so may take a CPU from the others here.
    Job("overload", ("plain_new", "plain_lost", "overload_new", "overload_asked", "overload_lost"), turns=2),
    Job("new", ("new_flows", "new_lost"), turns=4),
    Job("neighbour", ("neighbour_p50", "neighbour_p99")),
    Job("pps_100k", ("pps_100k",)),
)
# Of a run: later rounds meet flows that are there already.
MEMORY = Job("memory", ("flow_bytes", "flow_process_bytes"))


@dataclass
class Meter:
    """Runs gp-bench-traffic. Ports and flow numbers go up, so no run meets what another left in tables."""

    traffic: str
    seconds: float
    many_flows: int = MANY_FLOWS
    new_flows: int = NEW_FLOWS
    realtime: int = 10
    port: int = 40_000
    first_flow: int = 0

    def command(self, path, *mode, cpus=None, seconds=None, warm_up=WARM_UP_SECONDS, realtime=None):
        command = [self.traffic, "--to", path.to, "--seconds", str(seconds or self.seconds)]
        command += ["--warm-up-seconds", str(warm_up)]
        realtime = self.realtime if realtime is None else realtime
        command += ["--realtime", str(realtime)] if realtime else []
        for side, netns in (("client", path.client), ("server", path.server)):
            command += [f"--{side}", netns.file] if netns else []
        for side, cpu in zip(("client", "server"), cpus or ()):
            command += [f"--{side}-cpu", str(cpu)]
        return [*command, *map(str, mode)]

    def run(self, path, *mode, **options):
        done = subprocess.run(self.command(path, *mode, **options), capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f"{path.name}: {' '.join(map(str, mode))}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def fresh_ports(self, count):
        """Destination ports that no connection of this run has had."""
        self.port = 40_000 if self.port + count > 60_000 else self.port + count
        return self.port

    def fresh_flows(self, count):
        first = self.first_flow
        self.first_flow += -(-count // 10_000) * 10_000
        return first

    def bulk(self, path, streams, **options):
        return self.run(path, "bulk", "--streams", streams, "--port", self.fresh_ports(1), **options)

    def bulk_nogso(self, path, streams, **options):
        path.offload(False)
        try:
            return self.bulk(path, streams, **options)
        finally:
            path.offload(True)

    def tcp_1(self, path):
        got = self.bulk(path, 1, cpus=(0, 1))
        return {"tcp_1": got["gigabits_per_second"], "cpu_1": got["cpu_ms_per_gigabit"]}

    def tcp_4(self, path):
        return {"tcp_4": self.bulk(path, 4, seconds=SHARED_CPUS_FACTOR * self.seconds)["gigabits_per_second"]}

    def tcp_1_nogso(self, path):
        got = self.bulk_nogso(path, 1, cpus=(0, 1))
        return {"tcp_1_nogso": got["gigabits_per_second"], "cpu_1_nogso": got["cpu_ms_per_gigabit"]}

    def tcp_4_nogso(self, path):
        return {"tcp_4_nogso": self.bulk_nogso(path, 4, seconds=SHARED_CPUS_FACTOR * self.seconds)["gigabits_per_second"]}

    def requests(self, path, cpus):
        # Thousands in half the time that bulk needs. It is not the number of them that makes a figure steady: now and then all of a
        # turn take a seventh longer.
        got = self.run(path, "request", "--port", self.fresh_ports(1), cpus=cpus, seconds=self.seconds / 2)["spread"]
        return got["p50_us"], got["p99_us"]

    def rr(self, path):
        return dict(zip(("rr_p50", "rr_p99"), self.requests(path, (0, 0))))

    def rr_cross(self, path):
        return dict(zip(("rr_cross_p50", "rr_cross_p99"), self.requests(path, (0, 1))))

    def connect_1(self, path):
        got = self.run(path, "connect", "--threads", 1, "--port", self.fresh_ports(1), cpus=(0, 0))
        return {"connect_1": got["connections_per_second"]}

    def connect_4(self, path):
        got = self.run(path, "connect", "--threads", 4, "--port", self.fresh_ports(4), seconds=SHARED_CPUS_FACTOR * self.seconds)
        return {"connect_4": got["connections_per_second"]}

    def packets(self, path, flows):
        lanes = self.lanes(path)
        return self.run(path, "established", "--flows", flows, *lanes, cpus=(0, 1))["packets_per_second"]

    def pps_1(self, path):
        return {"pps_1": self.packets(path, 1)}

    def pps_1k(self, path):
        return {"pps_1k": self.packets(path, 1000)}

    def pps_100k(self, path):
        return {"pps_100k": self.packets(path, self.many_flows)}

    def new(self, path):
        flood = self.flood(path, "new", self.new_flows, cpus=(0, 1))
        return {"new_flows": flood["flows_per_second"], "new_lost": 100 * flood["lost"] / self.new_flows}

    def overload(self, path):
        """Twice the rate that the path has just delivered, for as long as that took, by a sender for each CPU. All are scheduled as
        any process: in SCHED_RR what sends and what receives would keep the slow path waiting for a tenth of a second at times."""
        path.prioritise(0)
        try:
            before = self.flood(path, "new", self.new_flows, cpus=(0, 1), realtime=0)
            rate = max(1000, int(before["flows_per_second"]))
            options = ("--rate", 2 * rate, "--senders", SENDERS)
            over = self.flood(path, "overload", 2 * self.new_flows, *options, seconds=self.new_flows / rate, realtime=0)
        finally:
            path.prioritise(self.realtime)
        return {
            "plain_new": before["flows_per_second"],
            "plain_lost": 100 * before["lost"] / self.new_flows,
            "overload_new": over["new_per_second"],
            "overload_asked": over["new_offered_per_second"],
            "overload_lost": over["established_lost"],
        }

    def flood(self, path, mode, count, *options, **how):
        """Sends so many flows that nobody has seen."""
        return self.run(path, mode, "--first-flow", self.fresh_flows(count), "--count", count, *options, *self.lanes(path), **how)

    def first_packets(self, path, count, **options):
        options_of_first = ("--count", count, "--pause-microseconds", FIRST_PAUSE_MICROSECONDS)
        return self.run(path, "first", *options_of_first, "--port", self.fresh_ports(1), **options)

    def first(self, path):
        got = self.first_packets(path, FIRST_PACKETS, cpus=(0, 1))
        if not got["added"]:
            return {}
        answer = {"first_p50": got["first"]["p50_us"], "first_p99": got["first"]["p99_us"]}
        return answer | {"first_added_p50": got["added"]["p50_us"], "first_added_p99": got["added"]["p99_us"]}

    def neighbour(self, path):
        """First packets of one client while another one asks for more new flows than it may."""
        options = ["--first-flow", self.fresh_flows(FLOOD_FLOWS), "--count", FLOOD_FLOWS, "--rate", FLOOD_RATE, *self.lanes(path)[:2]]
        # Without a warm-up, which would take most of its head start.
        flood = subprocess.Popen(self.command(path, "new", *options, warm_up=0), stdout=subprocess.DEVNULL)
        try:
            time.sleep(FLOOD_HEAD_START_SECONDS)
            beside = SimpleNamespace(name=path.name, to=path.to, client=path.neighbour, server=path.server)
            got = self.first_packets(beside, NEIGHBOURS_FIRST_PACKETS)["first"]
        finally:
            flood.wait(timeout=60)
        return {"neighbour_p50": got["p50_us"], "neighbour_p99": got["p99_us"]} if got else {}

    def memory(self, path):
        """Kernel and process memory that the first many flows take."""
        self.packets(path, 1)
        kernel, process = kernel_bytes(), path.state_bytes()
        self.packets(path, self.many_flows)
        kernel, process = kernel_bytes() - kernel, path.state_bytes() - process
        return {"flow_bytes": kernel / self.many_flows, "flow_process_bytes": process / self.many_flows}

    def lanes(self, path):
        return [word for lane in path.lanes for word in ("--lane", lane)]

    def measure(self, path, job, say):
        """One job of a path. One that fails costs its own figures and no others: the table shows what is missing."""
        try:
            return getattr(self, job.name)(path)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            say(f"{path.name}, {job.name}: {error}")
            return {}


def kernel_bytes():
    """Memory that the kernel has taken for its own objects and can't give back (proc(5), meminfo). Elements of BPF maps are
    among them. What is kept only until somebody needs the room, names and inodes of files that were looked at, is let go
    first: that is the whole machine's and says nothing. Stacks of threads are a part of VmallocUsed (CONFIG_VMAP_STACK)."""
    for _ in range(2):
        Path("/proc/sys/vm/drop_caches").write_text("2")
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    kib = lambda name: int(fields[name].split()[0])  # noqa: E731
    return 1024 * (kib("Slab") + kib("Percpu") + kib("PageTables") + kib("VmallocUsed"))
