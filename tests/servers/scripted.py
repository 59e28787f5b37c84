"""A mail server whose replies a test decides, command by command, on as many connections as come."""

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

Reply = str | None
"""A reply without its line end; None where the test wants the connection closed."""

OFFERS = ("PIPELINING", "8BITMIME")


@dataclass(eq=False)
class Connection:
    """One client's connection, the *number*-th; *lines* are the commands that it has said so far."""

    number: int
    socket: socket.socket
    lines: list[str] = field(default_factory=list)
    mailbox: str = ""
    messages: int = 0
    """Contents that it has sent to the end."""

    def has_more(self, within: float = 0.05) -> bool:
        """Whether the client has said more than what was read, or does *within* seconds."""
        before = self.socket.gettimeout()
        self.socket.settimeout(within)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(before)


class ScriptedServer:
    """Use as a context manager.

    *on_command* is called with connection and command line; its reply is said where it gives one, else
    what a kind server says. *on_dot* is called with the connection when a content is complete, before the
    reply; both may wait. Where one raises `ConnectionError`, the connection is closed.
    """

    def __init__(self, offers: tuple[str, ...] = OFFERS) -> None:
        self.offers = offers
        self.on_command: Callable[[Connection, str], Reply] = lambda _connection, _line: None
        self.on_dot: Callable[[Connection], Reply] = lambda _connection: None
        self.accepted: Counter[str] = Counter()
        self.connections: list[Connection] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
            connection.socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            connection = Connection(len(self.connections), client)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with contextlib.suppress(OSError), connection.socket as client:
            client.settimeout(60)
            client.sendall(b"220 scripted\r\n")
            while line := _read_to(client, b"\r\n"):
                command = line.decode().strip()
                connection.lines.append(command)
                reply = self.on_command(connection, command) or self._kindly(connection, command)
                client.sendall(reply.encode() + b"\r\n")
                if reply.startswith("354"):
                    self._take(connection)
                elif reply.startswith(("221", "421")):
                    return

    def _kindly(self, connection: Connection, command: str) -> str:
        verb = command[:4].upper()
        if verb == "EHLO":
            return (
                "250-scripted\r\n"
                + "".join(f"250-{offer}\r\n" for offer in self.offers)
                + "250 HELP"
            )
        if verb == "RCPT":
            connection.mailbox = command.partition("<")[2].partition(">")[0]
        return {"DATA": "354 go on", "QUIT": "221 bye", "AUTH": "235 welcome"}.get(verb, "250 ok")

    def _take(self, connection: Connection) -> None:
        if not _read_to(connection.socket, b"\r\n.\r\n"):
            raise ConnectionError
        connection.messages += 1
        reply = self.on_dot(connection) or "250 queued"
        if reply.startswith("2"):
            self.accepted[connection.mailbox] += 1
        connection.socket.sendall(reply.encode() + b"\r\n")


def _read_to(client: socket.socket, end: bytes) -> bytes:
    """Read no octet more than to *end*: what follows is looked at by `Connection.has_more`."""
    data = b""
    while not data.endswith(end):
        octet = client.recv(1)
        if not octet:
            return b""
        data += octet
    return data
