"""A NAT instance: a stock guest that forwards and masquerades, and a route to its ENI. Nothing of it is Groundplane's.

Source: VPC user guide, "NAT instances": the check of sources and destinations off, forwarding on, masquerading.
"""

import re

from conftest import permission
from every_way import NAT_INSTANCE
from internet import WEB, guest_python, route, seen_by, sh, why
from test_packets import wait_for

# In a guest: binds PORT, and prints whom the server sees.
FROM_PORT = """
import socket, sys
s = socket.socket()
s.settimeout(5)
s.bind(("", int(sys.argv[2])))
s.connect((sys.argv[1], 7))
print(s.recv(99).decode())
sys.stdout.flush()
if len(sys.argv) > 3:
    s.settimeout(30)
    s.recv(99)
"""


def drops(ways, reason):
    return ways.groundplane.status()["host"]["drops"].get(reason, 0)


def test_ports_are_kept_and_where_two_clients_want_one_it_is_overloaded(ways):
    other = ways.run(ways.by_instance, "10.0.3.11")
    first = ways.groundplane.popen_exec(ways.instance_client, "python3", "-c", FROM_PORT, WEB, "40001", "stay")
    try:
        assert first.stdout.readline().split() == [ways.instance_address, "40001"]
        address, port = guest_python(ways.groundplane, other, FROM_PORT, WEB, 40001).split()
        assert address == ways.instance_address
        assert port != "40001", "the server would take them for one"
        # As the guest's own kernel has it, and nobody else.
        tracked = ways.groundplane.exec(ways.nat_instance, "cat", "/proc/net/nf_conntrack", check=False).stdout
        assert not tracked or re.search(rf"src=10\.0\.3\.11 .*dport={port}", tracked), tracked
    finally:
        first.kill()
        first.wait()
        ways.ec2.terminate_instances(InstanceIds=[other])


def test_with_the_check_on_packets_die_at_its_eni_and_the_reason_is_named(ways):
    client = ways.instance_client
    assert seen_by(ways.groundplane, client, WEB)[0] == ways.instance_address
    before = drops(ways, "destination-check")
    ways.ec2.modify_instance_attribute(InstanceId=ways.nat_instance, SourceDestCheck={"Value": True})
    try:
        assert seen_by(ways.groundplane, client, WEB, seconds=1) is None
        assert drops(ways, "destination-check") > before
        assert why(ways.groundplane, client, WEB) == (False, "destination-check")
    finally:
        ways.router(ways.nat_instance)
    assert seen_by(ways.groundplane, client, WEB)[0] == ways.instance_address
    assert why(ways.groundplane, client, WEB) == (True, None)


def test_its_security_groups_apply_to_what_it_forwards(ways):
    narrow = ways.account.group(ways.vpc, "nat-instance", permission("tcp", 7, cidr="10.0.3.0/24"))
    eni = ways.eni(ways.nat_instance)
    ways.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[narrow])
    try:
        assert seen_by(ways.groundplane, ways.instance_client, WEB)[0] == ways.instance_address
        assert why(ways.groundplane, ways.instance_client, WEB) == (True, None)
        assert seen_by(ways.groundplane, ways.instance_client, WEB, "udp", 1) is None
        assert why(ways.groundplane, ways.instance_client, WEB, "udp/7") == (False, "security-group-ingress")
    finally:
        ways.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[ways.open])
    ways.ec2.delete_security_group(GroupId=narrow)


def test_a_stopped_nat_instance_is_a_black_hole_until_it_runs_again(ways):
    ways.ec2.stop_instances(InstanceIds=[ways.nat_instance])
    ways.account.wait(ways.nat_instance, "stopped")
    tables = ways.ec2.describe_route_tables(RouteTableIds=[ways.by_instance_table])["RouteTables"]
    default = next(r for r in tables[0]["Routes"] if r.get("DestinationCidrBlock") == "0.0.0.0/0")
    assert default["State"] == "blackhole"
    assert seen_by(ways.groundplane, ways.instance_client, WEB, seconds=1) is None
    assert why(ways.groundplane, ways.instance_client, WEB) == (False, "blackhole")
    ways.ec2.start_instances(InstanceIds=[ways.nat_instance])
    ways.account.wait(ways.nat_instance, "running")
    # User data has run once and for all: what it has set in the kernel went with the old guest.
    assert seen_by(ways.groundplane, ways.instance_client, WEB, seconds=1) is None
    for line in NAT_INSTANCE.splitlines()[1:]:
        ways.groundplane.exec(ways.nat_instance, "sh", "-c", line)
    assert seen_by(ways.groundplane, ways.instance_client, WEB)[0] == ways.instance_address


def test_it_can_be_reached_itself_and_forwards_a_port_to_a_private_server(ways):
    """Unlike a NAT gateway: VPC user guide, "Compare NAT gateways and NAT instances"."""
    server = "import socket;s=socket.create_server(('',8080));c,a=s.accept();c.sendall(a[0].encode());c.close()"
    listening = ways.groundplane.popen_exec(ways.instance_client, "python3", "-c", server)
    rule = "ip daddr 10.0.1.20 tcp dport 8080 dnat to 10.0.3.10"
    chain = "{ type nat hook prerouting priority -100; }"
    ways.groundplane.exec(
        ways.nat_instance, "sh", "-c", f"nft add chain nat prerouting '{chain}' && nft add rule nat prerouting {rule}"
    )
    ask = f"import socket;print(socket.create_connection(('{ways.instance_address}',8080),5).recv(99).decode())"
    try:
        ready = lambda: ":8080" in ways.groundplane.exec(ways.instance_client, "ss", "-ltn").stdout
        assert wait_for(ready)
        seen = sh("python3", "-c", ask, namespace=ways.internet.web).strip()
        assert seen == "10.0.1.20", "its rule masquerades all that leaves"
    finally:
        ways.groundplane.exec(ways.nat_instance, "nft", "delete", "chain", "ip", "nat", "prerouting", check=False)
        listening.kill()
        listening.wait()


def test_a_route_to_the_instance_by_its_id_is_one_to_its_eni(ways):
    replace = {"RouteTableId": ways.by_instance_table, "DestinationCidrBlock": "0.0.0.0/0"}
    ways.ec2.replace_route(**replace, InstanceId=ways.nat_instance)
    shown = ways.ec2.describe_route_tables(RouteTableIds=[ways.by_instance_table])["RouteTables"][0]["Routes"]
    default = next(r for r in shown if r.get("DestinationCidrBlock") == "0.0.0.0/0")
    assert default["NetworkInterfaceId"] == ways.eni(ways.nat_instance)
    assert default["InstanceId"] == ways.nat_instance and default["State"] == "active"
    assert seen_by(ways.groundplane, ways.instance_client, WEB)[0] == ways.instance_address
    ways.ec2.replace_route(RouteTableId=ways.by_instance_table, **route("0.0.0.0/0", ways.eni(ways.nat_instance)))
