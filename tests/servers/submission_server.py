"""A small submission server whose passwords, replies and moods a test changes while it runs."""

import asyncio
import base64
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Self


class SubmissionServer:
    """Takes mail from those who log in. Use as a context manager; its thread ends with it.

    *passwords* are by user name. *auth_reply* answers every AUTH instead of looking. *slow_login* is
    how many seconds an AUTH takes: long enough that several logins are under way at once;
    *at_login* counts them, and *on_auth* is called as each begins. *on_accepted* is called with user
    and number after each of a user's accepted messages. *gone* are
    mailboxes that do not exist; *rcpt_reply* says what else RCPT is answered for a mailbox, ""
    for 250; *mail_reply* answers every MAIL of a user. *delay* seconds pass before each reply, one
    command after the other: a tarpit. *final_replies* answer the next final dots: none is accepted,
    and ``""`` hangs up instead. *contents* are all contents that came, in order.
    """

    def __init__(self, **passwords: str) -> None:
        self.passwords = dict(passwords)
        self.auth_reply: dict[str, str] = {}
        self.slow_login = 0.0
        self.on_accepted: Callable[[str, int], None] = lambda _user, _number: None
        self.mail_reply: dict[str, str] = {}
        self.gone: set[str] = set()
        self.rcpt_reply: Callable[[str], str] = lambda _mailbox: ""
        self.delay = 0.0
        self.final_replies: list[str] = []
        self.contents: list[bytes] = []
        self.connections = 0
        self.at_login = 0
        self.most_at_login = 0
        self.on_auth: Callable[[], None] = lambda: None
        self.logins: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.accepted: dict[str, list[str]] = defaultdict(list)
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
        self._transports: set[asyncio.Transport] = set()
        self._server = await self._loop.create_server(lambda: _Session(self), "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for transport in list(self._transports):
            transport.abort()
        await asyncio.sleep(0)

    def log_in(self, user: str, password: str) -> str:
        """The reply to an AUTH."""
        if user in self.auth_reply:
            self.refused[user] += 1
            return self.auth_reply[user]
        if self.passwords.get(user) != password:
            self.refused[user] += 1
            return "535 5.7.8 Error: authentication failed"
        self.logins[user] += 1
        return "235 2.7.0 ok"

    def take(self, user: str, mailbox: str) -> None:
        self.accepted[user].append(mailbox)
        self.on_accepted(user, len(self.accepted[user]))


class _Session(asyncio.Protocol):
    def __init__(self, server: SubmissionServer) -> None:
        self.server = server
        self.buffer = b""
        self.in_content = False
        self.user = ""
        self.mailbox = ""
        self.is_busy = False
        self.is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.server._transports.add(transport)
        self.server.connections += 1
        self.say("220 test ESMTP")

    def connection_lost(self, exc: Exception | None) -> None:
        self.server._transports.discard(self.transport)

    def say(self, line: str) -> None:
        if not self.server.delay:
            self.transport.write(line.encode() + b"\r\n")
            return
        self.is_busy = True
        self.server._loop.call_later(self.server.delay, self.say_late, line)

    def say_late(self, line: str) -> None:
        self.transport.write(line.encode() + b"\r\n")
        self.is_busy = False
        self.work()

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
                self.in_content = False
                self.end_content(head + b"\r\n")
            else:
                self.command(head.decode())

    def end_content(self, content: bytes) -> None:
        self.server.contents.append(content)
        reply = self.server.final_replies.pop(0) if self.server.final_replies else None
        if reply is None:
            self.server.take(self.user, self.mailbox)
            self.say("250 2.0.0 taken")
        elif reply:
            self.say(reply)
        else:
            self.transport.abort()

    def command(self, line: str) -> None:
        verb = line[:4].upper()
        if verb == "EHLO":
            self.say("250-test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN")
        elif verb == "AUTH":
            _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
            self.is_busy = True
            self.server.at_login += 1
            self.server.most_at_login = max(self.server.most_at_login, self.server.at_login)
            self.server.on_auth()
            self.server._loop.call_later(self.server.slow_login, self.answer, user, password)
        elif verb == "MAIL":
            self.say(self.server.mail_reply.get(self.user, "250 2.1.0 ok"))
        elif verb == "RCPT":
            self.mailbox = line.partition("<")[2].partition(">")[0]
            own = self.server.rcpt_reply(self.mailbox)
            gone = self.mailbox in self.server.gone or own
            self.say(own or ("550 5.1.1 no such user" if gone else "250 2.1.5 ok"))
            self.is_refused = bool(gone)
        elif verb == "DATA":
            self.in_content = not self.is_refused
            self.say("554 5.5.1 no valid recipients" if self.is_refused else "354 go ahead")
        elif verb == "QUIT":
            self.say("221 2.0.0 bye")
            self.transport.close()
        else:
            self.say("250 2.0.0 ok")

    def answer(self, user: str, password: str) -> None:
        self.server.at_login -= 1
        reply = self.server.log_in(user, password)
        self.user = user if reply.startswith("235") else ""
        self.is_busy = False
        self.say(reply)
        self.work()
