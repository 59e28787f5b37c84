"""What comes back by LMTP (RFC 2033): a mail server hands it over, and hears of each recipient.

An own listener, as small as can be: the ones that exist give one reply for several recipients.
"""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from mailer.errors import LedgerUnavailableError
from mailer.feedback.parts import MAX_OCTETS
from mailer.feedback.returns import Returns, Tally

MAX_LINE: Final = 4096
"""Octets of a command; RFC 5321 §4.5.3.1 asks for 512 and what extensions add."""

MAX_LARGE: Final = 64 * MAX_OCTETS
"""Octets of a message that are taken; only the first 1 MiB is read, as by every other way."""

MAX_RECIPIENTS: Final = 100
MAX_SESSIONS: Final = 50
MAX_FAULTS: Final = 20
PATIENCE: Final = 300.0
"""Seconds for a command, and for a whole message."""

_PATH: Final = re.compile(rb"<([^<>\s]{1,320})>(?:\s[^\r\n]*)?\Z")
_LATER: Final = b"451 4.3.0 try again later"
_UNKNOWN: Final = b"550 5.1.1 no such return path"


class _TooMuchError(Exception):
    """The client said more than is taken: the session ends."""


class Listener:
    """Takes in by *returns* what mail servers hand over; *done* hears of every message."""

    def __init__(self, returns: Returns, done: Callable[[Tally], object]) -> None:
        self._returns = returns
        self._done = done
        # One thread: what is shared by sessions needs no lock, and the loop never waits for Redis.
        self._desk = ThreadPoolExecutor(1, "mailer-lmtp")
        self._sessions = 0

    async def listen(self, host: str, port: int) -> asyncio.Server:
        """Begin to listen; the server is closed by its `close`. Raises `OSError`."""
        return await asyncio.start_server(self._session, host, port, limit=2 * MAX_LINE)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sessions += 1
        try:
            if self._sessions > MAX_SESSIONS:
                writer.write(b"421 4.3.2 too many sessions\r\n")
            else:
                await _Session(self, reader, writer).run()
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, _TooMuchError):
            pass  # without a 250 the client has the message still, and hands it over again
        finally:
            self._sessions -= 1
            writer.close()

    async def knows(self, mailbox: str) -> bool:
        """Whether *mailbox* may be delivered to. Raises `LedgerUnavailableError`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._desk, self._returns.expects, mailbox)

    async def take(self, octets: bytes, mailbox: str) -> bytes:
        """Record a message for one recipient; returns the reply to give."""
        loop = asyncio.get_running_loop()
        try:
            taken = await loop.run_in_executor(
                self._desk, self._returns.take, octets, "lmtp", (mailbox,)
            )
        except LedgerUnavailableError:
            return _LATER
        tally = Tally()
        tally.add(taken)
        self._done(tally)
        return b"250 2.0.0 recorded"


@dataclass(slots=True)
class _Session:
    """One client: what it said so far."""

    listener: Listener
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    greeted: bool = False
    sender: bool = False
    recipients: list[str] = field(default_factory=list)
    faults: int = 0

    async def run(self) -> None:
        """Answer commands until QUIT, or until it is too much."""
        self._say(b"220 mailer LMTP")
        while self.faults < MAX_FAULTS:
            await self.writer.drain()
            async with asyncio.timeout(PATIENCE):
                line = await self._line()
            verb, _, rest = line.partition(b" ")
            if verb.upper() == b"QUIT":
                self._say(b"221 2.0.0 bye")
                return
            await self._command(verb.upper(), rest.strip())
        self._say(b"421 4.7.0 too many errors")

    async def _command(self, verb: bytes, rest: bytes) -> None:
        if verb == b"LHLO":
            self.greeted = True
            self._forget()
            size = b"250 SIZE %d" % MAX_LARGE
            for word in (b"mailer", b"PIPELINING", b"ENHANCEDSTATUSCODES", b"8BITMIME"):
                self._say(b"250-" + word)
            self._say(b"250-SMTPUTF8", size)
        elif verb in (b"NOOP", b"RSET"):
            if verb == b"RSET":
                self._forget()
            self._say(b"250 2.0.0 ok")
        elif verb == b"MAIL" and self.greeted and not self.sender:
            # Who sent it proves nothing, and is not looked at.
            self.sender = True
            self._say(b"250 2.1.0 ok")
        elif verb == b"RCPT" and self.sender:
            await self._recipient(rest)
        elif verb == b"DATA" and self.recipients:
            await self._message()
        else:
            known = verb in (b"MAIL", b"RCPT", b"DATA")
            self._refuse(b"503 5.5.1 not now" if known else b"500 5.5.2 no such command")

    async def _recipient(self, rest: bytes) -> None:
        found = _PATH.match(rest[3:].lstrip()) if rest[:3].upper() == b"TO:" else None
        mailbox = found[1].decode("utf-8", "replace") if found else ""
        if not mailbox:
            self._refuse(b"501 5.5.4 write RCPT TO:<mailbox>")
        elif len(self.recipients) >= MAX_RECIPIENTS:
            self._refuse(b"452 4.5.3 too many recipients")
        else:
            try:
                known = await self.listener.knows(mailbox)
            except LedgerUnavailableError:
                self._say(_LATER)
                return
            if known:
                self.recipients.append(mailbox)
                self._say(b"250 2.1.5 ok")
            else:
                self._refuse(_UNKNOWN)

    async def _message(self) -> None:
        self._say(b"354 go on")
        await self.writer.drain()
        async with asyncio.timeout(PATIENCE):
            octets = await self._data()
        for mailbox in self.recipients:
            # A reply for each recipient, in the order of RCPT (RFC 2033 §4.2).
            self._say(await self.listener.take(octets, mailbox))
            await self.writer.drain()
        self._forget()

    async def _data(self) -> bytes:
        """The message up to its lone dot; of a large one its first 1 MiB."""
        kept = bytearray()
        total, begins = 0, True
        while True:
            piece, whole = await self._piece()
            if begins and whole and piece == b".\r\n":
                return bytes(kept)
            total += len(piece)
            if total > MAX_LARGE:
                raise _TooMuchError
            if len(kept) < MAX_OCTETS:
                kept += piece[1:] if begins and piece.startswith(b".") else piece
            begins = whole

    async def _piece(self) -> tuple[bytes, bool]:
        """The next line, or so much of a long one as is there; and whether it ends."""
        try:
            return await self.reader.readuntil(b"\r\n"), True
        except asyncio.LimitOverrunError as exc:
            return await self.reader.readexactly(exc.consumed), False

    async def _line(self) -> bytes:
        line, whole = await self._piece()
        if not whole or len(line) > MAX_LINE:
            raise _TooMuchError
        return line.rstrip()

    def _forget(self) -> None:
        self.sender = False
        self.recipients = []

    def _refuse(self, reply: bytes) -> None:
        self.faults += 1
        self._say(reply)

    def _say(self, *lines: bytes) -> None:
        self.writer.write(b"".join(line + b"\r\n" for line in lines))
