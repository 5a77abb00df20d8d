"""Branch ENIs: VLANs of a trunk, with addresses and groups of their own."""

from conftest import permission
from test_eni_live import attach, new_eni
from test_packets import ping

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
