"""How a server seems far away: a TCP proxy that delays each octet by half a round trip.

    python proxy.py LISTEN_HOST:PORT UPSTREAM_HOST:PORT RTT_SECONDS

The delay is the same for all, so what was read first is due first: one queue for all connections, no
timers. What was read in one pass is written in one pass. Bandwidth is not limited. Opening a connection
costs a round trip as TCP's handshake does, and the first octet comes half a round trip after it.
"""

import collections
import contextlib
import gc
import selectors
import socket
import sys
import time

CHUNK = 1 << 20
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Side:
    """One of a connection's two sockets; *backlog* is what its peer's kernel does not take yet."""

    __slots__ = ("backlog", "is_closed", "is_connected", "is_ending", "other", "socket")

    def __init__(self, sock: socket.socket, *, is_connected: bool) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.other: Side = self
        self.backlog = bytearray()
        self.is_connected = is_connected
        self.is_ending = False
        self.is_closed = False


class Proxy:
    """All connections; `run` never returns."""

    def __init__(self, listen: tuple[str, int], upstream: tuple[str, int], rtt: float) -> None:
        self._upstream = upstream
        self._rtt = rtt
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(listen, backlog=1000)
        self._listener.setblocking(False)
        self._selector.register(self._listener, _READ, None)
        # What is due, oldest first: octets (b"" ends the stream) for a side; clients to be connected.
        self._octets: collections.deque[tuple[float, Side, bytes]] = collections.deque()
        self._opening: collections.deque[tuple[float, Side]] = collections.deque()

    def run(self) -> None:
        while True:
            ready = self._selector.select(self._patience())
            now = time.monotonic()
            due = now + self._rtt / 2
            for key, mask in ready:
                if key.data is None:
                    self._accept(now)
                    continue
                if mask & _READ:
                    self._read(key.data, due)
                if mask & _WRITE:
                    self._flush(key.data)
            self._deliver()

    def _patience(self) -> float | None:
        next_due = [queue[0][0] for queue in (self._octets, self._opening) if queue]
        return max(0.0, min(next_due) - time.monotonic()) if next_due else None

    def _accept(self, now: float) -> None:
        try:
            while True:
                sock, _ = self._listener.accept()
                self._opening.append((now + self._rtt, Side(sock, is_connected=True)))
        except BlockingIOError:
            return

    def _connect(self, client: Side) -> None:
        server = Side(socket.socket(), is_connected=False)
        server.socket.connect_ex(self._upstream)
        client.other, server.other = server, client
        self._selector.register(client.socket, _READ, client)
        self._selector.register(server.socket, _READ | _WRITE, server)

    def _read(self, side: Side, due: float) -> None:
        try:
            octets = side.socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if not octets:
            side.is_ending = True
            self._watch(side)
        self._octets.append((due, side.other, octets))

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._opening and self._opening[0][0] <= now:
            self._connect(self._opening.popleft()[1])
        octets = self._octets
        while octets and octets[0][0] <= now:
            _, side, chunk = octets.popleft()
            if not chunk:
                self._end(side)
            elif not side.is_closed:
                self._write(side, chunk)

    def _write(self, side: Side, chunk: bytes) -> None:
        sent = 0
        if side.is_connected and not side.backlog:
            try:
                sent = side.socket.send(chunk)
            except BlockingIOError:
                pass
            except OSError:
                self._end(side)
                return
        if sent < len(chunk):
            side.backlog += chunk[sent:]
            self._watch(side)

    def _flush(self, side: Side) -> None:
        side.is_connected = True
        try:
            del side.backlog[: side.socket.send(side.backlog)]
        except BlockingIOError:
            return
        except OSError:
            self._end(side)
            return
        self._watch(side)

    def _watch(self, side: Side) -> None:
        if side.is_closed:
            return
        events = 0 if side.is_ending else _READ
        if side.backlog or not side.is_connected:
            events |= _WRITE
        try:
            known = self._selector.get_key(side.socket).events
        except KeyError:
            known = 0
        if events == known:
            return
        if not known:
            self._selector.register(side.socket, events, side)
        elif not events:
            self._selector.unregister(side.socket)
        else:
            self._selector.modify(side.socket, events, side)

    def _end(self, side: Side) -> None:
        """The peer of *side* has hung up: so does the proxy, on both."""
        for one in (side, side.other):
            if not one.is_closed:
                one.is_closed = True
                with contextlib.suppress(KeyError):
                    self._selector.unregister(one.socket)
                one.socket.close()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    gc.disable()
    Proxy(_address(sys.argv[1]), _address(sys.argv[2]), float(sys.argv[3])).run()
