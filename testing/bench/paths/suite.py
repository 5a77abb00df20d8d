"""The suite of the data paths: Groundplane beside what Linux offers, in one run."""

import time

import results

from . import growth, groundplane, linux, plan
from .metrics import MEMORY, METRICS, Meter

NAME = plan.NAME
BASE = "raw"
# Many short rounds rather than few long ones: what is compared lies seconds apart, and a median of many is steady.
ROUNDS, QUICK_ROUNDS = 7, 5
SECONDS, QUICK_SECONDS = 0.2, 0.1
RULES, QUICK_RULES = 10_000, 2_000
ENIS, QUICK_ENIS = 1_000, 100

GROWTH_METRICS = {
    "instance_kib": ("kernel memory of an instance, its ENI included", "KiB", "lower"),
    "instance_process_kib": ("Groundplane's memory for it", "KiB", "lower"),
    "eni_kib": ("kernel memory of a further ENI of an instance", "KiB", "lower"),
    "eni_process_kib": ("Groundplane's memory for it", "KiB", "lower"),
}
LINUX = {path.name: path for path in linux.PATHS}
GROUNDPLANE = {path.name: path for path in (groundplane.SameHost, groundplane.Translated)}
GROWTH = "growth"
SUBJECTS = [*LINUX, *GROUNDPLANE, GROWTH]


class Stage:
    """All paths of a run: made before the first round, removed after the last."""

    def __init__(self, options, realtime):
        self.options, self.paths, self.growth, self.hosts = options, [], [], []
        self.realtime = realtime
        self.wanted = options.only or SUBJECTS

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        for name, path in LINUX.items():
            if name in self.wanted:
                self.options.say(f"making {path.title}")
                self.paths.append(path())
        if not set(self.wanted) & {*GROUNDPLANE, GROWTH}:
            return
        host = groundplane.Host()
        self.hosts.append(host)
        for name, path in GROUNDPLANE.items():
            # What grows is compared with the small world.
            if name in self.wanted or (GROWTH in self.wanted and path is groundplane.SameHost):
                self.options.say(f"making {path.title}")
                self.paths.append(path(host))
        if GROWTH in self.wanted:
            self.make_growth(host)
        for each in {path.host.pid: path.host for path in [*self.paths, *self.growth] if hasattr(path, "host")}.values():
            if self.realtime:
                each.prioritise(self.realtime)

    def make_growth(self, host):
        quick = self.options.quick
        rules = QUICK_RULES if quick else RULES
        self.options.say(f"making a VPC with {rules} rules")
        self.growth.append(growth.ManyRules(host, rules))
        enis = QUICK_ENIS if quick else ENIS
        self.options.say(f"making {enis} live ENIs")
        self.growth.append(growth.ManyEnis(enis, self.options.say))

    def __exit__(self, *_):
        for path in [*self.paths, *self.growth]:
            path.close()
        for host in self.hosts:
            host.down()


def run(options):
    quick = options.quick
    rounds = options.rounds or (QUICK_ROUNDS if quick else ROUNDS)
    meter = Meter(str(options.binaries / "gp-bench-traffic"), QUICK_SECONDS if quick else SECONDS)
    machine = results.machine()
    began = time.monotonic()
    with Stage(options, meter.realtime) as stage:
        paths = {path.name: path for path in [*stage.paths, *stage.growth]}
        memory = weigh(meter, paths, options)
        jobs = plan.of_round(paths, quick)
        done = []
        for number in range(rounds):
            options.say(f"round {number + 1} of {rounds}")
            done.append(take_round(meter, paths, jobs, number, options))
        for name, row in memory.items():
            done[0]["samples"][name] |= row
        drops = {f"drops of {path.name}": path.host.drops() for path in paths.values() if hasattr(path, "host")}
    titles = {**METRICS, **GROWTH_METRICS}
    result = {
        "suite": NAME,
        "machine": machine,
        "settings": {"quick": quick, "rounds": rounds, "seconds": meter.seconds, "minutes": round((time.monotonic() - began) / 60, 1)},
        "subjects": {name: path.title for name, path in paths.items()},
        "metrics": {name: {"title": title, "unit": unit, "better": better} for name, (title, unit, better) in titles.items()},
        "rounds": done,
        "drops": drops,
        "notes": notes(meter, quick, drops),
    }
    result["table"] = results.tabulate(result, BASE)
    return result


def weigh(meter, paths, options):
    """Memory of flows, of instances and of ENIs, by path."""
    options.say("memory of flows")
    weighed = plan.taking_part(paths, MEMORY, options.quick)
    memory = {name: meter.measure(paths[name], MEMORY, options.say) for name in weighed}
    return memory | {path.name: path.memory for path in paths.values() if hasattr(path, "memory")}


def take_round(meter, paths, jobs, number, options):
    """Job by job, all paths that take part one right after the other, each first in turn."""
    samples, orders, all_turns = {name: {} for name in paths}, {}, {}
    for job, names in jobs:
        options.say(f"    {job.title}: {len(names)} path{'s' if len(names) > 1 else ''}")
        first = number * job.turns
        turns = enumerate(results.orders(names, first + job.turns)[first:])
        orders[job.name] = [name for turn, order in turns for name in order if turn < plan.turns(name, job)]
        taken = {name: [] for name in names}
        for name in orders[job.name]:
            taken[name].append(meter.measure(paths[name], job, options.say))
        for name, measured in taken.items():
            samples[name] |= of_turns(measured)
        all_turns[job.name] = taken
    return {"orders": orders, "samples": samples, "turns": all_turns}


def of_turns(turns):
    """{metric: figure of the round} of several turns; what one of them lacks is not measured."""
    return {metric: results.middle([turn[metric] for turn in turns]) for metric in turns[0] if all(metric in turn for turn in turns)}


def notes(meter, quick, drops):
    said = [
        "Both ends of every path are namespaces of this machine: figures are the cost of the whole path, both TCP stacks included.",
        f"MTU {groundplane.MTU} everywhere. Groundplane's instances are {groundplane.INSTANCE_TYPE}, whose limits are in force; many flows go "
        f"by {groundplane.ENIS} ENIs, since each has its budget of flows (10,000 new ones a second), one flow and all of TCP by one. Their guests "
        "have no policy routing (tag groundplane:policy-routing=off) but a route for each address of the other end, and rp_filter is off at "
        "the ends of every path: any `ip rule`, and rp_filter, cost the guest's own stack a look into the routing tables for each packet.",
        f"New flows: {meter.new_flows:,} in one flood. Overload: twice the rate of such a flood, by two senders on two CPUs, beside 10,000 "
        "packets/s of 100 established flows.",
    ]
    limited = {reason: count for of_host in drops.values() for reason, count in of_host.items() if reason.startswith("bandwidth")}
    if limited:
        said.append(f"The instance type's bandwidth was met, so Groundplane's figures are too low: {limited}.")
    evicted = {of: reasons[groundplane.EVICTED] for of, reasons in drops.items() if reasons[groundplane.EVICTED]}
    if evicted:
        said.append(f"A host's flow table was full, so packets may be lost and first packets wait: {groundplane.EVICTED} {evicted}.")
    if meter.realtime:
        said.append("What sends and receives, Groundplane's slow path included, runs under SCHED_RR, except in an overload.")
    if quick:
        said.append(f"--quick: {QUICK_SECONDS} s a sample, and little more than what gates need: judge them by the full run.")
    return said


def table(result):
    metrics = [name for name in result["metrics"] if any(name in row for row in result["table"].values())]
    subjects = [name for name in result["subjects"] if name in result["table"]]
    heading = ["", *subjects]
    rows = []
    for name in metrics:
        facts = result["metrics"][name]
        cells = [results.cell(result["table"][subject].get(name)) for subject in subjects]
        rows.append([f"{facts['title']}, {facts['unit']}", *cells])
    # Too wide for a page at once: the subjects in portions.
    portions = [list(range(1, len(heading)))[at : at + 4] for at in range(0, len(subjects), 4)]
    grids = [results.grid([[row[0], *(row[column] for column in portion)] for row in [heading, *rows]]) for portion in portions]
    legend = "\n".join(f"  {name:<16} {title}" for name, title in result["subjects"].items())
    explained = "median [min-max] ×ratio to raw, the median of the ratios within each round"
    return "\n\n".join([legend, explained, *grids])
