"""What Linux itself offers between two namespaces: the paths that Groundplane is compared with."""

import json
import platform
import tempfile
from pathlib import Path

from . import place
from .place import (
    CLIENT, CLIENT_MAC, CLIENT_ROUTER, CLIENT_ROUTER_MAC, SERVER, SERVER_MAC, SERVER_ROUTER, SERVER_ROUTER_MAC, Netns,
)

HERE = Path(__file__).resolve().parent


class LinuxPath:
    """Two namespaces, and what is between them. `to` is the server's address; lanes are those of gp-bench-traffic."""

    # Whether the path keeps something for each flow.
    has_state = False
    # Whether there is another client, to see what this one's doing costs it.
    has_neighbour = False
    to = SERVER
    next_hop = SERVER_MAC

    def __init__(self):
        self.client, self.server = self.namespace("c"), self.namespace("s")
        place.client_settings(self.client)
        self.lanes = [f"eth0,{CLIENT},{SERVER},{self.next_hop}"]
        self.others = []
        self.connect()

    def namespace(self, suffix):
        return Netns(f"{self.name}-{suffix}").make()

    def middle(self, suffix="m"):
        self.others.append(self.namespace(suffix))
        return self.others[-1]

    def offload(self, is_on):
        self.client.offload(is_on)
        self.server.offload(is_on)

    def state_bytes(self):
        """Memory that the path's own processes have. Linux has none: its state is the kernel's."""
        return 0

    def prioritise(self, _priority):
        """Nothing of it is a process."""

    def close(self):
        for netns in (self.client, self.server, *self.others):
            netns.delete()

    # Shapes that several paths have.

    def ends(self, client_next_hop, server_next_hop, gateways=(None, None)):
        place.end(self.client, CLIENT, SERVER, client_next_hop, gateways[0])
        place.end(self.server, SERVER, CLIENT, server_next_hop, gateways[1])

    def switched(self):
        """Both ends' links come to a namespace in the middle; the ends see each other as neighbours."""
        middle = self.middle()
        place.veth(self.client, ("eth0", CLIENT_MAC), middle, ("c", CLIENT_ROUTER_MAC))
        place.veth(self.server, ("eth0", SERVER_MAC), middle, ("s", SERVER_ROUTER_MAC))
        self.ends(SERVER_MAC, CLIENT_MAC)
        return middle

    def routed(self):
        """The same with a router in the middle."""
        middle = self.middle()
        place.veth(self.client, ("eth0", CLIENT_MAC), middle, ("c", CLIENT_ROUTER_MAC))
        place.veth(self.server, ("eth0", SERVER_MAC), middle, ("s", SERVER_ROUTER_MAC))
        for link, address, neighbour, mac in (
            ("c", CLIENT_ROUTER, CLIENT, CLIENT_MAC), ("s", SERVER_ROUTER, SERVER, SERVER_MAC),
        ):
            middle.ip(f"addr add {address}/24 dev {link}")
            middle.ip(f"neigh replace {neighbour} lladdr {mac} dev {link} nud permanent")
        middle.sysctl("net.ipv4.ip_forward", 1)
        self.ends(CLIENT_ROUTER_MAC, SERVER_ROUTER_MAC, (CLIENT_ROUTER, SERVER_ROUTER))
        return middle


class Raw(LinuxPath):
    name, title = "raw", "bare veth pair"

    def connect(self):
        place.veth(self.client, ("eth0", CLIENT_MAC), self.server, ("eth0", SERVER_MAC))
        self.ends(SERVER_MAC, CLIENT_MAC)


class Redirect(LinuxPath):
    name, title = "redirect", "bare redirect program (our limit)"

    def connect(self):
        middle = self.switched()
        links = json.loads(place.run("ip", "-n", middle.name, "-j", "link"))
        index = {link["ifname"]: link["ifindex"] for link in links}
        with tempfile.TemporaryDirectory() as folder:
            for link, out, mac in (("c", "s", SERVER_MAC), ("s", "c", CLIENT_MAC)):
                program = f"{folder}/{link}.o"
                octets = ",".join(f"0x{octet}" for octet in mac.split(":"))
                place.run(
                    "clang", "-target", "bpf", "-O2", "-g", "-Wall", "-Werror", f"-DOUT_IFINDEX={index[out]}", f"-DDST_MAC={octets}",
                    f"-I/usr/include/{platform.machine()}-linux-gnu", "-c", str(HERE / "redirect.bpf.c"), "-o", program,
                )  # fmt: skip
                run = lambda words: middle.run(*words.split())  # noqa: E731
                run(f"tc qdisc add dev {link} clsact")
                run(f"tc filter add dev {link} ingress bpf direct-action obj {program} sec classifier")


class Bridge(LinuxPath):
    name, title = "bridge", "Linux bridge, no filter"

    def connect(self):
        middle = self.switched()
        middle.ip("link add br0 type bridge")
        for link in ("c", "s", "br0"):
            middle.ip(f"link set {link} {'up' if link == 'br0' else 'master br0'}")


def ruleset(rules):
    """A stateful filter of so many rules, the last of which lets the traffic pass."""
    others = "\n".join(
        f"ip saddr 172.{16 + rule // 62500}.{rule // 250 % 250}.{rule % 250 + 1} tcp dport {1024 + rule} accept"
        for rule in range(rules - 1)
    )
    return f"""table ip filter {{
        chain forward {{
            type filter hook forward priority 0; policy drop;
            ct state established,related accept
            ct state invalid drop
            {others}
            ip saddr {CLIENT} ip daddr {SERVER} accept
        }}
    }}"""


class Nftables(LinuxPath):
    name, title, rules = "nft", "routed, stateful nftables with 10 rules", 10
    has_state, next_hop = True, CLIENT_ROUTER_MAC

    def connect(self):
        self.routed().run("nft", "-f", "-", feed=ruleset(self.rules))


class NftablesLarge(Nftables):
    name, title, rules = "nft-10k", "the same with 10,000 rules", 10_000


class Masquerade(LinuxPath):
    name, title = "masquerade", "routed, nftables masquerade"
    has_state, next_hop = True, CLIENT_ROUTER_MAC

    def connect(self):
        chain = "type nat hook postrouting priority 100\noifname s masquerade"
        rules = f"table ip nat {{\nchain post {{\n{chain}\n}}\n}}\n"
        self.routed().run("nft", "-f", "-", feed=rules)


class Vxlan(LinuxPath):
    name, title = "vxlan", "two hosts: kernel VXLAN and bridges"

    def connect(self):
        hosts = self.middle("m"), self.middle("n")
        place.veth(hosts[0], ("under", "02:00:00:00:02:01"), hosts[1], ("under", "02:00:00:00:02:02"), mtu=1600)
        for number, (host, guest, mac) in enumerate(
            ((hosts[0], self.client, CLIENT_MAC), (hosts[1], self.server, SERVER_MAC)), start=1
        ):
            place.veth(guest, ("eth0", mac), host, ("guest", f"02:00:00:00:03:0{number}"))
            host.ip(f"addr add 192.168.0.{number}/24 dev under")
            far = 3 - number
            host.ip(f"link add vx type vxlan id 42 local 192.168.0.{number} remote 192.168.0.{far} dstport 4789")
            host.ip("link add br0 type bridge")
            for words in ("vx master br0", "guest master br0", "br0 up", "vx mtu 1500", "vx up"):
                host.ip(f"link set {words}")
        self.ends(SERVER_MAC, CLIENT_MAC)


PATHS = [Raw, Redirect, Bridge, Nftables, NftablesLarge, Masquerade, Vxlan]
