"""What a network interface sees, as JSON lines: run in the namespace or guest to be watched, `capture.py [INTERFACE]`.

The first line says that it listens. It ends by itself after a minute.
"""

import json
import socket
import struct
import sys
import time

OUTGOING = 4
TCP, UDP = 6, 17


def mss_of(options):
    while options and options[0] != 0:
        kind = options[0]
        if kind == 1:
            options = options[1:]
        elif kind == 2:
            return struct.unpack("!H", options[2:4])[0]
        else:
            options = options[max(2, options[1]) :]
    return None


def transport(packet, protocol, rest):
    packet["protocol"] = protocol
    if protocol in (TCP, UDP) and len(rest) >= 8:
        packet["sport"], packet["dport"] = struct.unpack("!HH", rest[:4])
    if protocol == TCP and len(rest) >= 20:
        packet["flags"] = rest[13]
        packet["mss"] = mss_of(rest[20 : (rest[12] >> 4) * 4])
    if protocol in (1, 58) and len(rest) >= 8:
        packet["icmp"] = [rest[0], rest[1]]
        packet["mtu"] = struct.unpack("!I", rest[4:8])[0]


def parsed(data):
    if data[0] >> 4 == 4:
        length, identity, fragment, ttl, protocol = struct.unpack("!HHHBB", data[2:10])
        packet = {"src": socket.inet_ntop(2, data[12:16]), "dst": socket.inet_ntop(2, data[16:20]), "ttl": ttl}
        packet |= {"length": length, "df": bool(fragment & 0x4000), "more": bool(fragment & 0x2000), "id": identity}
        packet["offset"] = (fragment & 0x1FFF) * 8
        transport(packet, protocol, data[(data[0] & 15) * 4 :] if packet["offset"] == 0 else b"")
        return packet
    length, protocol, ttl = struct.unpack("!HBB", data[4:8])
    packet = {"src": socket.inet_ntop(10, data[8:24]), "dst": socket.inet_ntop(10, data[24:40]), "ttl": ttl}
    packet["length"] = length + 40
    transport(packet, protocol, data[40:])
    return packet


listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
if len(sys.argv) > 1:
    listener.bind((sys.argv[1], 3))
listener.settimeout(1)
print("{}", flush=True)
end = time.monotonic() + 60
while time.monotonic() < end:
    try:
        data, (link, _, kind, *_) = listener.recvfrom(65535)
    except TimeoutError:
        continue
    if link != "lo" and data and data[0] >> 4 in (4, 6):
        print(json.dumps(parsed(data) | {"link": link, "out": kind == OUTGOING}), flush=True)
