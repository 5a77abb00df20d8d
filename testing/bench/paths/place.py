"""Network namespaces and links for the paths. Everything here works inside the namespaces of `./bench` only."""

import json
import subprocess

# One digit each, so that MAC addresses and interface names tell who is who.
CLIENT, SERVER = "10.8.0.1", "10.9.0.1"
CLIENT_ROUTER, SERVER_ROUTER = "10.8.0.254", "10.9.0.254"
CLIENT_MAC, SERVER_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
CLIENT_ROUTER_MAC, SERVER_ROUTER_MAC = "02:00:00:00:01:0a", "02:00:00:00:01:0b"


def run(*command, feed=None):
    done = subprocess.run(command, input=feed, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


class Netns:
    """A network namespace by name."""

    def __init__(self, name):
        self.name = name
        self.file = f"/run/netns/{name}"

    def make(self):
        run("ip", "netns", "add", self.name)
        self.ip("link set lo up")
        return self

    def ip(self, words):
        return run("ip", "-n", self.name, *words.split())

    def run(self, *command, feed=None):
        return run("ip", "netns", "exec", self.name, *command, feed=feed)

    def sysctl(self, name, value):
        self.run("sysctl", "-qw", f"{name}={value}")

    def offload(self, is_on, link="eth0"):
        """Segmentation by the interface: super-packets stay whole, or every packet is one."""
        state = "on" if is_on else "off"
        self.run("ethtool", "-K", link, "tso", state, "gso", state)

    def mac(self, link):
        return json.loads(run("ip", "-n", self.name, "-j", "link", "show", link))[0]["address"]

    def delete(self):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)


def client_settings(netns):
    """Connections one after the other use up the client's ports: all of them, and again after a second."""
    netns.sysctl("net.ipv4.ip_local_port_range", "1024 65000")
    netns.sysctl("net.ipv4.tcp_tw_reuse", 1)


def end_settings(netns, link):
    """What one end's own stack does for each packet received is no cost of the path, so all ends do the same: no check of the
    way back, whatever the machine's default is."""
    netns.sysctl("net.ipv4.conf.all.rp_filter", 0)
    netns.sysctl(f"net.ipv4.conf.{link}.rp_filter", 0)


def veth(one, one_link, other, other_link, mtu=1500):
    """A pair of links, each end up in its namespace. An end is (link, MAC address)."""
    (one_name, one_mac), (other_name, other_mac) = one_link, other_link
    run(
        *f"ip link add {one_name} netns {one.name} mtu {mtu} address {one_mac} type veth "
        f"peer name {other_name} netns {other.name} mtu {mtu} address {other_mac}".split()
    )
    one.ip(f"link set {one_name} up")
    other.ip(f"link set {other_name} up")


def end(netns, address, far, next_hop_mac, gateway=None):
    """Address and way of an end's eth0: to the far address on the link, or by a gateway. Nobody asks for neighbours."""
    end_settings(netns, "eth0")
    netns.ip(f"addr add {address}/24 dev eth0")
    via = f"via {gateway} " if gateway else ""
    netns.ip(f"route add {far}/32 {via}dev eth0")
    netns.ip(f"neigh replace {gateway or far} lladdr {next_hop_mac} dev eth0 nud permanent")
