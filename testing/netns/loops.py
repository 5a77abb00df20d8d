"""Traffic that runs in a guest while a test changes something, and what of it was answered."""

import contextlib
import threading
import time

from test_packets import wait_for

# In a guest: one numbered line every few milliseconds to port 7 of an address, until killed or reset. Says what it
# sends (`s NUMBER TIME`) and what is answered (`e NUMBER TIME PEER`), by the machine's monotonic clock, which guests share.
LOOP = """
import select, socket, sys, time
kind, address = sys.argv[1], sys.argv[2]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
s.connect((address, 7))
peer = "-"
if kind == "tcp":
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer = s.recv(99).decode().split()[0]
s.setblocking(False)
number, rest, end = 0, b"", time.monotonic() + 120
while time.monotonic() < end:
    number += 1
    now = time.monotonic()
    print("s", number, now, flush=True)
    try:
        s.send(b"%d %.6f\\n" % (number, now))
    except BlockingIOError:
        pass
    except OSError as error:
        print("x", number, now, type(error).__name__, flush=True)
        if kind == "tcp":
            break
    while select.select([s], [], [], max(0, now + 0.01 - time.monotonic()))[0]:
        try:
            got = s.recv(65536)
        except OSError as error:
            print("x", number, now, type(error).__name__, flush=True)
            if kind == "tcp":
                sys.exit()
            continue
        if kind == "udp":
            seen, _, *said = got.decode().split()
            print("e", *said, seen, flush=True)
            continue
        if not got:
            sys.exit()
        *lines, rest = (rest + got).split(b"\\n")
        for line in lines:
            print("e", *line.decode().split(), peer, flush=True)
"""


class Loop:
    """One loop: its sent lines, answers and errors so far."""

    def __init__(self, process):
        self.process, self.sent, self.answers, self.errors = process, [], {}, []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        with contextlib.suppress(ValueError):
            for line in self.process.stdout:
                kind, number, when, *rest = line.split()
                if kind == "s":
                    self.sent.append((int(number), float(when)))
                elif kind == "e":
                    self.answers[int(number)] = rest[0]
                elif kind == "x":
                    self.errors.append(rest[0])
                else:
                    self.errors.append(line)

    def since(self, moment, count):
        """The numbers of the first lines that were sent after a moment."""
        after = lambda: [number for number, when in list(self.sent) if when > moment]
        assert wait_for(lambda: len(after()) >= count), f"the loop has ended: {self.errors}"
        return after()[:count]

    def expect_silence(self, moment, count=25):
        """Of what was sent after the moment, nothing was answered."""
        numbers = self.since(moment, count + 5)[:count]
        answered = {n: self.answers[n] for n in numbers if n in self.answers}
        assert not answered, f"still answered: {answered}"

    def expect_answers(self, moment, seen=None, count=25):
        """All that was sent after the moment is answered, to whom the server should see."""
        numbers = self.since(moment, count)
        missing = lambda: [n for n in numbers if n not in self.answers]
        assert wait_for(lambda: not missing(), 30), f"not answered: {missing()} of {numbers}, {self.errors}"
        if seen:
            assert {self.answers[n] for n in numbers} == {seen}


@contextlib.contextmanager
def loop(groundplane, instance, kind, address):
    """A [`Loop`] that has been answered."""
    process = groundplane.popen_exec(instance, "python3", "-uc", LOOP, kind, address)
    running = Loop(process)
    try:
        assert wait_for(lambda: running.answers), f"never answered: {running.errors}"
        yield running
    finally:
        process.kill()
        process.wait()
        running.thread.join(10)


@contextlib.contextmanager
def both(network, instance, address):
    """Datagrams and a stream to the same server, running."""
    with loop(network.groundplane, instance, "udp", address) as datagrams:
        with loop(network.groundplane, instance, "tcp", address) as stream:
            yield datagrams, stream


def after(call, **arguments):
    """Does it, and says when it was done."""
    answer = call(**arguments)
    return time.monotonic(), answer
