"""What runs inside instances, as `python3 -c`. Arrivals are the kernel's times (CLOCK_REALTIME, which all processes of a host share), so a
busy reader doesn't move them."""

# Pings each address of a line that it reads until it answers; prints when each did, in nanoseconds.
PINGER = """
import json, select, socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.setblocking(False)
body = struct.pack('!BBHHH', 8, 0, 0, 1, 1)
echo = body[:2] + struct.pack('!H', 0xffff - sum(struct.unpack('!4H', body))) + body[4:]
print('ready', flush=True)
for line in sys.stdin:
    pause, *addresses = json.loads(line)
    waiting, answered, until = set(addresses), {}, time.time() + 60
    while waiting and time.time() < until:
        for address in waiting:
            try:
                s.sendto(echo, (address, 0))
            except OSError:
                pass  # Not there yet, as its neighbours say.
        due = time.time() + pause
        while select.select([s], [], [], max(0, due - time.time()))[0]:
            packet, control, _, (peer, _) = s.recvmsg(128, 64)
            if packet[20] == 0 and peer in waiting:
                seconds, nanos = struct.unpack('qq', control[0][2])
                answered[peer] = seconds * 10**9 + nanos
                waiting.discard(peer)
    print(json.dumps(answered), flush=True)
"""

# Sends a numbered datagram each half millisecond until a line comes, each from a port that none had before, so each is a new flow.
# Prints when each left.
SENDER = """
import json, select, socket, struct, sys, time
target, port = sys.argv[1], int(sys.argv[2])
print('ready', flush=True)
sent, due = [], time.time()
while not select.select([sys.stdin], [], [], 0)[0]:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('0.0.0.0', 1024 + len(sent)))
    at = time.time_ns()
    s.sendto(struct.pack('!I', len(sent)), (target, port))
    s.close()
    sent.append(at)
    # What was late is not caught up with: a burst would meet limits that are not the rules'.
    due = max(due + 0.0005, time.time())
    time.sleep(max(0, due - time.time()))
print(json.dumps(sent))
"""
# What a sender has ports for.
SENDER_SECONDS = 30

# Prints when each numbered datagram arrived, once a line has come.
RECEIVER = """
import json, select, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.bind(('0.0.0.0', int(sys.argv[1])))
print('ready', flush=True)
heard = []
while True:
    ready = select.select([s, sys.stdin], [], [])[0]
    if s in ready:
        data, control, _, _ = s.recvmsg(16, 64)
        seconds, nanos = struct.unpack('qq', control[0][2])
        heard.append((struct.unpack('!I', data)[0], seconds * 10**9 + nanos))
    elif ready:
        break
print(json.dumps(heard))
"""
