"""What holds whatever a server says: each message one result, in order, and none sent twice."""

import contextlib
import itertools
import threading
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailer.errors import ReplySyntaxError
from mailer.smtp import Driver, Fate, Reply, ReplyParser, Stage, Submission, Timeouts
from mailer.smtp.envelope import Attempt, Envelope, Mode
from mailer.smtp.transaction import Script
from tests.servers.scripted import ANY, Act, ScriptedServer

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


def capricious(outcomes: list[str], keywords: str, pieces: int) -> ScriptedServer:
    """A server that answers the next outcome to whatever it is told, but to EHLO and QUIT."""
    server, left, lock = ScriptedServer(offers=keywords.split()), iter(outcomes), threading.Lock()
    acts = {"ok": None, "cut": Act.HANG_UP, "do and cut": Act.TAKE_AND_HANG_UP, "reset": Act.RESET}

    def answer(_connection, line: str):
        if line[:4] in ("", "EHLO", "QUIT"):
            return None
        with lock:
            outcome = next(left, "ok")
        return acts.get(outcome, outcome)

    server.answer(ANY, answer)
    server.pieces = pieces
    return server


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
    server = capricious(outcomes, keywords, pieces)
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
    with server:
        results = driver.send(
            [Submission("a@b.example", f"u{n}@b.example", text) for n, text in enumerate(contents)],
            journal,
        )
        driver.close()
    accepted = Counter(taken.content for taken in server.taken)
    assert len(results) == count
    for text, result in zip(contents, results, strict=True):
        times = accepted[text]
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
