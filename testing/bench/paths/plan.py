"""Which paths take part in which job. At length: nearly all in all. Quick: in what gates need, and what makes the chart readable."""

import gates

from .metrics import JOBS, MEMORY

NAME = "paths"
# What grows is compared with the small world in what growing could cost.
GROWN = ("rules", "enis")
GROWN_JOBS = ("first", "pps_1", "new")
# Gated alone: what others begin in it would fill the host's table of flows.
GATED_JOBS = ("overload",)
# What a quick run measures beside what gates need: the limit above us and what else there is, and the chart's base.
QUICK_BESIDES = {
    "raw": {"pps_100k", "new_flows"},
    "redirect": {"tcp_1", "rr_p50", "pps_1"},
    "bridge": {"tcp_1"},
    "vxlan": {"rr_p50"},
}


def wanted(name, job, quick):
    """Whether the path of this name takes part in a job, as far as it can."""
    if quick:
        return gated(name, job) or not QUICK_BESIDES.get(name, set()).isdisjoint(job.metrics)
    if job.name in GATED_JOBS:
        return gated(name, job)
    return name not in GROWN or job.name in GROWN_JOBS


def gated(name, job):
    """Whether a gate needs what the job measures of the path."""
    return not gates.needed(NAME).get(name, set()).isdisjoint(job.metrics)


def turns(name, job):
    """How often a path that takes part in a job does so in a round."""
    return job.turns if gated(name, job) else 1


def able(path, job):
    """A path without state has nothing to weigh, one without a second client no neighbour."""
    return {MEMORY.name: path.has_state, "neighbour": path.has_neighbour}.get(job.name, True)


def taking_part(paths, job, quick):
    """The names of those that take part. `paths`: by name."""
    return [name for name, path in paths.items() if wanted(name, job, quick) and able(path, job)]


def of_round(paths, quick):
    """[(job, names of the paths that take part)]"""
    parts = ((job, taking_part(paths, job, quick)) for job in JOBS)
    return [(job, names) for job, names in parts if names]
