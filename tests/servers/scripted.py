"""The mail server of the tests: it speaks SMTP, and a test scripts what it answers, when, to whom.

    with ScriptedServer({"shop": "right"}) as server:
        server.answer("RCPT", "550 5.1.1 no such user", to="gone@example.org")
        server.answer("DOT", Act.TAKE_AND_HANG_UP, times=1)
        server.delays["DOT"] = 0.5
        ...
        assert server.mailboxes() == ["ada@example.org"]

Without a script it is kind: it takes mail for everybody, from whoever has logged in if it was given
passwords, else from anybody.

Stages are ``CONNECT`` (the greeting), ``DOT`` (a content has come to its end: by a dot, or by the last
BDAT), and each command's verb: EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, BDAT, RSET, NOOP, QUIT.
An answer is

* a reply, without its last line end. It may be anything: a refusal, a lie, an echo, no SMTP at all. 421
  and 221 close the connection;
* an `Act`, for what is no reply;
* a function of connection and command line (``"."`` at a dot, ``""`` at the greeting), which returns one
  of these, or None for "as if I were not here". It runs in the connection's thread, and may wait.

Whoever needs another server has a reason: `tests.servers.transcripts` fails at each octet that its
transcript does not have; `tests/chaos/recording_server.py` is a process, to be killed; those of
`tests.servers.real` are what our users talk to.
"""

import contextlib
import itertools
import math
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Self

from tests.servers.conversation import Act, Answer, Connection, Ended, converse
from tests.servers.waiting import eventually

ANY = "*"
"""Each stage."""

OFFERS = ("PIPELINING", "8BITMIME")


Answering = Callable[[Connection, str], Answer]


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that the server has taken: *at* a monotonic time, the *number*-th of its user, from 1."""

    at: float
    connection: int
    user: str
    number: int
    sender: str
    mailboxes: tuple[str, ...]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=policy.default)  # type: ignore[return-value]


@dataclass(eq=False)
class Rule:
    """One line of a script: *answer* at *stage*, to commands that it fits, *times* at most."""

    stage: str
    answer: Answer | Answering
    to: str = ""
    user: str | None = None
    times: float = math.inf

    def fits(self, stage: str, connection: Connection, line: str) -> bool:
        """Whether it answers this command; at a dot, *to* is looked for among the recipients."""
        said = " ".join(connection.mailboxes) if stage == "DOT" else line
        return (
            self.stage in (ANY, stage)
            and self.times > 0
            and self.to in said
            and self.user in (None, connection.user)
        )


class ScriptedServer:
    """Use as a context manager; its threads end with it.

    *passwords* are by user name; they may be changed while it runs. *offers* are the keywords that EHLO
    lists, beside AUTH where there are passwords. With *context*, STARTTLS is offered; with *tls_first*,
    the handshake comes before the greeting instead. *delays* are seconds before the reply at a stage, or
    before each (`ANY`); *pieces* is how many octets are written at once. *gone* are mailboxes that do not
    exist. *on_taken* is called with each message taken, before the reply leaves.
    """

    def __init__(
        self,
        passwords: dict[str, str] | None = None,
        *,
        offers: Sequence[str] = OFFERS,
        context: ssl.SSLContext | None = None,
        tls_first: bool = False,
    ) -> None:
        self.passwords = dict(passwords) if passwords is not None else None
        self.offers = tuple(offers)
        self.context, self.tls_first = context, tls_first
        self.script: list[Rule] = []
        self.delays: dict[str, float] = {}
        self.pieces = 0
        self.on_taken: Callable[[Taken], None] = lambda _taken: None
        self.gone: set[str] = set()
        self.taken: list[Taken] = []
        self._numbers: Counter[str] = Counter()
        self.contents: list[bytes] = []
        """All that came to an end, taken or not."""
        self.connections: list[Connection] = []
        self.most_open = 0
        self.logins: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        """Logins refused, by user."""
        self.at_login = self.most_at_login = 0
        self.over = threading.Event()
        self.lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def answer(
        self,
        stage: str,
        answer: Answer | Answering,
        *,
        to: str = "",
        user: str | None = None,
        times: float = math.inf,
    ) -> Rule:
        """Add to the script: the first rule that fits, and says something, answers.

        *to* is a part of the command line, or of a recipient at a dot; *user* who has logged in, or tries
        to; *times* how often it answers.
        """
        self.script.append(Rule(stage, answer, to, user, times))
        return self.script[-1]

    def say_in_turn(self, *answers: Answer) -> None:
        """Say a greeting, then one answer after another, whatever it hears; at the end, hang up."""
        last = Act.HANG_UP
        self.answer(
            ANY, lambda connection, _line: (*answers, last)[min(connection.turn, len(answers))]
        )

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return sum(connection.is_open() for connection in list(self.connections))

    def mailboxes(self, user: str | None = None) -> list[str]:
        """Whom mail was taken for, in order: who got two stands there twice. *user*: whose mail."""
        taken = [one for one in self.taken if user in (None, one.user)]
        return [mailbox for one in taken for mailbox in one.mailboxes]

    @property
    def kept(self) -> list[tuple[str, EmailMessage]]:
        """Each recipient with the message that came for it."""
        return [(mailbox, one.message) for one in list(self.taken) for mailbox in one.mailboxes]

    def wait_for(self, number: int, within: float = 60.0) -> list[tuple[str, EmailMessage]]:
        """Wait until *number* messages have come, and return what was `kept`."""
        eventually(lambda: len(self.taken) >= number, within, f"the {number}th message")
        return self.kept

    # What a conversation asks.

    def decide(self, stage: str, connection: Connection, line: str) -> Answer:
        """What the script says; None where it says nothing."""
        with self.lock:
            rules = [rule for rule in self.script if rule.fits(stage, connection, line)]
        for rule in rules:
            said = rule.answer(connection, line) if callable(rule.answer) else rule.answer
            if said is not None:
                with self.lock:
                    if rule.times <= 0:
                        continue
                    rule.times -= 1
                return said
        return None

    def log_in(self, user: str, password: str, answer: Answer) -> str | Act:
        """The answer to an AUTH, and its place in the books."""
        if answer is None:
            known = self.passwords is None or self.passwords.get(user) == password
            answer = "235 2.7.0 welcome" if known else "535 5.7.8 authentication failed"
        is_good = isinstance(answer, str) and answer.startswith("235")
        with self.lock:
            (self.logins if is_good else self.refused)[user] += 1
        return answer

    def take(self, connection: Connection, content: bytes) -> None:
        """Write down a message, then tell who looks on."""
        with self.lock:
            self._numbers[connection.user] += 1
            taken = Taken(
                time.monotonic(), connection.number, connection.user, self._numbers[connection.user],
                connection.sender, tuple(connection.mailboxes), content,
            )  # fmt: skip
            self.taken.append(taken)
        self.on_taken(taken)

    # Its connections.

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.over.set()
        # Wakes `accept` on each system; closing the listener does so on Linux only.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 10).close()
        self._thread.join(10)
        self._listener.close()
        for connection in self.connections:
            connection.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        for number in itertools.count():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.over.is_set():
                client.close()
                return
            connection = Connection(number, client)
            self.connections.append(connection)
            self.most_open = max(self.most_open, self.open)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: Connection) -> None:
        with contextlib.suppress(OSError, Ended):
            converse(self, connection)
        connection.close()
