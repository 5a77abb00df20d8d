"""ENIs and addresses that come, go and move while their instances run and packets flow."""

import json

import pytest
from conftest import permission, refused
from test_packets import ping, wait_for

OPEN = permission("-1", cidr="10.0.0.0/16")

# Answers each datagram with its own name, from the address that was asked (IP_PKTINFO).
ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 8, 1)
s.bind(("0.0.0.0", 7))
while True:
    data, [(_, _, info)], _, peer = s.recvmsg(2048, 256)
    try:
        s.sendmsg([sys.argv[1].encode() + b" " + data], [(socket.IPPROTO_IP, 8, bytes(4) + info[4:8] + bytes(4))], 0, peer)
    except OSError:
        pass
"""

# Asks a service address at 1 kHz for a time, on a busy machine until somebody answers; prints who did, in order and
# without repetitions.
ASK = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 7)); s.setblocking(False)
seen, n, end = [], 0, time.monotonic() + float(sys.argv[2])
while (now := time.monotonic()) < end or (not seen and now < end + 5):
    try: s.send(str(n).encode())
    except OSError: pass
    n += 1
    time.sleep(0.001)
    try:
        while True:
            who, number = s.recv(2048).decode().split()
            if not seen or seen[-1] != who: seen.append(who)
    except OSError: pass
print(' '.join(seen), flush=True)
"""


def in_background(account, instance, *command):
    """Starts a command that goes on in the instance."""
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in command)
    account.groundplane.exec(instance, "sh", "-c", f"{quoted} >/dev/null 2>&1 &")


def serve(account, instance, name):
    in_background(account, instance, "python3", "-c", ECHO, name)


def links(account, instance):
    return account.groundplane.exec(instance, "ip", "-o", "link").stdout


def addresses(account, instance, ifname="eth0"):
    return account.groundplane.exec(instance, "ip", "-o", "addr", "show", "dev", ifname).stdout


def new_eni(account, subnet, group, address=None, **options):
    if address:
        options["PrivateIpAddress"] = address
    eni = account.ec2.create_network_interface(SubnetId=subnet, Groups=[group], **options)["NetworkInterface"]
    return eni["NetworkInterfaceId"], eni["MacAddress"]


def attach(account, eni, instance, index=1):
    answer = account.ec2.attach_network_interface(NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=index)
    return answer["AttachmentId"]


@pytest.fixture
def net(account):
    vpc, subnet = account.network()
    return vpc, subnet, account.group(vpc, "all", OPEN)


def test_a_moved_eni_keeps_mac_addresses_and_groups(account, net):
    vpc, subnet, group = net
    a, b, client = (account.run(subnet, [group], f"10.0.1.{n}") for n in (10, 11, 20))
    only_ping = account.group(vpc, "ping", permission("icmp", -1, cidr="10.0.1.20/32"))
    eni, mac = new_eni(account, subnet, only_ping, "10.0.1.77", SecondaryPrivateIpAddressCount=1)
    second = [
        address["PrivateIpAddress"]
        for address in account.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0][
            "PrivateIpAddresses"
        ]
        if not address["Primary"]
    ][0]
    for owner, other in ((a, b), (b, a)):
        attachment = attach(account, eni, owner)
        assert mac in links(account, owner)
        assert "10.0.1.77/24" in addresses(account, owner, "eth1") and second in addresses(account, owner, "eth1")
        assert "eth1" not in links(account, other)
        assert ping(account, client, "10.0.1.77") and ping(account, client, second)
        assert not ping(account, other, "10.0.1.77"), "the ENI's own group goes with it"
        reachable, path = account.groundplane.why(client, "10.0.1.77", "icmp")
        assert reachable and owner in str(account.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])), path
        account.ec2.detach_network_interface(AttachmentId=attachment, Force=owner == b)
        assert "eth1" not in links(account, owner)
        assert not ping(account, client, "10.0.1.77")
        rules = account.groundplane.exec(owner, "ip", "rule").stdout
        assert "10001" not in rules, "nothing of it stays in the instance"


def test_reassigned_address_is_answered_by_the_new_owner_when_the_call_has_returned(account, net):
    _, subnet, group = net
    a, b, client = (account.run(subnet, [group], f"10.0.1.{n}") for n in (10, 11, 20))
    for instance, name in ((a, "a"), (b, "b")):
        serve(account, instance, name)
    enis = {i: account.instance(i)["NetworkInterfaces"][0]["NetworkInterfaceId"] for i in (a, b)}
    account.ec2.assign_private_ip_addresses(NetworkInterfaceId=enis[a], PrivateIpAddresses=["10.0.1.100"])
    code, _ = refused(
        account.ec2.assign_private_ip_addresses, NetworkInterfaceId=enis[b], PrivateIpAddresses=["10.0.1.100"]
    )
    assert code == "InvalidParameterValue"
    sender = account.groundplane.popen_exec(client, "python3", "-c", ASK, "10.0.1.100", "6")
    names = {a: "a", b: "b"}
    for turn in range(10):
        owner = (b, a)[turn % 2]
        account.ec2.assign_private_ip_addresses(
            NetworkInterfaceId=enis[owner], PrivateIpAddresses=["10.0.1.100"], AllowReassignment=True
        )
        once = account.groundplane.exec(client, "python3", "-c", ASK, "10.0.1.100", "0.05").stdout.split()
        assert set(once) == {names[owner]}, f"turn {turn}: the old owner was still reached"
    output, _ = sender.communicate(timeout=30)
    order = output.split()
    assert order[0] in "ab" and len(order) >= 2, output
    assert "10.0.1.100" not in addresses(account, b) and "10.0.1.100" in addresses(account, a)


def test_an_eni_fails_over_by_force_detach_and_attach_under_a_sending_client(account, net):
    _, subnet, group = net
    a, b, client = (account.run(subnet, [group], f"10.0.1.{n}") for n in (10, 11, 20))
    for instance, name in ((a, "a"), (b, "b")):
        serve(account, instance, name)
    eni, _ = new_eni(account, subnet, group, "10.0.1.100")
    attachment = attach(account, eni, a)
    sender = account.groundplane.popen_exec(client, "python3", "-c", ASK, "10.0.1.100", "6")
    for turn in range(6):
        owner, name = ((b, "b"), (a, "a"))[turn % 2]
        account.ec2.detach_network_interface(AttachmentId=attachment, Force=True)
        attachment = attach(account, eni, owner)
        once = account.groundplane.exec(client, "python3", "-c", ASK, "10.0.1.100", "0.05").stdout.split()
        assert set(once) == {name}, f"turn {turn}: {once}"
    output, _ = sender.communicate(timeout=30)
    assert len(output.split()) >= 2, output


def test_addresses_and_prefixes_work_when_the_call_returns_and_not_after_they_went(account, net):
    _, subnet, group = net
    a, client = (account.run(subnet, [group], f"10.0.1.{n}") for n in (10, 20))
    eni = account.instance(a)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    for _ in range(3):
        account.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=["10.0.1.50"])
        assert ping(account, client, "10.0.1.50")
        account.ec2.unassign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=["10.0.1.50"])
        assert not ping(account, client, "10.0.1.50")


def test_a_router_instance_forwards_with_the_check_off_and_only_then(account):
    """Plain ip_forward: left and right are subnets whose routes lead through the instance."""
    vpc, left = account.network()
    group = account.group(vpc, "all", OPEN)
    router = account.run(left, [group], "10.0.1.10")
    client = account.run(left, [group], "10.0.1.20")
    eni = account.instance(router)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    table = account.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]
    account.ec2.create_route(
        RouteTableId=table["RouteTableId"], DestinationCidrBlock="192.168.7.0/24", NetworkInterfaceId=eni
    )
    account.groundplane.exec(router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    # Something with an address of its own behind the router.
    account.groundplane.exec(
        router,
        "sh",
        "-c",
        "unshare --net sleep 1000 >/dev/null 2>&1 & pid=$!; sleep 0.2; ip link add v0 type veth peer name v1 netns $pid; "
        "ip addr add 192.168.7.1/24 dev v0; ip link set v0 up; "
        "nsenter -t $pid -n sh -c 'ip link set lo up; ip addr add 192.168.7.2/24 dev v1; ip link set v1 up; "
        "ip route add default via 192.168.7.1'",
    )
    assert account.groundplane.exec(router, "ping", "-c1", "-W1", "192.168.7.2", check=False).returncode == 0
    assert not ping(account, client, "192.168.7.2"), "the check is on"
    account.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, SourceDestCheck={"Value": False})
    assert ping(account, client, "192.168.7.2")
    account.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, SourceDestCheck={"Value": True})
    assert not ping(account, client, "192.168.7.2")


@pytest.mark.parametrize("kind", ["secondary", "prefix"])
def test_a_pod_is_reached_by_its_own_address(account, net, kind):
    """As a CNI does it: a veth into a nested namespace, a host route to it, and the host as its gateway."""
    _, subnet, group = net
    node, client = (account.run(subnet, [group], f"10.0.1.{n}") for n in (10, 20))
    eni = account.instance(node)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    if kind == "prefix":
        answer = account.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, Ipv4Prefixes=["10.0.1.64/28"])
        assert answer["AssignedIpv4Prefixes"][0]["Ipv4Prefix"] == "10.0.1.64/28"
        pod = "10.0.1.69"
    else:
        account.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=["10.0.1.60"])
        pod = "10.0.1.60"
    account.groundplane.exec(
        node,
        "sh",
        "-c",
        f"ip addr del {pod}/32 dev eth0 2>/dev/null; echo 1 > /proc/sys/net/ipv4/ip_forward; "
        "unshare --net sleep 1000 >/dev/null 2>&1 & pid=$!; sleep 0.2; "
        "ip link add v0 type veth peer name eth0 netns $pid; ip link set v0 up; "
        f"ip route add {pod}/32 dev v0; echo 1 > /proc/sys/net/ipv4/conf/v0/proxy_arp; "
        f"nsenter -t $pid -n sh -c 'ip link set lo up; ip addr add {pod}/32 dev eth0; ip link set eth0 up; "
        "ip route add 169.254.1.1 dev eth0; ip route add default via 169.254.1.1 dev eth0'; "
        "echo $pid > /run/pod",
    )
    assert ping(account, client, pod)
    seen = account.groundplane.exec(
        node, "sh", "-c", "nsenter -t $(cat /run/pod) -n ping -c1 -W1 10.0.1.20", check=False
    )
    assert seen.returncode == 0, seen.stdout
    if kind == "prefix":
        account.ec2.unassign_private_ip_addresses(NetworkInterfaceId=eni, Ipv4Prefixes=["10.0.1.64/28"])
        assert not ping(account, client, pod)


def test_what_the_guest_is_in_the_way_of_is_refused_and_undone(account, net):
    _, subnet, group = net
    instance = account.run(subnet, [group], "10.0.1.10")
    eni, _ = new_eni(account, subnet, group, "10.0.1.77")
    account.groundplane.exec(instance, "ip", "link", "add", "eth1", "type", "veth", "peer", "name", "other")
    code, message = refused(
        account.ec2.attach_network_interface, NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=1
    )
    assert code == "IncorrectState" and eni in message, (code, message)
    described = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]
    assert described["Status"] == "available" and "Attachment" not in described
    account.groundplane.exec(instance, "ip", "link", "del", "eth1")
    attach(account, eni, instance)
    assert "10.0.1.77/24" in addresses(account, instance, "eth1")


def test_the_limits_of_the_type_hold_for_a_running_instance(account, net):
    _, subnet, group = net
    instance = account.run(subnet, [group], "10.0.1.10", InstanceType="t2.micro")
    first, second = (new_eni(account, subnet, group)[0] for _ in range(2))
    attach(account, first, instance, 1)
    code, message = refused(
        account.ec2.attach_network_interface, NetworkInterfaceId=second, InstanceId=instance, DeviceIndex=1
    )
    assert code in ("AttachmentLimitExceeded", "InvalidParameterValue"), message
    eni = account.instance(instance)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    code, _ = refused(
        account.ec2.assign_private_ip_addresses, NetworkInterfaceId=eni, SecondaryPrivateIpAddressCount=2
    )
    assert code == "PrivateIpAddressLimitExceeded"


def test_the_allowances_of_an_eni_are_shown(account, net):
    _, subnet, group = net
    a, b = (account.run(subnet, [group], f"10.0.1.{n}") for n in (10, 20))
    assert ping(account, b, "10.0.1.10")
    shown = json.loads(account.groundplane.command("counters", b, "--json").stdout)
    assert len(shown) == 1 and shown[0]["instance"] == b and shown[0]["connections"] >= 1
    free = shown[0]["conntrack_allowance_available"]
    assert free > 0 and shown[0]["conntrack_allowance_exceeded"] == 0 and shown[0]["pps_allowance_exceeded"] == 0
    flood = "import socket\ns=socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nfor n in range(60000): s.sendto(b'x', ('10.0.1.10', 1 + n))"
    account.groundplane.exec(b, "python3", "-c", flood)
    after = json.loads(account.groundplane.command("counters", b, "--json").stdout)[0]
    assert after["conntrack_allowance_available"] < free and after["pps_allowance_exceeded"] > 0
    assert a in account.groundplane.command("counters").stdout


def test_a_timeout_of_the_eni_is_the_timeout_of_its_connections(account, net):
    """Asked once and answered late: the answer passes while the connection is remembered, and not afterwards."""
    vpc, subnet, _ = net
    servers = account.group(vpc, "servers", permission("udp", 9, cidr="10.0.1.0/24"))
    server = account.run(subnet, [servers], "10.0.1.10")
    clients = [account.run(subnet, [account.group(vpc, f"c{n}")], f"10.0.1.{n}") for n in (20, 21)]
    for client, seconds in zip(clients, (30, 60)):
        eni = account.instance(client)["NetworkInterfaces"][0]["NetworkInterfaceId"]
        timeouts = {"UdpTimeout": seconds}
        account.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=eni, ConnectionTrackingSpecification=timeouts
        )
        shown = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]
        assert shown["ConnectionTrackingConfiguration"]["UdpTimeout"] == seconds
    ask = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 4000)); s.settimeout(50); s.sendto(b"x", ("10.0.1.10", 9))
try: print(s.recv(10).decode())
except TimeoutError: print("nothing")
"""
    answer = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 9))
peers = [s.recvfrom(10)[1] for _ in range(2)]
time.sleep(40)
for peer in peers: s.sendto(b"late", peer)
"""
    answering = account.groundplane.popen_exec(server, "python3", "-c", answer)
    assert wait_for(lambda: ":9 " in account.groundplane.exec(server, "ss", "-lun").stdout)
    asking = [account.groundplane.popen_exec(client, "python3", "-c", ask) for client in clients]
    said = [process.communicate(timeout=90)[0].strip() for process in asking]
    answering.communicate(timeout=30)
    assert said == ["nothing", "late"]
