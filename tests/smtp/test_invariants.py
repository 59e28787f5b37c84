"""What holds whatever a server says: each message one result, in order, and none sent twice."""

import contextlib
import itertools
import socket
import threading
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailer.errors import ReplySyntaxError
from mailer.smtp import Driver, Fate, Reply, ReplyParser, Stage, Submission, Timeouts
from mailer.smtp.envelope import Attempt, Envelope, Mode
from mailer.smtp.transaction import Script

CODES = st.sampled_from([250, 354, 421, 450, 452, 500, 503, 530, 550, 554, 220, 251])
REPLIES = st.builds(
    Reply, CODES, st.none(), st.just(("said so",)), st.sampled_from([False] * 9 + [True])
)


class Conversation:
    """A script that is fed replies, and everything that it did."""

    def __init__(self, mode: Mode, count: int) -> None:
        self.taken: list[Attempt] = []
        self.decided: list[tuple[Attempt, Stage, Reply]] = []
        self.wire = b""
        self._left = iter(range(count))
        self.script = Script(
            self._take, lambda *answer: self.decided.append(answer), mode, window=3
        )

    def _take(self) -> Attempt | None:
        index = next(self._left, None)
        if index is None:
            return None
        envelope = Envelope(
            b"MAIL FROM:<%d>\r\n" % index,
            b"RCPT TO:<%d>\r\n" % index,
            b"content %d\r\n" % index,
            False,
        )
        self.taken.append(Attempt(index, envelope))
        return self.taken[-1]

    def write(self) -> None:
        self.wire += b"".join(self.script.out)
        self.script.out.clear()


@settings(max_examples=300)
@given(
    mode=st.sampled_from(Mode),
    count=st.integers(0, 6),
    replies=st.lists(REPLIES, max_size=40),
    cut=st.integers(0, 2000),
    finish_at=st.integers(0, 60),
)
def test_every_attempt_ends_once_and_no_content_leaves_unheld(mode, count, replies, cut, finish_at):
    talk = Conversation(mode, count)
    script = talk.script
    given_back: list[Attempt] = []
    released: set[int] = set()
    script.start()
    talk.write()
    for number, reply in enumerate(replies):
        if script.is_over:
            break
        if number == finish_at:
            given_back += script.finish()
        released.update(attempt.index for attempt in script.held)
        assert all(
            b"content %d" % index not in talk.wire
            for index in range(count)
            if index not in released
        )
        script.release()
        talk.write()
        script.receive(reply, len(talk.wire))
        talk.write()
    uncertain, unsent = script.abandon(min(cut, len(talk.wire)))
    ends = Counter(
        attempt.index
        for attempt in [*(one for one, _, _ in talk.decided), *given_back, *uncertain, *unsent]
    )
    assert ends == Counter(attempt.index for attempt in talk.taken)
    for _, stage, reply in talk.decided:
        assert reply.code >= 400 or stage is Stage.FINAL
    was_hung_up = any(reply.code == 421 for reply in replies)
    for attempt in unsent:
        assert was_hung_up or attempt.end < 0 or cut <= attempt.end - 3, (
            "its final dot has not left"
        )


@given(st.data())
def test_replies_are_the_same_however_the_octets_are_cut(data):
    replies = data.draw(
        st.lists(
            st.tuples(
                st.integers(200, 599),
                st.lists(
                    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"])),
                    min_size=1,
                    max_size=4,
                ),
            ),
            max_size=6,
        )
    )
    octets = b"".join(
        b"".join(
            f"{code}{'-' if number < len(lines) - 1 else ' '}{line}\r\n".encode()
            for number, line in enumerate(lines)
        )
        for code, lines in replies
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=12)))
    whole = ReplyParser().feed(octets)
    parser, parts = ReplyParser(), []
    for start, end in itertools.pairwise([0, *cuts, len(octets)]):
        parts += parser.feed(octets[start:end])
    assert parts == whole
    assert [reply.code for reply in whole] == [code for code, _ in replies]
    assert [str(reply) for reply in parser.feed(b"250 next\r\n")] == ["250 next"]


@given(st.binary(max_size=300))
def test_any_octets_are_replies_or_an_error_of_its_own(octets):
    with contextlib.suppress(ReplySyntaxError):
        for reply in ReplyParser().feed(octets):
            assert 200 <= reply.code <= 599
            assert reply.text.isprintable()


OUTCOMES = st.lists(
    st.sampled_from(
        ["ok"] * 12
        + [
            "450 4.2.0 later", "550 5.1.1 no such user", "421 4.3.0 shutting down", "cut", "do and cut",
            "reset", "garbage", "452 4.5.3 too many recipients", "530 5.7.0 authentication required",
            "550 5.4.5 daily limit exceeded", "500 5.5.1 unrecognized command", "354 go on",
            "250-two\r\n250 lines", "554 5.7.1 spam", "421 too many messages in this connection",
        ]
    ),
    max_size=40,
)  # fmt: skip


class CapriciousServer:
    """Understands SMTP, answers as it was told, cut as it was told, and remembers what it accepted."""

    def __init__(self, outcomes: list[str], keywords: str, pieces: int) -> None:
        self._outcomes = iter(outcomes)
        self._keywords = [f"250-{keyword}" for keyword in keywords.split()]
        self._pieces = pieces
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.port = self._listener.getsockname()[1]
        self.accepted: Counter[bytes] = Counter()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for thread in self._threads:
            thread.join(5)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
            self._say(connection, "220 hello")
            self._talk(connection, lines)

    def _talk(self, connection, lines) -> None:  # noqa: C901 - a server in one place
        has_sender = has_recipient = False
        for line in lines:
            verb = line[:4].upper()
            if verb == b"QUIT":
                self._say(connection, "221 bye")
                return
            if verb == b"EHLO":
                self._say(connection, "\r\n".join(["250-me", *self._keywords, "250 HELP"]))
                continue
            content = None
            if verb == b"BDAT":
                content = lines.read(int(line.split()[1]))
            positive = "354 go" if verb == b"DATA" else "250 ok"
            if verb == b"BDAT" and not (has_sender and has_recipient):
                positive, content = "503 5.5.1 need RCPT", None
            said = self._do(connection, positive, content)
            is_positive = said is not None and said.startswith("250")
            if verb == b"MAIL":
                has_sender, has_recipient = is_positive, False
            elif verb == b"RCPT":
                has_recipient = has_sender and is_positive
            elif verb != b"DATA":
                has_sender = has_recipient = False
            elif said is not None and said.startswith("354"):
                content = b"".join(itertools.takewhile(lambda part: part != b".\r\n", lines))
                said = self._do(connection, "250 queued", content if has_recipient else None)
                assert has_recipient or not content, "content for nobody"
                has_sender = has_recipient = False
            if said is None or said.startswith("421"):
                return

    def _do(self, connection, positive: str, content: bytes | None) -> str | None:
        with self._lock:
            outcome = next(self._outcomes, "ok")
        reply = positive if outcome == "ok" else outcome
        if content and (reply.startswith("250") or outcome == "do and cut"):
            with self._lock:
                self.accepted[content] += 1
        if outcome in ("cut", "do and cut"):
            return None
        if outcome == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return None
        self._say(connection, reply)
        return reply

    def _say(self, connection, text: str) -> None:
        octets = f"{text}\r\n".encode()
        for start in range(0, len(octets), self._pieces):
            connection.sendall(octets[start : start + self._pieces])


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    outcomes=OUTCOMES,
    count=st.integers(1, 8),
    keywords=st.sampled_from(["PIPELINING", "", "PIPELINING CHUNKING"]),
    connections=st.integers(1, 3),
    each=st.integers(1, 4),
    pieces=st.sampled_from([1, 3, 1000]),
    stop_after=st.none() | st.integers(0, 8),
)
def test_n_messages_give_n_results_in_order_and_none_is_accepted_twice(
    settings,
    new_gate,
    new_journal,
    outcomes,
    count,
    keywords,
    connections,
    each,
    pieces,
    stop_after,
):
    server = CapriciousServer(outcomes, keywords, pieces)
    gate, journal = new_gate(), new_journal(stop_after)
    contents = [b"message %d\r\n" % number for number in range(count)]
    driver = Driver(
        settings(
            server.port,
            max_connections=connections,
            max_messages_per_connection=each,
            chunking="CHUNKING" in keywords,
            chunking_window=3,
            timeouts=Timeouts(final=5, mail=5, rcpt=5, data=5, quit=1, grace=2, patience=2),
        ),
        gate,
    )
    results = driver.send(
        [Submission("a@b.example", f"u{n}@b.example", text) for n, text in enumerate(contents)],
        journal,
    )
    driver.close()
    server.close()
    assert len(results) == count
    for text, result in zip(contents, results, strict=True):
        times = server.accepted[text]
        if result.fate is Fate.ACCEPTED:
            assert times == 1
        elif result.fate is Fate.UNCERTAIN:
            assert times <= 1
        else:
            assert times == 0
    assert set(journal.results) == {
        index
        for index, result in enumerate(results)
        if result.fate in (Fate.ACCEPTED, Fate.REFUSED)
    }
    assert all(results[index] == result for index, result in journal.results.items())
    sent = {
        index
        for index, result in enumerate(results)
        if result.fate in (Fate.ACCEPTED, Fate.UNCERTAIN)
    }
    assert sent <= set(journal.started), "nothing ends that was not noted before"
    assert gate.open == 0


@pytest.mark.parametrize("mode", Mode)
def test_without_trouble_all_is_accepted(mode):
    talk = Conversation(mode, 5)
    talk.script.start()
    for _ in range(100):
        talk.write()
        talk.script.release()
        talk.write()
        stage = talk.script.expects
        if stage is None:
            break
        talk.script.receive(
            Reply(354 if stage is Stage.DATA else 250, None, ("ok",)), len(talk.wire)
        )
    assert [attempt.index for attempt, _, _ in talk.decided] == list(range(5))
    assert talk.script.is_idle
