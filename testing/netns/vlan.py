"""802.1Q links inside an instance, each in a network namespace of its own there, as a pod's is.

Where the kernel has VLAN devices it is one. Where it has none, a program tags and untags: what the instance's own stack
sends by one end of a veth leaves by the parent with the tag, and the other way round.
"""

import subprocess

# usage: PARENT INNER VLAN; INNER is the near end of the veth.
TAGGER = r"""
import select, socket, struct, sys
PACKET, AUXDATA, VNET_HDR = 263, 8, 15
VLAN_VALID = 0x10
def opened(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.setsockopt(PACKET, AUXDATA, 1)
    s.setsockopt(PACKET, VNET_HDR, 1)
    s.bind((name, 3))
    return s
parent, inner, vlan = opened(sys.argv[1]), opened(sys.argv[2]), int(sys.argv[3])
print('ready', flush=True)
def read(s):
    data, control, _, address = s.recvmsg(70000, 64)
    if address[2] == socket.PACKET_OUTGOING:
        return None, None
    status, _, _, _, _, tci, _ = struct.unpack('IIIHHHH', control[0][2][:20])
    return data, tci & 0xfff if status & VLAN_VALID else None
def send(s, data):
    try: s.send(data)
    except OSError: pass
while True:
    for s in select.select([parent, inner], [], [])[0]:
        data, tag = read(s)
        if data is None:
            continue
        if s is parent:
            if tag == vlan:
                send(inner, data)
        else:
            frame = data[10:]
            send(parent, bytes(10) + frame[:12] + struct.pack('!HH', 0x8100, vlan) + frame[12:])
"""
# usage: NAME. Checksums are left to nobody: the tagger sends what it gets.
PLAIN = r"""
import array, fcntl, socket, struct, sys
for command in (0x17, 0x1f, 0x24):  # ETHTOOL_STXCSUM, STSO, SGSO
    value = array.array('I', [command, 0])
    request = struct.pack('16sP16x', sys.argv[1].encode(), value.buffer_info()[0])
    try: fcntl.ioctl(socket.socket(), 0x8946, request)  # SIOCETHTOOL
    except OSError: pass
"""


class Pod:
    """Something with an address of its own behind a VLAN of an instance's link."""

    def __init__(self, account, instance, vlan, mac, address, router="10.0.1.1", parent="eth1"):
        self.account, self.instance, self.name = account, instance, f"pod{vlan}"
        self._tagger = None
        run = lambda *command, check=True: account.groundplane.exec(instance, *command, check=check)  # noqa: E731
        run("ip", "netns", "add", self.name)
        link, parent_up = f"v{vlan}", ("ip", "link", "set", parent, "up")
        run(*parent_up)
        device = ("ip", "link", "add", "link", parent, "name", link, "address", mac, "type", "vlan", "id", str(vlan))
        if run(*device, check=False).returncode:
            self._make_tagged_veth(run, link, parent, vlan, mac)
        run("ip", "link", "set", link, "netns", self.name)
        for command in (
            ("link", "set", "lo", "up"),
            ("link", "set", link, "up"),
            ("addr", "add", f"{address}/24", "dev", link),
            ("route", "add", "default", "via", router),
        ):
            self.exec("ip", *command, check=True)

    def _make_tagged_veth(self, run, link, parent, vlan, mac):
        inner = link + "p"
        run("ip", "link", "add", link, "address", mac, "mtu", "9001", "type", "veth", "peer", "name", inner, "mtu", "9001")
        run("ip", "link", "set", inner, "addrgenmode", "none", "up")
        run("python3", "-c", PLAIN, link)
        self._tagger = self.account.groundplane.popen_exec(
            self.instance, "python3", "-c", TAGGER, parent, inner, str(vlan)
        )
        assert self._tagger.stdout.readline() == "ready\n"

    def exec(self, *command, check=False):
        # Not by `ip netns exec`, which mounts a /sys: a sandbox may not.
        enter = ("nsenter", f"--net=/run/netns/{self.name}")
        return self.account.groundplane.exec(self.instance, *enter, *command, check=check)

    def pings(self, address):
        return self.exec("ping", "-c1", "-W1", address).returncode == 0

    def serve(self, port, text):
        """An HTTP server that answers with the text until the instance ends."""
        script = f"mkdir -p /srv/{self.name}; cd /srv/{self.name}; echo {text} >index.html; python3 -m http.server {port} >/dev/null 2>&1 &"
        self.exec("sh", "-c", script, check=True)

    def close(self):
        if self._tagger:
            self._tagger.terminate()
            try:
                self._tagger.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._tagger.kill()
                self._tagger.wait()
