"""ENIs for namespaces and TAPs that Groundplane didn't start."""

import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import threading
import uuid

import pytest
from conftest import permission
from test_eni_live import attach, new_eni
from test_packets import ping, wait_for

OPEN = permission("-1", cidr="10.0.0.0/16")


@pytest.fixture
def netns():
    name = "gpt-" + uuid.uuid4().hex[:8]
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def inside(name, *command):
    return subprocess.run(["ip", "netns", "exec", name, *command], capture_output=True, text=True)


def is_there(link):
    """Not by /sys, which may be mounted in another namespace."""
    return subprocess.run(["ip", "link", "show", link], capture_output=True).returncode == 0


def give(groundplane, eni, *options):
    return json.loads(groundplane.command("attach", eni, *options, "--json").stdout)


@pytest.fixture
def net(account):
    vpc, subnet = account.network()
    return vpc, subnet, account.group(vpc, "all", OPEN)


def test_a_namespace_of_somebody_elses_gets_an_eni_and_loses_it(account, groundplane, net, netns):
    _, subnet, group = net
    client = account.run(subnet, [group], "10.0.1.20")
    eni, mac = new_eni(account, subnet, group, "10.0.1.30")
    shown = give(groundplane, eni, "--netns", netns)
    assert shown["mac"] == mac and shown["addresses"] == ["10.0.1.30"] and shown["ifname"] == "eth0"
    described = account.instance(shown["instance"])
    assert described["State"]["Name"] == "running" and described["InstanceType"] == "m5.large"
    assert described["PrivateIpAddress"] == "10.0.1.30"
    assert ping(account, client, "10.0.1.30")
    assert inside(netns, "ping", "-c1", "-W1", "10.0.1.20").returncode == 0
    assert groundplane.why(client, shown["instance"], "icmp")[0]
    account.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=["10.0.1.31"])
    assert ping(account, client, "10.0.1.31")
    groundplane.command("detach", eni)
    assert "eth0" not in inside(netns, "ip", "link").stdout
    assert account.instance(shown["instance"])["State"]["Name"] == "terminated"
    status = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]["Status"]
    assert status == "available"


def test_an_interface_can_be_named_and_left_bare(account, groundplane, net, netns):
    _, subnet, group = net
    eni, mac = new_eni(account, subnet, group, "10.0.1.30")
    give(groundplane, eni, "--netns", f"/run/netns/{netns}", "--ifname", "ens5", "--no-configure", "--instance-type", "t3.micro")
    link = inside(netns, "ip", "-o", "addr", "show", "dev", "ens5").stdout
    assert "10.0.1.30" not in link and mac in inside(netns, "ip", "link", "show", "ens5").stdout
    groundplane.command("detach", eni)


def test_what_can_be_no_guest_is_refused_clearly(account, groundplane, net, netns):
    _, subnet, group = net
    eni, _ = new_eni(account, subnet, group, "10.0.1.30")
    for options, reason in (
        (("--netns", "/run/netns/there-is-none"), "there is no"),
        (("--netns", "/etc/passwd"), "not a namespace"),
        (("--netns", "/proc/self/ns/uts"), "not of a network"),
        (("--netns", f"/proc/{groundplane.process.pid}/ns/net"), "stays as it is"),
        (("--tap", "lo"), "lo already"),
        (("--tap", "a/b"), "network interface"),
        ((), "--netns"),
    ):
        result = groundplane.command("attach", eni, *options, check=False)
        assert result.returncode != 0 and reason in result.stderr, (options, result.stderr)
    described = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]
    assert described["Status"] == "available"
    give(groundplane, eni, "--netns", netns)
    result = groundplane.command("attach", eni, "--netns", netns, check=False)
    assert result.returncode != 0 and "in use" in result.stderr
    groundplane.command("detach", eni)
    assert "is not attached" in groundplane.command("detach", eni, check=False).stderr


def test_a_namespace_that_goes_takes_its_stand_in_along(account, groundplane, net, netns):
    _, subnet, group = net
    eni, _ = new_eni(account, subnet, group, "10.0.1.30")
    shown = give(groundplane, eni, "--netns", netns)
    subprocess.run(["ip", "netns", "del", netns], check=True)
    account.wait(shown["instance"], "terminated", 20)
    status = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]["Status"]
    assert status == "available"


def test_a_stand_in_outlives_the_process_and_ends_with_down(own_groundplane, netns):
    account = own_groundplane.account()
    vpc, subnet = account.network()
    group = account.group(vpc, "all", OPEN)
    client = account.run(subnet, [group], "10.0.1.20")
    eni, _ = new_eni(account, subnet, group, "10.0.1.30")
    tap_eni, _ = new_eni(account, subnet, group, "10.0.1.31")
    shown = give(own_groundplane, eni, "--netns", netns)
    give(own_groundplane, tap_eni, "--tap", "gpt0")
    own_groundplane.kill()
    own_groundplane.up()
    assert ping(account, client, "10.0.1.30")
    assert account.instance(shown["instance"])["State"]["Name"] == "running"
    assert is_there("gpt0")
    own_groundplane.command("down")
    assert "eth0" not in inside(netns, "ip", "link").stdout
    assert not is_there("gpt0")


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Machine:
    """The least of a machine on a TAP: asks by DHCP, and answers pings."""

    def __init__(self, name, mac):
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self.fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.fd, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1002))  # TUNSETIFF, TAP | NO_PI

    def send(self, dst, ether_type, payload):
        os.write(self.fd, dst + self.mac + struct.pack(">H", ether_type) + payload)

    def udp(self, src, dst, ports, body):
        udp = struct.pack(">HHHH", *ports, 8 + len(body), 0) + body
        return self.ipv4(src, dst, 17, udp)

    def ipv4(self, src, dst, protocol, payload):
        head = struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, socket.inet_aton(src), socket.inet_aton(dst)
        )
        return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload

    def discover(self):
        body = struct.pack(">BBBBIHH", 1, 1, 6, 0, 0x1234, 0, 0x8000) + bytes(16) + self.mac + bytes(10 + 192)
        body += bytes([99, 130, 83, 99, 53, 1, 1, 255])
        for _ in range(20):
            self.send(b"\xff" * 6, 0x0800, self.udp("0.0.0.0", "255.255.255.255", (68, 67), body))
            # As any client does, it asks again where nobody answers.
            if not select.select([self.fd], [], [], 0.5)[0]:
                continue
            frame = os.read(self.fd, 65535)
            if frame[12:14] == b"\x08\0" and frame[23] == 17 and frame[34:36] == b"\0\x43":
                return socket.inet_ntoa(frame[58:62])

    def answer_pings(self, count):
        while count:
            frame = os.read(self.fd, 65535)
            if frame[12:14] != b"\x08\0" or frame[23] != 1 or frame[34] != 8:
                continue
            icmp = b"\0\0\0\0" + frame[38:]
            icmp = b"\0\0" + struct.pack(">H", checksum(icmp)) + frame[38:]
            source, target = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
            self.send(frame[6:12], 0x0800, self.ipv4(target, source, 1, icmp))
            count -= 1


def test_a_machine_on_a_tap_is_configured_by_dhcp_and_pinged(account, groundplane, net):
    _, subnet, group = net
    client = account.run(subnet, [group], "10.0.1.20")
    eni, mac = new_eni(account, subnet, group, "10.0.1.40")
    name = "gpt" + uuid.uuid4().hex[:6]
    shown = give(groundplane, eni, "--tap", name)
    assert shown["ifname"] == name and is_there(name)
    machine = Machine(name, mac)
    assert machine.discover() == "10.0.1.40"
    threading.Thread(target=machine.answer_pings, args=(1,), daemon=True).start()
    assert wait_for(lambda: ping(account, client, "10.0.1.40"), 5)
    os.close(machine.fd)
    groundplane.command("detach", eni)
    assert not is_there(name)


def test_a_stand_in_on_a_tap_gets_further_interfaces_and_loses_them(account, groundplane, net):
    _, subnet, group = net
    client = account.run(subnet, [group], "10.0.1.20")
    eni, _ = new_eni(account, subnet, group, "10.0.1.40")
    name = "gpt" + uuid.uuid4().hex[:6]
    shown = give(groundplane, eni, "--tap", name)
    further, mac = new_eni(account, subnet, group, "10.0.1.41")
    for _ in range(2):
        attachment = attach(account, further, shown["instance"])
        assert is_there(f"{name}-1") and is_there(name)
        machine = Machine(f"{name}-1", mac)
        assert machine.discover() == "10.0.1.41"
        threading.Thread(target=machine.answer_pings, args=(1,), daemon=True).start()
        assert wait_for(lambda: ping(account, client, "10.0.1.41"), 5)
        assert groundplane.why(client, further, "icmp")[0]
        os.close(machine.fd)
        account.ec2.detach_network_interface(AttachmentId=attachment, Force=True)
        assert not is_there(f"{name}-1") and is_there(name)
        assert not ping(account, client, "10.0.1.41")
    attach(account, further, shown["instance"], 2)
    assert is_there(f"{name}-2")
    groundplane.command("detach", eni)
    assert not is_there(name) and not is_there(f"{name}-2")
    states = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni, further])["NetworkInterfaces"]
    assert [state["Status"] for state in states] == ["available", "available"]
