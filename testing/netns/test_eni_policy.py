"""Two ENIs in one instance: which one an answer leaves by."""

import pytest
from conftest import permission
from test_eni_live import attach, new_eni
from test_packets import ping, wait_for

OPEN = permission("-1", cidr="10.0.0.0/16")
TAG = "groundplane:policy-routing"


@pytest.fixture
def two(account):
    """(instance with a second ENI 10.0.1.77 in the same subnet, client)"""
    vpc, subnet = account.network()
    group = account.group(vpc, "all", OPEN)
    instance = account.run(subnet, [group], "10.0.1.10", InstanceType="m5.large")
    client = account.run(subnet, [group], "10.0.1.20")
    eni, _ = new_eni(account, subnet, group, "10.0.1.77")
    attach(account, eni, instance)
    return instance, client, eni


def rules(account, instance, family="-4"):
    return account.groundplane.exec(instance, "ip", family, "rule").stdout


def test_each_secondary_eni_answers_for_itself(account, two):
    instance, client, eni = two
    assert ping(account, client, "10.0.1.77")
    assert "10001:\tfrom 10.0.1.77 lookup 10001" in rules(account, instance)
    table = account.groundplane.exec(instance, "ip", "route", "show", "table", "10001").stdout
    assert "default via 10.0.1.1 dev eth1" in table and "10.0.1.0/24 dev eth1" in table
    main = account.groundplane.exec(instance, "ip", "route").stdout
    assert main.count("default") == 1 and "default via 10.0.1.1 dev eth0" in main
    account.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=["10.0.1.78"])
    assert "from 10.0.1.78 lookup 10001" in rules(account, instance) and ping(account, client, "10.0.1.78")
    account.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, Ipv4Prefixes=["10.0.1.128/28"])
    assert "from 10.0.1.128/28 lookup 10001" in rules(account, instance)
    account.ec2.unassign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=["10.0.1.78"])
    assert "10.0.1.78" not in rules(account, instance)


def test_without_policy_routing_the_answer_leaves_by_the_wrong_eni_and_dies(account, two):
    instance, client, _ = two
    account.ec2.create_tags(Resources=[instance], Tags=[{"Key": TAG, "Value": "off"}])
    assert "10001" not in rules(account, instance)
    before = account.groundplane.status()["host"]["drops"].get("source-check", 0)
    assert not ping(account, client, "10.0.1.77")
    assert account.groundplane.status()["host"]["drops"]["source-check"] > before
    account.ec2.delete_tags(Resources=[instance], Tags=[{"Key": TAG}])
    assert ping(account, client, "10.0.1.77")


def test_an_instance_in_two_vpcs_with_one_block_talks_in_both(account):
    """The second VPC has the same CIDR; who is meant follows from the address that a program binds."""
    here, there = account.network(), account.network()
    groups = [account.group(vpc, "all", OPEN) for vpc, _ in (here, there)]
    instance = account.run(here[1], [groups[0]], "10.0.1.10")
    neighbours = [account.run(net[1], [group], "10.0.1.20") for net, group in zip((here, there), groups)]
    eni, _ = new_eni(account, there[1], groups[1], "10.0.1.11")
    attach(account, eni, instance)
    assert account.instance(instance)["VpcId"] == here[0]
    for neighbour, name in zip(neighbours, ("here", "there")):
        account.groundplane.exec(
            neighbour, "sh", "-c", f"mkdir /srv/w; cd /srv/w; echo {name} > n; python3 -m http.server 80 >/dev/null 2>&1 &"
        )

    def answer(source):
        command = ("curl", "-sS", "-m", "2", "--interface", source, "http://10.0.1.20/n")
        return account.groundplane.exec(instance, *command, check=False).stdout.strip()

    assert wait_for(lambda: answer("10.0.1.10") == "here")
    assert wait_for(lambda: answer("10.0.1.11") == "there")
    assert ping(account, neighbours[1], "10.0.1.11") and not ping(account, neighbours[0], "10.0.1.11")
