"""A TCP proxy that can be told to cut, to fall silent, or to stop at a certain request.

It stands before the mail server (the network between) or before Redis, where it can stop a worker
exactly between two steps of the ledger: before a script's call is passed on, or before its reply is.
"""

import contextlib
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Trap:
    """Stops the first connection that asks for *needle* after *skip* others have.

    With *after*, the request is passed on and the reply is held back.
    """

    needle: bytes
    skip: int = 0
    after: bool = False
    sprung: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Passes connections on to *target*, a port of this machine."""

    def __init__(self, target):
        self._target = target
        self._lock = threading.Lock()
        self._pairs = set()
        self._trap = None
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def trap(self, needle, *, skip=0, after=False):
        """Lay a trap; wait for its `sprung`, then set its `released`."""
        self._trap = Trap(needle, skip, after)
        return self._trap

    def cut(self):
        """Reset all connections; new ones are served."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for one in pair:
                _reset(one)

    @contextlib.contextmanager
    def silence(self):
        """Pass nothing on, in neither direction, while the block lasts."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def close(self):
        self._listener.close()
        self._open.set()
        if self._trap:
            self._trap.released.set()
        self.cut()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            _reset(client)
            return
        pair = (client, server)
        gate = threading.Event()
        gate.set()
        with self._lock:
            self._pairs.add(pair)
        back = threading.Thread(target=self._pump, args=(server, client, gate), daemon=True)
        back.start()
        self._pump(client, server, gate, is_request=True)
        back.join()
        with self._lock:
            self._pairs.discard(pair)
        for one in pair:
            one.close()

    def _pump(self, source, sink, gate, *, is_request=False):
        try:
            while data := source.recv(65536):
                self._open.wait()
                if is_request:
                    self._stop_at(data, sink, gate)
                else:
                    gate.wait()
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for one in (source, sink):
                _reset(one)

    def _stop_at(self, data, sink, gate):
        trap = self._trap
        if trap is None or trap.sprung.is_set() or trap.needle not in data:
            sink.sendall(data)
            return
        if trap.skip > 0:
            trap.skip -= 1
            sink.sendall(data)
            return
        if trap.after:
            gate.clear()
            sink.sendall(data)
        trap.sprung.set()
        trap.released.wait()
        gate.set()
        if not trap.after:
            sink.sendall(data)


def _reset(one):
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        one.close()
