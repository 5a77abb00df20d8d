"""The way to the outside: what it is on the host, what it refuses, and that it leaves nothing behind.

The "host" is the namespace of the tests; hosts beyond it are further namespaces.
"""

import json
import re
import subprocess
import uuid

import pytest
from conftest import Groundplane, free_port
from test_survival import _host, _mine

POOL = "192.0.2.0/24"
# The session's own Groundplane has the default pool.
OWN = ["--public-pool", POOL, "--public-pool", "eu-central-1=203.0.113.0/25", "--public-pool", "eu-west-1=203.0.113.128/25"]


def sh(*command, check=True, namespace=None):
    if namespace:
        command = ("ip", "netns", "exec", namespace, *command)
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if check:
        assert result.returncode == 0, f"{' '.join(command)}: {result.stdout}{result.stderr}"
    return result.stdout


def refusal(tmp_path, *options):
    """What `up` says when it does not start."""
    groundplane = Groundplane(tmp_path, free_port(), uplink=list(options))
    try:
        with pytest.raises(RuntimeError) as ended:
            groundplane.up()
        return str(ended.value).strip().splitlines()[-1]
    finally:
        groundplane.down()


@pytest.fixture
def ways_out(tmp_path):
    """A Groundplane with pools of its own."""
    running = Groundplane(tmp_path, free_port(), uplink=OWN).up()
    yield running
    running.down()


@pytest.fixture
def card():
    """(a network card, the namespace of a router at 203.0.113.1 behind it)"""
    suffix = uuid.uuid4().hex[:6]
    name, far = f"nic{suffix}", f"gp-far-{suffix}"
    sh("ip", "netns", "add", far)
    try:
        sh("ip", "link", "add", name, "type", "veth", "peer", "name", "wire", "netns", far)
        # Or the kernel adds routes of its own in its own time.
        sh("ip", "link", "set", name, "addrgenmode", "none")
        sh("ip", "addr", "add", "203.0.113.9/24", "dev", name)
        sh("ip", "link", "set", name, "up")
        for command in ("link set lo up", "link set wire up", "addr add 203.0.113.1/24 dev wire"):
            sh("ip", *command.split(), namespace=far)
        yield name, far
    finally:
        sh("ip", "link", "del", name, check=False)
        sh("ip", "netns", "del", far, check=False)


def test_the_host_reaches_the_pool_by_a_link_of_ours(ways_out):
    route = sh("ip", "route", "get", "192.0.2.77")
    link = re.search(r"dev (gp-\S+) src 192\.0\.2\.1 ", route)
    assert link, route
    shown = sh("ip", "link", "show", link[1])
    assert "NOARP" in shown and "mtu 1500" in shown, shown
    assert "192.0.2.1/32" in sh("ip", "addr", "show", link[1])
    # The first address of the pool is the host's own.
    assert sh("ping", "-c1", "-W1", "192.0.2.1")
    # Nobody asks for neighbours, so a packet to an address that nobody has is sent all the same, and dropped inside.
    sent = lambda: int(re.search(r"TX:.*\n\s+\d+\s+(\d+)", sh("ip", "-s", "link", "show", link[1]))[1])
    before = sent()
    sh("ping", "-c1", "-W1", "192.0.2.77", check=False)
    assert sent() == before + 1


def test_a_region_gets_its_way_out_when_it_is_first_used(ways_out):
    assert not sh("ip", "route", "show", "203.0.113.128/25")
    ways_out.account().client("ec2", "eu-west-1").describe_vpcs()
    route = sh("ip", "route", "get", "203.0.113.200")
    assert "src 203.0.113.129" in route, route
    # Each region has a link of its own.
    assert len(set(re.findall(r"dev (gp-\S+)", route + sh("ip", "route", "get", "192.0.2.77")))) == 2


def test_ipv6_blocks_are_routed_from_the_call_that_makes_them_to_the_one_that_deletes_them(ways_out):
    account = ways_out.account()
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    described = account.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]
    block = described["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    route = sh("ip", "-6", "route", "show", block)
    assert "dev gp-" in route and "src 2001:db8::cb00:7101" in route, route
    account.ec2.delete_vpc(VpcId=vpc)
    assert not sh("ip", "-6", "route", "show", block)


def test_a_pool_that_is_routed_already_is_refused_in_one_sentence(tmp_path_factory, ways_out):
    said = refusal(tmp_path_factory.mktemp("second"), "--public-pool", "192.0.2.128/25")
    assert re.search(
        r"192\.0\.2\.128/25 are routed on this machine already \(192\.0\.2\.0/24 dev gp-\S+\): .*--public-pool.*--no-uplink",
        said,
    ), said


def test_kill_and_restart_keep_the_links(ways_out):
    before = sh("ip", "-o", "addr", "show")
    ways_out.kill()
    assert sh("ip", "-o", "addr", "show") == before, "the links outlive the process"
    ways_out.up()
    assert sh("ip", "-o", "addr", "show") == before, "the same links are taken over"


def test_down_leaves_nothing_of_the_way_out_also_after_a_crash(tmp_path):
    groundplane = Groundplane(tmp_path, free_port(), uplink=OWN)
    for crash in (False, True):
        before = _mine(_host(), groundplane)
        groundplane.up()
        groundplane.account().client("ec2", "eu-west-1").describe_vpcs()
        if crash:
            groundplane.kill()
        groundplane.down()
        assert _mine(_host(), groundplane) == before


def test_without_an_uplink_the_host_is_not_touched(tmp_path):
    groundplane = Groundplane(tmp_path, free_port(), uplink=["--no-uplink"])
    links, routes = sh("ip", "link"), sh("ip", "route", "show", "table", "all")
    groundplane.up()
    try:
        groundplane.account().client("ec2", "eu-west-1").describe_vpcs()
        assert (sh("ip", "link"), sh("ip", "route", "show", "table", "all")) == (links, routes)
    finally:
        groundplane.down()


def test_a_restart_without_an_uplink_takes_the_old_one_away(ways_out):
    ways_out.kill()
    ways_out.options = ways_out.options[:4] + ["--no-uplink"]
    ways_out.up()
    assert not sh("ip", "route", "show", POOL)


@pytest.mark.parametrize(
    ("interface", "says"),
    [("nic-none", "there is no interface nic-none"), ("lo", "lo can't take a macvlan")],
)
def test_a_wrong_card_is_refused_by_name(tmp_path, interface, says):
    said = refusal(tmp_path, "--uplink", interface, "--public-pool", POOL, "--uplink-gateway", "203.0.113.1")
    assert says in said and "--uplink" in said, said


def test_a_card_leads_to_its_network_and_stays_as_it_was(tmp_path, card):
    name, far = card
    card_before = sh("ip", "addr", "show", name)
    groundplane = Groundplane(
        tmp_path,
        free_port(),
        uplink=["--uplink", name, "--public-pool", "203.0.113.64/27", "--uplink-gateway", "203.0.113.1"],
    )
    host_before = _mine(_host(), groundplane)
    groundplane.up()
    try:
        # The router has the pool's first address and answers for all others.
        assert sh("ping", "-c1", "-W2", "203.0.113.65", namespace=far)
        sh("ping", "-c1", "-W1", "203.0.113.70", namespace=far, check=False)
        neighbors = sh("ip", "neigh", "show", namespace=far)
        answered = dict(re.findall(r"^(\S+) dev wire lladdr (\S+)", neighbors, re.M))
        assert answered.get("203.0.113.65") == answered.get("203.0.113.70") is not None, neighbors
        # And not for what is not in the pool.
        sh("ping", "-c1", "-W1", "203.0.113.100", namespace=far, check=False)
        assert "203.0.113.100 dev wire lladdr" not in sh("ip", "neigh", "show", namespace=far)
        # The host goes on by itself.
        assert sh("ping", "-c1", "-W2", "203.0.113.1")
        assert sh("ip", "addr", "show", name) == card_before
        groundplane.kill()
        assert sh("ping", "-c1", "-W2", "203.0.113.65", namespace=far), "the router needs no process"
        groundplane.up()
        assert sh("ping", "-c1", "-W2", "203.0.113.65", namespace=far)
    finally:
        groundplane.down()
    assert _mine(_host(), groundplane) == host_before


def test_the_internet_costs_one_table_and_is_given_back(tmp_path, card):
    name, _ = card
    sh("ip", "route", "add", "default", "via", "203.0.113.1")
    groundplane = Groundplane(tmp_path, free_port(), uplink=["--internet", "--public-pool", POOL])
    before = _mine(_host(), groundplane)
    forwarding = lambda link: sh("sysctl", "-n", f"net.ipv4.conf.{link}.forwarding").strip()
    assert forwarding(name) == "0"
    groundplane.up()
    try:
        link = re.search(r"dev (gp-\S+) ", sh("ip", "route", "get", "192.0.2.77"))[1]
        assert (forwarding(name), forwarding(link), forwarding("lo")) == ("1", "1", "0")
        rules = sh("nft", "list", "ruleset")
        assert rules.count("masquerade") == 1 and f'iifname "{name}" oifname != "gp-' in rules, rules
        groundplane.kill()
        groundplane.up()
        assert sh("nft", "list", "ruleset") == rules
    finally:
        groundplane.kill()
        groundplane.down()
    assert not sh("nft", "list", "ruleset")
    assert _mine(_host(), groundplane) == before


def test_the_internet_needs_a_default_route(tmp_path):
    said = refusal(tmp_path, "--internet", "--public-pool", POOL)
    assert "no default route" in said and "--internet" in said, said


def test_the_doctor_looks_at_the_way_out_too(tmp_path, card):
    groundplane = Groundplane(tmp_path, free_port())
    links = sh("ip", "-br", "link")

    def checks(*options):
        result = groundplane.command("doctor", "--json", *options, check=False)
        return {check["name"]: check for check in json.loads(result.stdout)["checks"]}

    assert checks("--public-pool", POOL)["public-pool"]["ok"]
    found = checks("--public-pool", "203.0.113.0/26")["public-pool"]
    assert not found["ok"] and f"203.0.113.0/24 dev {card[0]}" in found["detail"] and "--no-uplink" in found["remedy"]
    way = ["--public-pool", POOL, "--uplink-gateway", "203.0.113.1", "--uplink"]
    assert checks(*way, card[0])["uplink"]["ok"]
    assert not checks(*way, "lo")["uplink"]["ok"]
    assert "public-pool" not in checks("--no-uplink")
    assert sh("ip", "-br", "link") == links
