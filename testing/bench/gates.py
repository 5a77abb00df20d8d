"""The gates: what must hold in one run, whatever the machine.

A gate compares two things that were measured side by side in one run, so the machine's speed doesn't matter; a few are
absolute, where the promise is. `./bench --check` ends with 1 if one is missed. Raise a limit when the product got better;
never lower one to pass. SPECIFICATION.md says what each was when it was measured last.
"""

from dataclasses import dataclass
from typing import Callable, Optional

import results

# What medians of a run may miss by noise alone, for throughput and packet rates.
SLACK = 0.05

VERDICTS = MET, MISSED, NOT_MEASURED = "met", "MISSED", "not measured"


@dataclass(frozen=True)
class Measured:
    """A number of a result: which (subject, metric) pairs it is made of, and how. None where one was not measured."""

    pairs: tuple
    make: Callable[[dict], Optional[float]]

    def __call__(self, result):
        return self.make(result)


@dataclass(frozen=True)
class Gate:
    suite: str
    area: str
    # What is compared, for people.
    what: str
    value: Measured
    at_least: Optional[float] = None
    at_most: Optional[float] = None
    slack: float = 0.0

    def limit(self):
        return f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"

    def is_met(self, value):
        if self.at_least is not None:
            return value >= self.at_least * (1 - self.slack)
        return value <= self.at_most * (1 + self.slack)


def ratio(left, right):
    """The median of the ratios of two (subject, metric) paired within rounds."""
    return Measured((left, right), lambda result: results.median(results.paired(result, left, right)))


def value(subject, metric):
    """The median itself."""
    return Measured(((subject, metric),), lambda result: results.median(results.series(result, subject, metric)))


def beyond(subject, metric, base):
    """The median of what one path's figure is above another's in the same round."""

    def difference(result):
        pairs = zip(results.series(result, subject, metric), results.series(result, base, metric))
        return results.median([one - other for one, other in pairs if one is not None and other is not None])

    return Measured(((subject, metric), (base, metric)), difference)


def worst(subject, metric):
    """The largest of all rounds: for what must never happen."""

    def largest(result):
        values = [one for one in results.series(result, subject, metric) if one is not None]
        return max(values) if values else None

    return Measured(((subject, metric),), largest)


def beside(area, what, subject, metric, other, **limits):
    """A gate on one metric of two paths."""
    return Gate("paths", area, f"{what}, {subject} : {other}", ratio((subject, metric), (other, metric)), **limits)


def within(area, what, subject, metric, than, **limits):
    """A gate on two metrics of one path."""
    return Gate("paths", area, what, ratio((subject, metric), (subject, than)), **limits)


GP, NAT = "groundplane", "groundplane-nat"
BULK, LATENCY, PACKETS = "bulk TCP", "request/response", "packets per second"
CONNECTIONS, FIRST, GROWTH, TRANSLATED = "connections per second", "new UDP flows", "growth", "NAT gateway"

GATES = [
    beside(BULK, "1 stream", GP, "tcp_1", "raw", at_least=0.95, slack=SLACK),
    beside(BULK, "4 streams", GP, "tcp_4", "raw", at_least=0.95, slack=SLACK),
    beside(BULK, "1 stream", GP, "tcp_1", "nft", at_least=1.0, slack=SLACK),
    beside(BULK, "4 streams", GP, "tcp_4", "nft", at_least=1.0, slack=SLACK),
    beside(BULK, "1 stream without GSO", GP, "tcp_1_nogso", "raw", at_least=0.75, slack=SLACK),
    beside(BULK, "1 stream without GSO", GP, "tcp_1_nogso", "nft", at_least=1.3, slack=SLACK),
    beside(LATENCY, "p50 on one CPU", GP, "rr_p50", "raw", at_most=1.10),
    beside(LATENCY, "p99 on one CPU", GP, "rr_p99", "raw", at_most=1.20),
    beside(LATENCY, "p50 on one CPU", GP, "rr_p50", "nft", at_most=0.90),
    beside(PACKETS, "1 flow", GP, "pps_1", "raw", at_least=0.80, slack=SLACK),
    beside(PACKETS, "1 flow", GP, "pps_1", "nft", at_least=1.2, slack=SLACK),
    beside(PACKETS, "1 flow", GP, "pps_1", "bridge", at_least=1.0, slack=SLACK),
    beside(PACKETS, "100k flows", GP, "pps_100k", "nft", at_least=1.2, slack=SLACK),
    within(GROWTH, "packets per second, 100k flows : 1 flow", GP, "pps_100k", "pps_1", at_least=0.70, slack=SLACK),
    beside(CONNECTIONS, "1 thread", GP, "connect_1", "raw", at_least=0.72),
    beside(CONNECTIONS, "4 threads", GP, "connect_4", "raw", at_least=0.80, slack=SLACK),
    beside(CONNECTIONS, "1 thread", GP, "connect_1", "nft", at_least=0.95),
    beside(CONNECTIONS, "4 threads", GP, "connect_4", "nft", at_least=1.0, slack=SLACK),
    beside(CONNECTIONS, "1 thread, nftables with 10,000 rules", GP, "connect_1", "nft-10k", at_least=1.25),
    Gate("paths", FIRST, "delivered a second, flood", value(GP, "new_flows"), at_least=150_000),
    Gate("paths", FIRST, "flows of a flood that are lost, plain scheduling, %", worst(GP, "plain_lost"), at_most=0),
    Gate("paths", FIRST, "rate kept at twice the load", ratio((GP, "overload_new"), (GP, "plain_new")), at_least=0.90),
    Gate("paths", FIRST, "packets that established flows lose at twice the load", worst(GP, "overload_lost"), at_most=0),
    Gate("paths", FIRST, "first packet of a flow: added delay beyond raw, p50, µs", beyond(GP, "first_added_p50", "raw"), at_most=30),
    Gate("paths", FIRST, "the same, p99, µs", beyond(GP, "first_added_p99", "raw"), at_most=500),
    within(FIRST, "first packet's round trip beside a neighbour's flood at twice its budget : without, p50", GP, "neighbour_p50", "first_p50", at_most=2),
    Gate("paths", FIRST, "the same beside the flood, p99, µs", value(GP, "neighbour_p99"), at_most=1000),
    Gate("paths", "memory", "bytes of kernel memory for a flow (two entries)", value(GP, "flow_bytes"), at_most=320),
    Gate("paths", "memory", "KiB of kernel memory for a further ENI of an instance", value("enis", "eni_kib"), at_most=400),
    beside(GROWTH, "packets per second, many rules", "rules", "pps_1", GP, at_least=0.97, slack=SLACK),
    beside(GROWTH, "new flows, many rules", "rules", "new_flows", GP, at_least=0.95, slack=SLACK),
    beside(GROWTH, "first packet's round trip p50, many rules", "rules", "first_p50", GP, at_most=1.05, slack=SLACK),
    beside(GROWTH, "packets per second, many ENIs", "enis", "pps_1", GP, at_least=0.95, slack=SLACK),
    beside(GROWTH, "new flows, many ENIs", "enis", "new_flows", GP, at_least=0.95, slack=SLACK),
    beside(GROWTH, "first packet's round trip p50, many ENIs", "enis", "first_p50", GP, at_most=1.05, slack=SLACK),
    beside(TRANSLATED, "packets per second, 1 flow", NAT, "pps_1", "raw", at_least=0.75, slack=SLACK),
    beside(TRANSLATED, "packets per second, 1 flow", NAT, "pps_1", "masquerade", at_least=1.25, slack=SLACK),
    beside(TRANSLATED, "request/response p50 on one CPU", NAT, "rr_p50", "raw", at_most=1.18),
]


def beside_moto(what, metric, enis, at_least):
    return Gate("control", "API", f"{what}, {enis} ENIs, groundplane : moto", ratio((f"groundplane-{enis}", metric), (f"moto-{enis}", metric)), at_least=at_least)


def of_api(what, metric, enis=10_000, **limits):
    return Gate("control", "API", f"{what}, {enis} ENIs", value(f"groundplane-{enis}", metric), **limits)


def growing(what, metric):
    few, many = ("groundplane-1000", metric), ("groundplane-100000", metric)
    return Gate("control", "API", f"{what}, 100,000 ENIs : 1,000 ENIs", ratio(many, few), at_least=0.80, slack=SLACK)


GATES += [
    beside_moto("CreateNetworkInterface, 16 clients", "create_16", 10_000, 10),
    beside_moto("AuthorizeSecurityGroupIngress, 16 clients", "authorize_16", 10_000, 10),
    beside_moto("Describe by id, 16 clients", "by_id_16", 10_000, 50),
    beside_moto("filtered page of 100, 16 clients", "page_16", 10_000, 500),
    of_api("CreateNetworkInterface a second, 16 clients", "create_16", at_least=5_000),
    of_api("CreateNetworkInterface p50, ms", "create_16_p50", at_most=3),
    of_api("CreateNetworkInterface p99, ms", "create_16_p99", at_most=15),
    of_api("Describe by id a second", "by_id_16", at_least=10_000),
    of_api("Describe by id p50, one client, ms", "by_id_1_p50", at_most=0.5),
    of_api("Describe by id p99, one client, ms", "by_id_1_p99", at_most=3),
    of_api("filtered page a second", "page_16", at_least=1_000),
    of_api("filtered page p99, one client, ms", "page_1_p99", at_most=10),
    of_api("one rule obeyed p99, one client, ms", "authorize_1_p99", at_most=15),
    of_api("server's memory, MiB", "rss", at_most=150),
    growing("Describe by id, 16 clients", "by_id_16"),
    growing("filtered page of 100, 16 clients", "page_16"),
    of_api("CreateNetworkInterface a second, 16 clients", "create_16", 100_000, at_least=5_000),
    of_api("one rule obeyed p99, one client, ms", "authorize_1_p99", 100_000, at_most=15),
    of_api("server's memory, MiB", "rss", 100_000, at_most=600),
    of_api("start with what is stored, s", "start", 100_000, at_most=2),
]


def of_change(what, metric, number=value, **limits):
    return Gate("changes", "call to packets", what, number(GP, metric), **limits)


GATES += [
    of_change("AuthorizeSecurityGroupIngress p50, ms, beside 10,000 ENIs and 100,000 flows", "allow_p50", at_most=3),
    of_change("AuthorizeSecurityGroupIngress p99, ms", "allow_p99", at_most=15),
    of_change("RevokeSecurityGroupIngress p50, ms", "revoke_p50", at_most=3),
    of_change("RevokeSecurityGroupIngress p99, ms", "revoke_p99", at_most=15),
    of_change("packets that pass after a revocation was answered", "passed", worst, at_most=0),
    of_change("packets that are lost after a permission was answered", "lost", worst, at_most=0),
    of_change("RunInstances of 100: call to the last one's first ping answered, ms", "launch_100", at_most=1000, slack=SLACK),
    of_change("AttachNetworkInterface p50 beyond a change that is no host's, ms", "attach_beyond", at_most=3),
    of_change("ENI moved: attachment answered to first packet p50, ms", "move_p50", at_most=10),
    of_change("ENI moved: attachment answered to first packet p99, ms", "move_p99", at_most=100),
    of_change("ENI moved: packets to the instance that had it, after the answer", "move_strays", worst, at_most=0),
]


def needed(suite):
    """What the gates of a suite need: {subject: set of metrics}. Quick runs measure little more."""
    wanted = {}
    for subject, metric in (pair for gate in GATES if gate.suite == suite for pair in gate.value.pairs):
        wanted.setdefault(subject, set()).add(metric)
    return wanted


@dataclass(frozen=True)
class Judgement:
    gate: Gate
    value: Optional[float]

    @property
    def verdict(self):
        if self.value is None:
            return NOT_MEASURED
        return MET if self.gate.is_met(self.value) else MISSED


def judge(measured, gates=None):
    """Every gate of the suites that were run. `measured`: results by suite."""
    gates = GATES if gates is None else gates
    return [Judgement(gate, gate.value(measured[gate.suite])) for gate in gates if gate.suite in measured]


def table(judgements):
    heading = ("area", "what", "limit", "measured", "")
    rows = [(j.gate.area, j.gate.what, j.gate.limit(), results.number(j.value), j.verdict) for j in judgements]
    return results.grid([heading, *rows])
