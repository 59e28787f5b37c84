"""A submission server that notes when each message came and how many connections were open."""

import asyncio
import threading
import time
from bisect import bisect_left
from collections import defaultdict, deque
from typing import Self

THROTTLED = "454 Throttling failure: Maximum sending rate exceeded."


class CountingServer:
    """Takes all mail, from anybody. Use as a context manager; its thread ends with it.

    *taken* are the times of accepted messages by reverse-path. *allowed* messages a second are taken
    from a reverse-path that is named there, others are throttled as Amazon SES does. *delay* seconds
    pass before the reply to a final dot. *at_most* connections are open at once, else 421.
    """

    def __init__(self, *, allowed: dict[str, int] | None = None, delay: float = 0.0) -> None:
        self.taken: dict[str, list[float]] = defaultdict(list)
        self.mailboxes: list[str] = []
        self.allowed = allowed or {}
        self.recent: dict[str, deque[float]] = defaultdict(deque)
        self.throttled = 0
        self.delay = delay
        self.open: set[asyncio.Transport] = set()
        self.most_open = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> int:
        self._server = await self._loop.create_server(lambda: _Session(self), "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for transport in list(self.open):
            transport.abort()
        await asyncio.sleep(0)

    def take(self, sender: str, mailbox: str) -> str:
        """The reply to a final dot."""
        now = time.monotonic()
        if sender in self.allowed:
            recent = self.recent[sender]
            while recent and recent[0] <= now - 1:
                recent.popleft()
            if len(recent) >= self.allowed[sender]:
                self.throttled += 1
                return THROTTLED
            recent.append(now)
        self.taken[sender].append(now)
        self.mailboxes.append(mailbox)
        return "250 2.0.0 taken"

    def most_within(self, sender: str, seconds: float) -> int:
        """The most messages of *sender* that came within any *seconds*."""
        times = self.taken[sender]
        return max(bisect_left(times, first + seconds) - index for index, first in enumerate(times))


class _Session(asyncio.Protocol):
    def __init__(self, server: CountingServer) -> None:
        self.server = server
        self.buffer = b""
        self.in_content = False
        self.sender = self.mailbox = ""
        self.is_busy = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.server.open.add(transport)
        self.server.most_open = max(self.server.most_open, len(self.server.open))
        self.say("220 test ESMTP")

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.open.discard(self.transport)

    def say(self, line: str) -> None:
        self.transport.write(line.encode() + b"\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.work()

    def work(self) -> None:
        while not self.is_busy:
            end = b"\r\n.\r\n" if self.in_content else b"\r\n"
            head, found, rest = self.buffer.partition(end)
            if not found:
                return
            self.buffer = rest
            if self.in_content:
                self.in_content, self.is_busy = False, True
                reply = self.server.take(self.sender, self.mailbox)
                self.server._loop.call_later(self.server.delay, self.answer, reply)
            else:
                self.command(head.decode())

    def answer(self, reply: str) -> None:
        self.say(reply)
        self.is_busy = False
        self.work()

    def command(self, line: str) -> None:
        verb = line[:4].upper()
        if verb == "EHLO":
            self.say("250-test\r\n250-PIPELINING\r\n250 8BITMIME")
        elif verb == "MAIL":
            self.sender = line.partition("<")[2].partition(">")[0]
            self.say("250 2.1.0 ok")
        elif verb == "RCPT":
            self.mailbox = line.partition("<")[2].partition(">")[0]
            self.say("250 2.1.5 ok")
        elif verb == "DATA":
            self.in_content = True
            self.say("354 go ahead")
        elif verb == "QUIT":
            self.say("221 2.0.0 bye")
            self.transport.close()
        else:
            self.say("250 2.0.0 ok")
