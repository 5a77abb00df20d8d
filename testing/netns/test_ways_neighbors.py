"""IPv6 blocks that a card's network has on the link: it asks for their addresses by neighbour discovery.

Source: RFC 4861, 7.2.8 (proxies), 7.2.3 and RFC 4862, 5.4 (who looks for duplicates is answered).
"""

import contextlib
import time

import pytest
from internet import OWN_POOL, WEB6, Network, sh
from loops import after, loop
from test_packets import wait_for


@pytest.fixture(scope="module")
def world(internet):
    """An instance by an internet gateway, in a VPC whose block the ISP has on the link to the card."""
    network = Network(internet.groundplane.account())
    subnet, _ = network.subnet(1, ("0.0.0.0/0", network.igw), ("::/0", network.igw))
    network.instance = network.run(subnet, "10.0.1.10", ipv6=True)
    network.address, network.internet = network.ipv6_of(network.instance), internet
    with on_link(internet, network.block6):
        yield network
    network.account.reset()


@contextlib.contextmanager
def on_link(internet, block):
    sh("ip", "-6", "route", "add", block, "dev", "card", namespace=internet.isp)
    try:
        yield
    finally:
        sh("ip", "-6", "route", "del", block, "dev", "card", namespace=internet.isp)


def found(internet, address):
    """Does the ISP find out who has the address? It forgets what it knew."""
    sh("ip", "-6", "neigh", "flush", "to", address, namespace=internet.isp)
    sh("ping", "-6", "-c1", "-W1", address, check=False, namespace=internet.isp)
    shown = lambda: sh("ip", "-6", "neigh", "show", "to", address, "dev", "card", namespace=internet.isp)
    assert wait_for(lambda: "lladdr" in shown() or "FAILED" in shown()), shown()
    return "lladdr" in shown()


def reached(world):
    """Does the ISP reach the instance, and is it answered?"""
    result = sh("ping", "-6", "-c2", "-i0.2", "-W2", world.address, check=False, namespace=world.internet.web)
    return " 2 received" in result


def test_the_network_finds_and_reaches_an_instance(world):
    assert found(world.internet, world.address)
    assert reached(world)
    assert world.groundplane.exec(world.instance, "ping", "-6", "-c1", "-W2", WEB6).returncode == 0


def test_the_whole_block_is_found_and_nothing_beside_it(world):
    assert found(world.internet, world.block6.replace("00::/56", "ff::1234"))
    nobodys = "3fff:fff:ffff:ff00::1"
    with on_link(world.internet, nobodys + "/128"):
        assert not found(world.internet, nobodys)


def test_a_block_is_found_from_the_call_on_that_makes_it_until_it_goes(world):
    ec2 = world.ec2
    associate = lambda: ec2.associate_vpc_cidr_block(VpcId=world.vpc, AmazonProvidedIpv6CidrBlock=True)
    made = associate()["Ipv6CidrBlockAssociation"]
    vpc = ec2.describe_vpcs(VpcIds=[world.vpc])["Vpcs"][0]
    blocks = {a["AssociationId"]: a["Ipv6CidrBlock"] for a in vpc["Ipv6CidrBlockAssociationSet"]}
    block = blocks[made["AssociationId"]]
    with on_link(world.internet, block):
        assert found(world.internet, block.replace("/56", "1"))
        ec2.disassociate_vpc_cidr_block(AssociationId=made["AssociationId"])
        assert not found(world.internet, block.replace("/56", "1"))


def test_a_block_of_an_own_pool_is_found_and_reached(internet):
    account = internet.groundplane.account()
    [pool] = account.ec2.describe_ipv6_pools()["Ipv6Pools"]
    network = Network(account, ipv6={"Ipv6Pool": pool["PoolId"]})
    subnet, _ = network.subnet(1, ("::/0", network.igw))
    network.instance = network.run(subnet, "10.0.1.10", ipv6=True)
    network.address, network.internet = network.ipv6_of(network.instance), internet
    # The whole pool is on the link; what no VPC has of it is nobody's.
    with on_link(internet, OWN_POOL):
        assert found(internet, network.address) and reached(network)
        assert network.groundplane.exec(network.instance, "ping", "-6", "-c1", "-W2", WEB6).returncode == 0
        others = f"2001:db8:f00:{(int(network.address.split(':')[3], 16) ^ 0x100):x}::1"
        assert not found(internet, others)
        account.reset()
        assert not found(internet, network.address)


def test_a_duplicate_on_the_link_is_noticed(world):
    isp = world.internet.isp
    sh("ip", "-6", "addr", "add", world.address + "/128", "dev", "card", namespace=isp)
    try:
        shown = lambda: sh("ip", "-6", "addr", "show", "dev", "card", "to", world.address, namespace=isp)
        assert wait_for(lambda: "dadfailed" in shown() or "tentative" not in shown())
        assert "dadfailed" in shown()
    finally:
        sh("ip", "-6", "addr", "del", world.address + "/128", "dev", "card", namespace=isp)


def test_the_routers_own_address_is_its_own(world):
    assert found(world.internet, "2001:db8:1::2")


def test_kill_9_leaves_the_answers(world):
    with loop(world.groundplane, world.instance, "udp", WEB6) as datagrams:
        world.groundplane.kill()
        try:
            assert found(world.internet, world.address)
            # Answers to what runs find their way back, without a process.
            moment, _ = after(time.monotonic)
            datagrams.expect_answers(moment, world.address)
        finally:
            world.groundplane.up()
        assert found(world.internet, world.address)
    assert reached(world)
