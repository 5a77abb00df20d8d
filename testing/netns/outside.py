"""A server somewhere outside, in both families: says whom it sees, echoes, and gives as many bytes as one likes.

TCP port 7: a line `ADDRESS PORT` of the client; then echoes each line, but for `peak`: how many clients there were at
the same time. UDP port 7: `ADDRESS PORT ` in front of what was sent. TCP port 80: HTTP, `/BYTES`; the header `Seen` says
whom.
"""

import asyncio
import contextlib
import resource
import socket

ECHO, HTTP = 7, 80
open_now = peak = 0


async def echo(reader, writer):
    global open_now, peak
    open_now += 1
    peak = max(peak, open_now)
    try:
        address, port = writer.get_extra_info("peername")[:2]
        writer.write(f"{shown(address)} {port}\n".encode())
        while line := await reader.readline():
            writer.write(f"{peak}\n".encode() if line == b"peak\n" else line)
            await writer.drain()
    except (OSError, ValueError):
        pass
    finally:
        open_now -= 1
        writer.close()


async def http(reader, writer):
    try:
        request = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        # A proxy may have been asked for the whole address.
        size = int(request.rsplit("/", 1)[1] or 0)
        seen = shown(writer.get_extra_info("peername")[0])
        head = f"HTTP/1.0 200 OK\r\nContent-Length: {size}\r\nSeen: {seen}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + bytes(size))
        await writer.drain()
    except (OSError, EOFError, ValueError):
        pass
    finally:
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        self.transport.sendto(f"{shown(peer[0])} {peer[1]} ".encode() + data, peer)


def shown(address):
    return address.removeprefix("::ffff:")


async def main():
    loop = asyncio.get_running_loop()
    await asyncio.start_server(echo, "0.0.0.0", ECHO, backlog=4096, limit=1 << 20)
    await asyncio.start_server(echo, "::", ECHO, backlog=4096, limit=1 << 20)
    await asyncio.start_server(http, "0.0.0.0", HTTP)
    await asyncio.start_server(http, "::", HTTP)
    transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("::", ECHO))
    # Thousands speak at once; beyond the usual limit (SO_RCVBUFFORCE) where root is the machine's.
    for option in (socket.SO_RCVBUF, 33):
        with contextlib.suppress(PermissionError):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, 32 << 20)
    print("ready", flush=True)
    await asyncio.Event().wait()


most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
asyncio.run(main())
