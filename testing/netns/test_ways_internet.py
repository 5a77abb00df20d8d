"""Packets by `--internet`, and cards that must not cost the host anything. The internet is made of namespaces.

The other tests of ways go by `--uplink`: it carries each of their packets.
"""

import pytest
from conftest import Groundplane, free_port
from internet import DEEP, NARROW, WEB, Internet, Network, download, guest_python, seen_by, sh, why
from loops import loop
from test_nat import TELLER, asked
from test_packets import ping, wait_for
from test_survival import _host, _mine
from test_ways_out import refusal
from test_ways_path import STREAM

HOST, POOL = "198.19.0.9", "203.0.113.0/24"


@pytest.fixture
def machine(tmp_path):
    """A machine with a card that leads to an internet; no Groundplane yet."""
    with Internet(tmp_path, host=HOST) as machine:
        assert sh("ping", "-c1", "-W2", WEB)
        yield machine


def test_instances_reach_the_internet_by_the_machines_own_address_and_nobody_comes_in(machine, tmp_path):
    groundplane = Groundplane(tmp_path, free_port(), uplink=["--internet", "--public-pool", f"eu-central-1={POOL}"])
    groundplane.options += ["--public-pool", "192.0.2.0/24"]
    before = _mine(_host(), groundplane)
    groundplane.up()
    try:
        network = Network(groundplane.account())
        public, _ = network.subnet(1, ("0.0.0.0/0", network.igw))
        nat, _ = network.nat_gateway(public, "10.0.1.100")
        private, _ = network.subnet(2, ("0.0.0.0/0", nat))
        web = network.run(public, "10.0.1.10", user_data=TELLER)
        hidden = network.run(private, "10.0.2.10")
        address, _ = network.elastic(web)
        for instance in (web, hidden):
            for protocol in ("tcp", "udp"):
                assert seen_by(groundplane, instance, WEB, protocol)[0] == HOST
            assert ping(network.account, instance, WEB, 2)
            assert why(groundplane, instance, WEB) == (True, None)
            assert download(groundplane, instance, WEB, 1 << 20) == (1 << 20, HOST)
            # A server that has learnt of the narrow link would tell it by its MSS.
            sh("ip", "route", "flush", "cache", namespace=machine.deep)
            assert guest_python(groundplane, instance, STREAM, DEEP, 20).split() == ["400001", str(NARROW)]
        # The machine itself reaches its instances; the internet does not, though it knew a way.
        assert wait_for(lambda: asked(address))
        sh("ip", "route", "add", POOL, "via", HOST, namespace=machine.isp)
        assert not sh("ping", "-c1", "-W1", address, check=False, namespace=machine.web).count("ttl=")
        # Nor is the machine a router for others.
        sh("ip", "route", "add", "198.51.100.77/32", "via", HOST, namespace=machine.isp)
        assert not sh("ping", "-c1", "-W1", "198.51.100.77", check=False, namespace=machine.web).count("ttl=")
        with loop(groundplane, hidden, "udp", WEB) as datagrams:
            groundplane.kill()
            datagrams.expect_answers(datagrams.sent[-1][1], HOST)
            groundplane.up()
            datagrams.expect_answers(datagrams.sent[-1][1], HOST)
    finally:
        groundplane.down()
    assert _mine(_host(), groundplane) == before


def test_the_card_of_the_default_route_can_be_the_uplink_and_the_machine_notices_nothing(machine, tmp_path):
    groundplane = Groundplane(tmp_path, free_port(), uplink=Internet.uplink(machine.card))
    online = lambda: bool(sh("ping", "-c1", "-W2", WEB, check=False).count("ttl="))
    before = _mine(_host(), groundplane)
    groundplane.up()
    try:
        network = Network(groundplane.account())
        public, _ = network.subnet(1, ("0.0.0.0/0", network.igw))
        instance = network.run(public, "10.0.1.10")
        address, _ = network.elastic(instance)
        assert seen_by(groundplane, instance, WEB)[0] == address
        assert online() and sh("ping", "-c1", "-W2", HOST, namespace=machine.web)
        groundplane.kill()
        assert online()
        groundplane.up()
        assert online() and seen_by(groundplane, instance, WEB)[0] == address
    finally:
        groundplane.down()
    assert online()
    assert _mine(_host(), groundplane) == before


@pytest.mark.parametrize(
    ("pool", "says"),
    [
        ("198.19.0.0/28", "198.19.0.0/28 hold 198.19.0.9, an address of this machine"),
        ("198.19.0.0/29", "198.19.0.0/29 hold 198.19.0.1, the router that --uplink-gateway names"),
    ],
)
def test_a_pool_with_the_machines_own_address_or_its_routers_is_refused(machine, tmp_path, pool, says):
    """The router answers ARP for all of a pool: it would take the address away from its owner."""
    online = lambda: bool(sh("ping", "-c1", "-W2", WEB, check=False).count("ttl="))
    options = ["--uplink", machine.card, "--public-pool", pool, "--uplink-gateway", "198.19.0.1"]
    said = refusal(tmp_path, *options)
    assert says in said, said
    assert online()
    checks = Groundplane(tmp_path, free_port()).command("doctor", *options, check=False).stdout
    assert says in checks, checks
