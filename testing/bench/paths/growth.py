"""Worlds that grow: many rules, many live ENIs. Each is a path of its own, so all of them take turns with the small one."""

from . import metrics
from .groundplane import Host, SameHost, rules

# What AWS grants one ENI at most; more rules are other groups' in the same VPC.
RULES_OF_ENI = 1000
INSTANCES_AT_ONCE = 100
SECOND_ENIS = 100


class ManyRules(SameHost):
    """A VPC of its own with so many rules, of which the ENIs have as many as AWS grants."""

    name, has_neighbour = "rules", False

    def __init__(self, host, count):
        self.title = f"Groundplane: {count:,} rules, {min(count, RULES_OF_ENI):,} of them at the ENI"
        world = host.another_vpc(min(count, RULES_OF_ENI))
        for group in range(1, count // RULES_OF_ENI):
            host.account.group(world.vpc, f"others-{group}", *rules(RULES_OF_ENI))
        super().__init__(world)


class ManyEnis(SameHost):
    """A Groundplane of its own with so many live ENIs, each an instance's; and some of these instances have a second one."""

    name, has_neighbour = "enis", False

    def __init__(self, count, say):
        self.title = f"Groundplane: {count:,} live ENIs"
        host = Host(uplink=False)
        try:
            self.memory = begin(host, count, say) | add_seconds(host)
            super().__init__(host)
        except BaseException:
            host.down()
            raise

    def close(self):
        super().close()
        self.host.down()


def begin(host, count, say):
    """Runs so many instances; what each costs with its only ENI."""
    weighed = weigh(host)
    for made in range(0, count, INSTANCES_AT_ONCE):
        host.fill(min(INSTANCES_AT_ONCE, count - made))
        say(f"{min(made + INSTANCES_AT_ONCE, count)} of {count} instances run")
    kernel, process = each(count, weighed, weigh(host))
    return {"instance_kib": kernel, "instance_process_kib": process}


def add_seconds(host):
    """Gives instances a second ENI each: what an ENI costs where an instance is already."""
    ids = host.instances(SECOND_ENIS)
    weighed = weigh(host)
    for instance in ids:
        host.attach(instance)
    kernel, process = each(len(ids), weighed, weigh(host))
    return {"eni_kib": kernel, "eni_process_kib": process}


def weigh(host):
    return metrics.kernel_bytes(), host.memory_bytes()


def each(count, before, after):
    """KiB of the kernel and of the process."""
    return [(then - once) / count / 1024 for once, then in zip(before, after)]
