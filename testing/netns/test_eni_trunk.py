"""Branch ENIs: VLANs of a trunk, with addresses and groups of their own."""

from contextlib import contextmanager

import pytest
from conftest import permission, refused
from test_eni_live import attach, new_eni
from test_packets import curl, ping, wait_for
from vlan import Pod

OPEN = permission("-1", cidr="10.0.0.0/16")


def test_a_branch_is_sent_to_where_its_trunk_is_and_obeys_its_own_groups(account):
    """Frames that arrive on the trunk's link are counted there: no VLAN device is needed, which a kernel may lack."""
    vpc, subnet = account.network()
    group = account.group(vpc, "all", OPEN)
    closed = account.group(vpc, "closed")
    client = account.run(subnet, [group], "10.0.1.20")
    node = account.run(subnet, [group], "10.0.1.11", InstanceType="m5.large")
    trunk, _ = new_eni(account, subnet, group, "10.0.1.10", InterfaceType="trunk")
    attach(account, trunk, node)
    branch, _ = new_eni(account, subnet, group, "10.0.1.40", InterfaceType="branch")

    def arrived():
        before = received()
        ping(account, client, "10.0.1.40")
        return received() - before

    def received():
        return int(account.groundplane.exec(node, "cat", "/sys/class/net/eth1/statistics/rx_packets").stdout)

    assert arrived() == 0
    answer = account.ec2.associate_trunk_interface(BranchInterfaceId=branch, TrunkInterfaceId=trunk, VlanId=7)
    assert arrived() >= 1
    assert account.groundplane.why(client, "10.0.1.40", "icmp")[0]
    account.ec2.modify_network_interface_attribute(NetworkInterfaceId=branch, Groups=[closed])
    assert arrived() == 0
    account.ec2.modify_network_interface_attribute(NetworkInterfaceId=branch, Groups=[group])
    assert arrived() >= 1
    account.ec2.disassociate_trunk_interface(AssociationId=answer["InterfaceAssociation"]["AssociationId"])
    assert arrived() == 0


class Trunk:
    """A node 10.0.1.11 with a trunk 10.0.1.10, a client 10.0.1.20, and a branch 10.0.1.40 with VLAN 100 and its own group."""

    def __init__(self, account):
        self.account = account
        self.vpc, self.subnet = account.network()
        self.open = account.group(self.vpc, "all", OPEN)
        self.own = account.group(self.vpc, "branch", permission("icmp", -1, cidr="10.0.1.20/32"))
        self.client = account.run(self.subnet, [self.open], "10.0.1.20")
        self.node = account.run(self.subnet, [self.open], "10.0.1.11", InstanceType="m5.large")
        self.trunk, _ = new_eni(account, self.subnet, self.open, "10.0.1.10", InterfaceType="trunk")
        attach(account, self.trunk, self.node)
        self.branch, self.mac = new_eni(account, self.subnet, self.own, "10.0.1.40", InterfaceType="branch")
        self.association = self.associate(self.branch, 100)

    def associate(self, branch, vlan):
        answer = self.account.ec2.associate_trunk_interface(
            BranchInterfaceId=branch, TrunkInterfaceId=self.trunk, VlanId=vlan
        )
        return answer["InterfaceAssociation"]["AssociationId"]

    def disassociate(self):
        self.account.ec2.disassociate_trunk_interface(AssociationId=self.association)

    @contextmanager
    def pod(self, vlan=100, mac=None, address="10.0.1.40"):
        pod = Pod(self.account, self.node, vlan, mac or self.mac, address)
        try:
            yield pod
        finally:
            pod.close()

    def dropped(self, reason):
        return self.account.groundplane.status()["host"]["drops"].get(reason, 0)

    def why(self, source, target, service):
        return self.account.groundplane.why(source, target, service)[0]


@pytest.fixture
def trunk(account):
    return Trunk(account)


def test_a_pod_behind_a_vlan_link_talks_by_its_branch_and_obeys_the_branchs_groups(account, trunk):
    with trunk.pod() as pod:
        assert ping(account, trunk.client, "10.0.1.40"), "the branch's group lets it in"
        assert trunk.why(trunk.client, trunk.branch, "icmp")
        assert pod.pings("10.0.1.20"), "out by the branch, and the answer back in"
        assert trunk.why(trunk.branch, trunk.client, "icmp")
        assert not ping(account, trunk.node, "10.0.1.40"), "not even the node itself, which the group does not name"
        assert not trunk.why(trunk.node, trunk.branch, "icmp")

        pod.serve(80, "from-the-pod")
        assert curl(account, trunk.client, "http://10.0.1.40", 1) is None
        assert not trunk.why(trunk.client, trunk.branch, "tcp/80")
        account.ec2.authorize_security_group_ingress(
            GroupId=trunk.own, IpPermissions=[permission("tcp", 80, cidr="10.0.1.20/32")]
        )
        assert wait_for(lambda: curl(account, trunk.client, "http://10.0.1.40", 1) == "from-the-pod")
        assert trunk.why(trunk.client, trunk.branch, "tcp/80")

        account.ec2.revoke_security_group_egress(GroupId=trunk.own, IpPermissions=[permission("-1", cidr="0.0.0.0/0")])
        assert not pod.pings("10.0.1.20")
        assert not trunk.why(trunk.branch, trunk.client, "icmp")
        assert ping(account, trunk.node, "10.0.1.20"), "the trunk and the primary ENI have groups of their own"


def test_a_vlan_is_nobody_elses_and_one_without_a_branch_is_dropped_with_its_reason(account, trunk):
    other, other_mac = new_eni(account, trunk.subnet, trunk.open, "10.0.1.41", InterfaceType="branch")
    trunk.associate(other, 101)
    with trunk.pod(101, other_mac, "10.0.1.41") as pod:
        assert pod.pings("10.0.1.20") and ping(account, trunk.client, "10.0.1.41")
        assert ping(account, trunk.client, "10.0.1.10"), "untagged frames are the trunk's own"
    # The other branch's address and MAC, on a VLAN that is associated with nothing.
    with trunk.pod(102, trunk.mac, "10.0.1.40") as stray:
        before = trunk.dropped("unknown-eni")
        assert not stray.pings("10.0.1.20")
        assert trunk.dropped("unknown-eni") > before
        assert not ping(account, trunk.client, "10.0.1.40"), "what is sent to a branch has the branch's own tag"
        stray.close()
    # Another branch's address on this one's VLAN.
    with trunk.pod(100, trunk.mac, "10.0.1.42") as liar:
        before = trunk.dropped("source-check")
        assert not liar.pings("10.0.1.20")
        assert trunk.dropped("source-check") > before


def test_nothing_passes_a_branch_after_its_disassociation(account, trunk):
    with trunk.pod() as pod:
        assert ping(account, trunk.client, "10.0.1.40") and pod.pings("10.0.1.20")
        trunk.disassociate()
        assert not ping(account, trunk.client, "10.0.1.40")
        before = trunk.dropped("unknown-eni")
        assert not pod.pings("10.0.1.20")
        assert trunk.dropped("unknown-eni") > before
        assert not trunk.why(trunk.client, "10.0.1.40", "icmp")
        trunk.associate(trunk.branch, 100)
        assert ping(account, trunk.client, "10.0.1.40") and pod.pings("10.0.1.20")
        account.ec2.detach_network_interface(
            AttachmentId=account.ec2.describe_network_interfaces(NetworkInterfaceIds=[trunk.trunk])[
                "NetworkInterfaces"
            ][0]["Attachment"]["AttachmentId"]
        )
        assert not ping(account, trunk.client, "10.0.1.40"), "a branch goes where its trunk goes"
        assert not trunk.why(trunk.client, trunk.branch, "icmp")


def test_a_route_to_a_branch_is_followed_while_its_trunk_is_attached(account, trunk):
    ec2 = account.ec2
    table = ec2.create_route_table(VpcId=trunk.vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=trunk.subnet)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="172.20.0.0/16", NetworkInterfaceId=trunk.branch)
    ec2.modify_network_interface_attribute(NetworkInterfaceId=trunk.branch, SourceDestCheck={"Value": False})
    state = lambda: next(  # noqa: E731
        route["State"]
        for route in ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
        if route["DestinationCidrBlock"] == "172.20.0.0/16"
    )
    with trunk.pod() as pod:
        pod.exec("ip", "addr", "add", "172.20.0.1/32", "dev", "lo", check=True)
        assert state() == "active"
        assert ping(account, trunk.client, "172.20.0.1")
        assert trunk.why(trunk.client, "172.20.0.1", "icmp")
        trunk.disassociate()
        assert state() == "blackhole"
        assert not ping(account, trunk.client, "172.20.0.1")
        assert not trunk.why(trunk.client, "172.20.0.1", "icmp")


def test_a_branch_is_taken_over_when_its_groundplane_was_killed(own_groundplane):
    trunk = Trunk(own_groundplane.account())
    with trunk.pod() as pod:
        assert pod.pings("10.0.1.20")
        own_groundplane.kill()
        own_groundplane.up()
        assert pod.pings("10.0.1.20") and ping(trunk.account, trunk.client, "10.0.1.40")


def test_an_associated_branch_can_not_be_attached(account, groundplane, trunk):
    code, _ = refused(
        account.ec2.attach_network_interface, NetworkInterfaceId=trunk.branch, InstanceId=trunk.node, DeviceIndex=2
    )
    result = groundplane.command("attach", trunk.branch, "--netns", "/proc/self/ns/net", check=False)
    assert result.returncode != 0 and code in result.stderr, result.stderr
    described = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[trunk.branch])["NetworkInterfaces"][0]
    assert "Attachment" not in described
