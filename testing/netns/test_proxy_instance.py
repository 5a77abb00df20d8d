"""A proxy instance: stock tinyproxy in a guest, the only way of a private subnet to servers outside."""

from conftest import permission
from every_way import PROXY_PORT
from internet import WEB, download, why


def test_clients_reach_a_server_outside_by_the_proxy_and_not_otherwise(ways):
    way = ways.by["proxy"]
    assert download(ways.groundplane, way.client, WEB, 5000, *way.curl) == (5000, ways.proxy_address)
    assert download(ways.groundplane, way.client, WEB, 5000, seconds=1) is None
    assert why(ways.groundplane, way.client, WEB, "tcp/80") == (False, "no-route")
    assert why(ways.groundplane, way.client, ways.proxy, f"tcp/{PROXY_PORT}") == (True, None)
    assert why(ways.groundplane, ways.proxy, WEB, "tcp/80") == (True, None)


def test_a_tunnel_by_connect_works_as_well(ways):
    way = ways.by["proxy"]
    tunnel = ("-p", *way.curl)
    # tinyproxy lets CONNECT go to any port unless it is told otherwise.
    assert download(ways.groundplane, way.client, WEB, 5000, *tunnel) == (5000, ways.proxy_address)


def test_who_may_use_it_its_security_group_says(ways):
    way = ways.by["proxy"]
    others = ways.account.group(ways.vpc, "proxy", permission("tcp", PROXY_PORT, cidr="10.0.2.0/24"))
    eni = ways.eni(ways.proxy)
    ways.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[others])
    try:
        assert download(ways.groundplane, way.client, WEB, 10, *way.curl, seconds=1) is None
        assert why(ways.groundplane, way.client, ways.proxy, f"tcp/{PROXY_PORT}") == (False, "security-group-ingress")
        assert download(ways.groundplane, ways.nat_client, WEB, 10, *way.curl) == (10, ways.proxy_address)
    finally:
        ways.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[ways.open])
    ways.ec2.delete_security_group(GroupId=others)
    assert download(ways.groundplane, way.client, WEB, 10, *way.curl) == (10, ways.proxy_address)
