"""Worlds that grow: many rules, many live ENIs. Each is a path of its own, so all of them take turns with the small one."""

from . import metrics
from .groundplane import Host, SameHost, rules

# What AWS grants one ENI at most; more rules are other groups' in the same VPC.
RULES_OF_ENI = 1000
INSTANCES_AT_ONCE = 100


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
    """A Groundplane of its own with so many live ENIs, each an instance's."""

    name, has_neighbour = "enis", False

    def __init__(self, count, say):
        self.title = f"Groundplane: {count:,} live ENIs"
        host = Host(uplink=False)
        try:
            kernel, process = metrics.kernel_bytes(), host.memory_bytes()
            for made in range(0, count, INSTANCES_AT_ONCE):
                host.fill(min(INSTANCES_AT_ONCE, count - made))
                say(f"{made + INSTANCES_AT_ONCE} of {count} instances run")
            kernel, process = metrics.kernel_bytes() - kernel, host.memory_bytes() - process
            self.memory = {"eni_kib": kernel / count / 1024, "eni_process_kib": process / count / 1024}
            super().__init__(host)
        except BaseException:
            host.down()
            raise

    def close(self):
        super().close()
        self.host.down()
