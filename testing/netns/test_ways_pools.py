"""IPv6 pools of the operator's own: blocks that carry packets like the region's, and what holds when a pool is taken away.

Source: EC2 user guide, "Bring your own IP addresses"; docs/uplink.md. The "host" is the namespace of the tests.
"""

import re

import pytest
from conftest import REGION, Groundplane, free_port, refused
from internet import Network, outside, seen_by, sh
from test_packets import ping, wait_for
from test_ways_out import card, refusal

__all__ = ["card"]  # a fixture

PUBLIC = ["--public-pool", f"{REGION}=192.0.2.0/24", "--region", REGION]
POOL = ["--ipv6-pool", f"{REGION}=2001:db8:f00::/48"]
HOST6 = "2001:db8::c000:201"


@pytest.fixture
def own_pool(tmp_path):
    running = Groundplane(tmp_path, free_port(), uplink=[*PUBLIC, *POOL]).up()
    yield running
    running.down()


def instance_in(network):
    subnet, _ = network.subnet(1, ("0.0.0.0/0", network.igw), ("::/0", network.igw))
    instance = network.run(subnet, "10.0.1.10", ipv6=True)
    return instance, network.ipv6_of(instance)


def reached(address):
    return " 2 received" in sh("ping", "-6", "-c2", "-i0.2", "-W2", address, check=False)


def test_a_block_of_an_own_pool_carries_packets_both_ways(own_pool):
    account = own_pool.account()
    [pool] = account.ec2.describe_ipv6_pools()["Ipv6Pools"]
    assert pool["PoolCidrBlocks"] == [{"Cidr": "2001:db8:f00::/48"}]
    network = Network(account, ipv6={"Ipv6Pool": pool["PoolId"], "Ipv6CidrBlock": "2001:db8:f00:ab00::/56"})
    assert "dev gp-" in sh("ip", "-6", "route", "show", "2001:db8:f00:ab00::/56")
    associated = account.ec2.get_associated_ipv6_pool_cidrs(PoolId=pool["PoolId"])["Ipv6CidrAssociations"]
    assert associated == [{"Ipv6Cidr": "2001:db8:f00:ab00::/56", "AssociatedResource": network.vpc}]
    instance, address = instance_in(network)
    assert address.startswith("2001:db8:f00:ab01:")
    assert reached(address)
    assert ping(account, instance, HOST6, 2)
    with outside():
        for protocol in ("tcp", "udp"):
            assert seen_by(own_pool, instance, HOST6, protocol)[0] == address
    # Beside one of the region's own blocks, of another VPC.
    other = Network(own_pool.account())
    neighbour, theirs = instance_in(other)
    assert ping(other.account, neighbour, address, 2) and ping(account, instance, theirs, 2)
    other.account.reset()
    account.reset()
    assert wait_for(lambda: not sh("ip", "-6", "route", "show", "2001:db8:f00:ab00::/56"))


def test_a_pool_in_use_is_not_taken_away_by_a_restart(own_pool):
    account = own_pool.account()
    pool = account.ec2.describe_ipv6_pools()["Ipv6Pools"][0]["PoolId"]
    network = Network(account, ipv6={"Ipv6Pool": pool})
    _, address = instance_in(network)
    described = account.ec2.describe_vpcs(VpcIds=[network.vpc])["Vpcs"][0]
    own_pool.kill()
    options = own_pool.options
    own_pool.options = [option for option in options if option not in POOL]
    with pytest.raises(RuntimeError) as ended:
        own_pool.up()
    said = str(ended.value).strip().splitlines()[-1]
    assert network.vpc in said and f"start with --ipv6-pool {REGION}=2001:db8:f00::/48" in said, said
    block = described["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    assert "dev gp-" in sh("ip", "-6", "route", "show", block), "what runs has its way"
    own_pool.options = options
    own_pool.up()
    assert account.ec2.describe_vpcs(VpcIds=[network.vpc])["Vpcs"][0] == described
    assert reached(address)
    account.reset()
    own_pool.kill()
    own_pool.options = [option for option in options if option not in POOL]
    own_pool.up()
    assert account.ec2.describe_ipv6_pools()["Ipv6Pools"] == []
    code, _ = refused(account.ec2.create_vpc, CidrBlock="10.0.0.0/16", Ipv6Pool=pool)
    assert code == "InvalidIpv6PoolID.NotFound"


def test_a_pool_that_is_the_machines_is_refused_in_one_sentence(tmp_path, card):
    name, _ = card
    sh("ip", "-6", "addr", "add", "2001:db8:f00:1::9/64", "dev", name, "nodad")
    said = refusal(tmp_path, *PUBLIC, *POOL)
    assert re.search(rf"2001:db8:f00::/48 are routed on this machine already \(2001:db8:f00:1::\S* dev {name}\)", said), said
    assert "--ipv6-pool" in said, said
    way = ["--uplink", name, "--public-pool", "203.0.113.64/27", "--uplink-gateway", "203.0.113.1"]
    said = refusal(tmp_path, *way, "--ipv6-pool", "2001:db8:f00::/48")
    assert "2001:db8:f00::/48 hold 2001:db8:f00:1::9, an address of this machine" in said, said


@pytest.mark.parametrize("block", ["fe80::/48", "3fff:1::/48", "2001:db8:f00::/64", "2001:db8:f00::1/48"])
def test_what_is_no_pool_is_refused_by_name(tmp_path, block):
    groundplane = Groundplane(tmp_path, free_port(), uplink=["--ipv6-pool", block])
    result = groundplane.command("up", *groundplane.options, check=False)
    assert result.returncode == 2 and "--ipv6-pool" in result.stderr and block in result.stderr, result.stderr
