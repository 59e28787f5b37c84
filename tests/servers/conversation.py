"""One client's connection to the mail server of the tests: what it says, and what it is answered."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.servers.scripted import ScriptedServer

PATIENCE = 120.0
"""Seconds after which a server gives up on a client that says nothing."""


class Act(Enum):
    """What a server does instead of replying."""

    HANG_UP = auto()
    """It closes the connection."""

    RESET = auto()
    """It closes the connection by a TCP reset: what the client has not read yet is lost to it."""

    SILENCE = auto()
    """It says nothing any more, until the client goes."""

    TAKE_AND_HANG_UP = auto()
    """It takes the message, and closes before it has said so. At other stages: HANG_UP."""


Answer = str | Act | None


class Ended(Exception):  # noqa: N818 - no error
    """The connection has come to its end."""


@dataclass(eq=False)
class Connection:
    """The *number*-th connection, from 0; *lines* are the commands that it has said so far."""

    number: int
    socket: socket.socket
    lines: list[str] = field(default_factory=list)
    turn: int = 0
    """How many answers it has got, the greeting among them."""
    user: str = ""
    is_logged_in: bool = False
    sender: str = ""
    has_sender: bool = False
    mailboxes: list[str] = field(default_factory=list)
    messages: int = 0
    """Contents that it has sent to the end."""
    is_over: bool = False
    _read: bytearray = field(default_factory=bytearray)

    @property
    def mailbox(self) -> str:
        """The last recipient of this transaction."""
        return self.mailboxes[-1] if self.mailboxes else ""

    def has_more(self, within: float = 0.05) -> bool:
        """Whether the client has said more than what was answered, or does *within* seconds."""
        if self._read:
            return True
        before = self.socket.gettimeout()
        self.socket.settimeout(within)
        try:
            self._read += self.socket.recv(65536)
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(before)
        return bool(self._read)

    def read_to(self, end: bytes) -> bytes:
        """All up to *end*, with it."""
        looked = 0
        while (found := self._read.find(end, looked)) < 0:
            looked = max(0, len(self._read) - len(end))
            self._more()
        return self.read(found + len(end))

    def read(self, size: int) -> bytes:
        """So many octets."""
        while len(self._read) < size:
            self._more()
        read = bytes(self._read[:size])
        del self._read[:size]
        return read

    def read_content(self) -> bytes:
        """A content behind DATA, without the final dot and without dot-stuffing (RFC 5321, 4.5.2)."""
        self._read[:0] = b"\r\n"  # DATA's own line end belongs to the final dot of an empty content
        stuffed = self.read_to(b"\r\n.\r\n")[2:-3]
        return re.sub(rb"(?m)^\.", b"", stuffed)

    def drop(self) -> None:
        """Forget what was read and not answered yet."""
        self._read.clear()

    def _more(self) -> None:
        part = self.socket.recv(1 << 18)
        if not part:
            raise Ended
        self._read += part

    def is_open(self) -> bool:
        """Whether neither side has ended it; asked of the socket: its thread may not know yet."""
        if self.is_over or isinstance(self.socket, ssl.SSLSocket):
            return not self.is_over
        try:
            # A socket of its own, which never waits: the thread may read what is there at any moment.
            with self.socket.dup() as looking:
                looking.settimeout(0)
                return looking.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:  # closed meanwhile
            return False

    def close(self) -> None:
        self.is_over = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def converse(server: ScriptedServer, connection: Connection) -> None:
    """Talk to a client until one of the two ends it, by `Ended` or an OSError."""
    connection.socket.settimeout(PATIENCE)
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    talk = _Talk(server, connection)
    if server.context and server.tls_first:
        talk.encrypt()
    talk.say("CONNECT", "", "220 scripted ESMTP")
    while True:
        talk.obey(connection.read_to(b"\r\n").decode("utf-8", "replace").removesuffix("\r\n"))


class _Talk:
    """What is said on one connection: each method for a verb answers that command."""

    def __init__(self, server: ScriptedServer, connection: Connection) -> None:
        self.server, self.connection = server, connection
        self._parts: list[bytes] = []
        """What came by BDAT."""

    def say(self, stage: str, line: str, kindly: str) -> str:
        """Answer *line* as the script wants, else *kindly*; return the reply."""
        answer = self.server.decide(stage, self.connection, line) or kindly
        self._wait(stage)
        return self._give(answer)

    def _wait(self, stage: str) -> None:
        """Let a reply take its time, which ends with the server."""
        delays = self.server.delays
        if self.server.over.wait(delays.get(stage, delays.get("*", 0.0))):
            raise Ended

    def _give(self, answer: str | Act) -> str:
        self.connection.turn += 1
        if isinstance(answer, Act):
            self._act(answer)
        else:
            self._write(answer)
        return answer

    def _act(self, act: Act) -> None:
        client = self.connection.socket
        if act is Act.SILENCE:
            while client.recv(65536):
                pass
        elif act is Act.RESET:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        raise Ended

    def _write(self, reply: str) -> None:
        octets = f"{reply}\r\n".encode()
        step = self.server.pieces or len(octets)
        for start in range(0, len(octets), step):
            self.connection.socket.sendall(octets[start : start + step])
        if reply.startswith(("221", "421")):
            raise Ended

    def encrypt(self) -> None:
        """The TLS handshake; what was said before it is forgotten (RFC 3207, 4.2)."""
        assert self.server.context is not None
        connection = self.connection
        connection.drop()
        connection.socket = self.server.context.wrap_socket(connection.socket, server_side=True)

    def obey(self, line: str) -> None:
        self.connection.lines.append(line)
        verb = line.partition(" ")[0].upper()
        VERBS.get(verb, _Talk.other)(self, verb, line)

    def other(self, verb: str, line: str) -> None:
        self.say(verb, line, KINDLY.get(verb, "500 5.5.1 no such command"))

    def ehlo(self, verb: str, line: str) -> None:
        self._forget()
        offers = list(self.server.offers)
        if self.server.context and not isinstance(self.connection.socket, ssl.SSLSocket):
            offers.append("STARTTLS")
        if self.server.passwords is not None and not any(o.startswith("AUTH") for o in offers):
            offers.append("AUTH PLAIN LOGIN")
        self.say(
            verb, line, "\r\n".join(["250-scripted", *(f"250-{o}" for o in offers), "250 HELP"])
        )

    def starttls(self, verb: str, line: str) -> None:
        if self.say(verb, line, "220 go on" if self.server.context else "502 5.5.1 no").startswith(
            "220"
        ):
            self.encrypt()

    def auth(self, verb: str, line: str) -> None:
        user, password = self._credentials(line)
        self.connection.user = user
        server = self.server
        with server.lock:
            server.at_login += 1
            server.most_at_login = max(server.most_at_login, server.at_login)
        try:
            answer = server.log_in(user, password, server.decide(verb, self.connection, line))
            self._wait(verb)
        finally:
            with server.lock:
                server.at_login -= 1
        self.connection.is_logged_in = self._give(answer).startswith("235")

    def _credentials(self, line: str) -> tuple[str, str]:
        """User name and password of PLAIN and LOGIN (RFC 4616), empty for what else there is."""
        _, mechanism, given = (*line.split(), "", "")[:3]
        if mechanism.upper() == "PLAIN":
            parts = _decoded(given or self._ask("")).split("\0")
            return (parts[1], parts[2]) if len(parts) == 3 else ("", "")
        if mechanism.upper() == "LOGIN":
            user = _decoded(given or self._ask("VXNlcm5hbWU6"))
            return user, _decoded(self._ask("UGFzc3dvcmQ6"))
        return "", ""

    def _ask(self, challenge: str) -> str:
        self._write(f"334 {challenge}")
        return self.connection.read_to(b"\r\n").decode().strip()

    def mail(self, verb: str, line: str) -> None:
        self._forget()
        has_to_log_in = self.server.passwords is not None and not self.connection.is_logged_in
        kindly = "530 5.7.0 authentication required" if has_to_log_in else "250 2.1.0 ok"
        self.connection.has_sender = self.say(verb, line, kindly).startswith("250")
        self.connection.sender = mailbox_in(line)

    def rcpt(self, verb: str, line: str) -> None:
        kindly = "250 2.1.5 ok" if self.connection.has_sender else "503 5.5.1 MAIL first"
        if mailbox_in(line) in self.server.gone:
            kindly = "550 5.1.1 no such user"
        if self.say(verb, line, kindly).startswith("250") and self.connection.has_sender:
            self.connection.mailboxes.append(mailbox_in(line))

    def data(self, verb: str, line: str) -> None:
        # A client that pipelines has written DATA before it knows that nobody was taken: it gets a
        # refusal here, and sends no content (RFC 2920, 3.1).
        kindly = "354 go on" if self.connection.mailboxes else "554 5.5.1 no valid recipients"
        if self.say(verb, line, kindly).startswith("354"):
            self._end(self.connection.read_content(), ".")

    def bdat(self, verb: str, line: str) -> None:
        _, size, *last = line.split()
        # The octets come behind the command whatever is answered to it (RFC 3030, 2).
        self._parts.append(self.connection.read(int(size)))
        if not self.connection.mailboxes:
            self._forget()
            self.say(verb, line, "503 5.5.1 RCPT first")
        elif last:
            self._end(b"".join(self._parts), line)
        elif not self.say(verb, line, "250 2.0.0 go on").startswith("250"):
            self._forget()

    def _end(self, content: bytes, line: str) -> None:
        """The answer to a whole message, written down before it leaves."""
        server, connection = self.server, self.connection
        connection.messages += 1
        server.contents.append(content)
        kindly = "250 2.0.0 taken" if connection.mailboxes else "554 5.5.1 no valid recipients"
        answer = server.decide("DOT", connection, line) or kindly
        says_yes = isinstance(answer, str) and answer.startswith("2")
        if connection.mailboxes and (says_yes or answer is Act.TAKE_AND_HANG_UP):
            server.take(connection, content)
        self._forget()
        self._wait("DOT")
        self._give(answer)

    def rset(self, verb: str, line: str) -> None:
        self._forget()
        self.other(verb, line)

    def _forget(self) -> None:
        """No transaction is under way any more."""
        self.connection.sender, self.connection.has_sender = "", False
        self.connection.mailboxes.clear()
        self._parts.clear()


KINDLY = {
    "HELO": "250 scripted",
    "RSET": "250 2.0.0 ok",
    "NOOP": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
}
"""What is said to verbs that need no thought."""

VERBS: dict[str, Callable[[_Talk, str, str], None]] = {
    "EHLO": _Talk.ehlo,
    "HELO": _Talk.rset,
    "STARTTLS": _Talk.starttls,
    "AUTH": _Talk.auth,
    "MAIL": _Talk.mail,
    "RCPT": _Talk.rcpt,
    "DATA": _Talk.data,
    "BDAT": _Talk.bdat,
    "RSET": _Talk.rset,
}


def mailbox_in(line: str) -> str:
    """The mailbox that a MAIL or RCPT names."""
    return line.partition("<")[2].partition(">")[0]


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
