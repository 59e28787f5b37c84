"""Many sessions at once: pooled, bounded, noted in groups, and never out of patience for ever."""

import gc
import os
import socket
import sys
import threading
import time
import types
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from mailer.errors import ConfigError
from mailer.smtp import Action, Driver, Fate, Proceed, Submission, Timeouts
from tests.servers.scripted import Act, ScriptedServer
from tests.servers.waiting import eventually

GREETING = """
    S: 220 mx.example ready
    C: EHLO client.example
    S: 250-mx.example
    S: 250 PIPELINING{}
"""
OPEN = GREETING.format("")
BYE = """
    C: QUIT
    S: 221 bye
"""


def one(name: str, reply: str = "250 queued") -> str:
    return f"""
        C: MAIL FROM:<news@shop.example>
        C: RCPT TO:<{name}@example.org>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: Subject: hello
        C:
        C: hello
        C: .
        S: {reply}
    """


@pytest.fixture
def driver(settings, gate):
    """Make drivers that are closed at the end of the test."""
    drivers = []

    def make(port: int, **changes) -> Driver:
        drivers.append(Driver(settings(port, **changes), gate))
        return drivers[-1]

    yield make
    for made in drivers:
        made.close()


def test_a_session_lives_from_one_call_to_the_next(playing, driver, mail, new_journal, gate):
    server = playing(OPEN + one("ada") + one("bob") + BYE)
    ours = driver(server.port)
    for name in ("ada", "bob"):
        (result,) = ours.send(mail(f"{name}@example.org"), new_journal())
        assert result.fate is Fate.ACCEPTED
    assert repr(ours).startswith("<Driver resting <Pool primary 127.0.0.1:")
    assert "1 idle, 1 opened, 0 retired, 0 broken" in repr(ours)
    ours.close()
    server.check()
    assert (gate.admitted, gate.gone) == (1, 1)


def test_a_session_that_the_server_has_left_is_discarded_before_it_is_used(
    playing, driver, mail, new_journal
):
    server = playing(
        OPEN + one("ada") + "S: 421 4.4.2 idle too long\nX: close", OPEN + one("bob") + BYE
    )
    ours = driver(server.port)
    ours.send(mail("ada@example.org"), new_journal())
    server._threads[0].join()
    (result,) = ours.send(mail("bob@example.org"), new_journal())
    assert result.fate is Fate.ACCEPTED
    ours.close()
    server.check()


@pytest.mark.parametrize(
    ("offer", "changes"),
    [("", {"max_messages_per_connection": 1}), ("\n    S: 250 LIMITS MAILMAX=1 RCPTMAX=x", {})],
    ids=["as the account says", "as the server says"],
)
def test_a_session_retires_after_its_share_of_messages(
    playing, driver, mail, journal, offer, changes
):
    greeting = (
        GREETING.format(offer).replace("S: 250 PIPELINING\n", "S: 250-PIPELINING\n")
        if offer
        else OPEN
    )
    server = playing(greeting + one("ada") + BYE, greeting + one("bob") + BYE)
    ours = driver(server.port, **changes)
    results = ours.send(mail("ada@example.org", "bob@example.org"), journal)
    assert [result.fate for result in results] == [Fate.ACCEPTED] * 2
    ours.close()
    server.check()


class Clock:
    """Time that passes when the test says so, over the real one."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.mark.parametrize(("ahead", "is_closed"), [(29.0, False), (31.0, True)])
def test_reaping_closes_what_was_idle_too_long_with_quit(
    playing, settings, gate, mail, journal, ahead, is_closed
):
    server = playing(OPEN + one("ada") + BYE)
    clock = Clock()
    ours = Driver(settings(server.port), gate, clock=clock)
    ours.send(mail("ada@example.org"), journal)
    clock.ahead = ahead
    ours.reap()
    assert gate.open == (0 if is_closed else 1)
    ours.close()
    server.check()


def test_the_maximum_age_is_jittered_downwards(playing, settings, gate, mail, new_journal):
    server = playing(OPEN + one("ada") + BYE, OPEN + one("bob") + BYE)
    clock = Clock()
    ours = Driver(settings(server.port, max_age=10.0), gate, clock=clock, random=lambda: 1.0)
    ours.send(mail("ada@example.org"), new_journal())
    clock.ahead = 8.5
    ours.send(mail("bob@example.org"), new_journal())
    ours.close()
    server.check()


def test_sessions_open_side_by_side_once_one_login_has_succeeded(driver, mail, journal, gate):
    barrier = threading.Barrier(3, timeout=30)
    with ScriptedServer() as server:
        # No message is accepted before three sessions have one each.
        server.answer("DOT", lambda _connection, _line: barrier.wait() < 0 or None)
        ours = driver(server.port, max_connections=3)
        results = ours.send(mail(*(f"u{n}@example.org" for n in range(12))), journal)
        ours.close()
    assert {result.fate for result in results} == {Fate.ACCEPTED}


def test_a_reply_that_never_comes_after_the_dot_leaves_the_message_uncertain(
    playing, driver, mail, journal
):
    server = playing(OPEN + one("ada").replace("S: 250 queued", "X: silence"))
    ours = driver(server.port, timeouts=Timeouts(final=0.1))
    (result,) = ours.send(mail("ada@example.org"), journal)
    assert result.fate is Fate.UNCERTAIN
    assert "no answer in time" in result.rule


def test_a_trickling_server_gains_no_time(driver, mail, journal):
    over = threading.Event()

    def trickle(connection, _line):
        while not over.wait(0.02):
            connection.socket.sendall(b"2")

    began = time.monotonic()
    with ScriptedServer() as server:
        server.answer("CONNECT", trickle)
        (result,) = driver(server.port, timeouts=Timeouts(greeting=0.3)).send(
            mail("ada@example.org"), journal
        )
        over.set()
    assert (result.fate, result.action) == (Fate.UNSENT, Action.RETRY_LATER)
    assert time.monotonic() - began < 30


def test_the_journal_hears_a_heartbeat_while_a_reply_is_awaited(driver, mail, journal):
    """The server answers when the journal has heard three; a busy machine may delay one of them."""

    heard = []

    def three_beats(_connection, _line):
        before = len(journal.beats)
        eventually(lambda: len(journal.beats) >= before + 3, what="three heartbeats")
        heard.extend(journal.beats[before : before + 3])

    with ScriptedServer() as server:
        server.answer("DOT", three_beats)
        ours = driver(server.port)
        (result,) = ours.send(mail("ada@example.org"), journal)
        ours.close()
    assert result.fate is Fate.ACCEPTED
    assert min(later - earlier for earlier, later in pairwise(heard)) < 1.0


def test_after_a_stop_replies_are_awaited_for_the_grace_only(playing, settings, gate, mail):
    server = playing(OPEN + one("ada").replace("S: 250 queued", "X: silence"))

    class StopsOnceStarted:
        def __init__(self) -> None:
            self.calls = 0

        def commit(self, results, starting) -> Proceed:
            self.calls += 1
            return Proceed.GO_ON if starting else Proceed.END

    ours = Driver(settings(server.port, timeouts=Timeouts(grace=0.1)), gate)
    began = time.monotonic()
    results = ours.send(mail("ada@example.org", "bob@example.org"), StopsOnceStarted())
    ours.close()
    assert [result.fate for result in results] == [Fate.UNCERTAIN, Fate.UNSENT]
    assert time.monotonic() - began < 30


def test_a_journal_that_raises_closes_all_connections_and_is_heard(playing, driver, mail, gate):
    server = playing(OPEN + one("ada").split("C: Subject", 1)[0])

    class LostLease:
        def commit(self, results, starting) -> Proceed:
            if starting:
                raise RuntimeError("lease lost")
            return Proceed.GO_ON

    with pytest.raises(RuntimeError, match="lease lost"):
        driver(server.port).send(mail("ada@example.org"), LostLease())
    assert gate.open == 0
    server.check()


def test_who_is_not_admitted_sends_nothing_and_says_so(driver, mail, journal, gate, free_tcp_port):
    gate.most = 0
    ours = driver(free_tcp_port, timeouts=Timeouts(patience=0.1))
    (result,) = ours.send(mail("ada@example.org"), journal)
    assert (result.fate, result.action) == (Fate.UNSENT, None)
    assert "admitted" in result.rule


def test_never_more_connections_than_the_gate_admits(playing, driver, mail, journal, gate):
    gate.most = 1
    asked, _, answered = one("bob").partition("S:")
    first = one("ada").replace("S: 250 queued", "C: RSET" + asked + "S: 250 queued\nS: 250 ok")
    server = playing(OPEN + first + "S:" + answered + BYE)
    ours = driver(server.port, max_connections=5)
    results = ours.send(mail("ada@example.org", "bob@example.org"), journal)
    ours.close()
    server.check()
    assert [result.fate for result in results] == [Fate.ACCEPTED] * 2
    assert gate.admitted == 1


def test_a_server_that_answers_before_it_has_read_all_is_heard(driver, journal):
    """The content is larger than all buffers, and the server refuses and closes half-way."""

    def refuse_half_way(connection, _line):
        connection.socket.sendall(b"354 go\r\n")
        connection.read(1000)
        connection.socket.sendall(b"552 5.3.4 message too big\r\n")
        connection.socket.shutdown(socket.SHUT_WR)
        return Act.SILENCE

    with ScriptedServer(offers=()) as server:
        server.answer("DATA", refuse_half_way)
        ours = driver(server.port)
        huge = Submission("a@b.example", "c@d.example", (b"x" * 76 + b"\r\n") * 300_000)
        (result,) = ours.send([huge], journal)
        ours.close()
    assert (result.fate, result.action) == (Fate.REFUSED, Action.FAIL_MESSAGE)


def test_a_content_larger_than_all_buffers_arrives_whole(driver, journal):
    content = b"".join(b"%09d\r\n" % number for number in range(700_000))
    with ScriptedServer(offers=()) as server:
        ours = driver(server.port)
        (result,) = ours.send([Submission("a@b.example", "c@d.example", content)], journal)
        ours.close()
    assert result.fate is Fate.ACCEPTED
    assert server.contents == [content]


def test_the_child_of_a_fork_has_sessions_of_its_own(playing, driver, mail, new_journal):
    server = playing(OPEN + one("ada") + one("carl") + BYE, OPEN + one("bob") + BYE)
    ours = driver(server.port)
    ours.send(mail("ada@example.org"), new_journal())
    child = os.fork()
    if child == 0:
        code = 1
        try:
            (result,) = ours.send(mail("bob@example.org"), new_journal())
            ours.close()
            code = 0 if result.fate is Fate.ACCEPTED else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    (result,) = ours.send(mail("carl@example.org"), new_journal())
    assert result.fate is Fate.ACCEPTED
    ours.close()
    server.check()


def test_patched_sockets_are_refused_with_what_to_do(monkeypatch, settings, gate):
    fake = types.ModuleType("gevent.monkey")
    fake.is_module_patched = lambda name: name == "socket"
    monkeypatch.setitem(sys.modules, "gevent.monkey", fake)
    with pytest.raises(ConfigError, match=r"gevent.*--pool prefork"):
        Driver(settings(25), gate)


def test_nothing_to_send_opens_nothing(driver, journal, gate, free_tcp_port):
    assert driver(free_tcp_port).send([], journal) == ()
    assert gate.admitted == 0


def open_descriptors() -> set[str]:
    return {place.name for place in Path("/proc/self/fd").iterdir() if place.exists()}


def test_a_driver_leaves_no_descriptor_open(playing, settings, gate, mail, journal):
    server = playing(OPEN + one("ada") + BYE)
    gc.collect()
    before = open_descriptors()
    ours = Driver(replace(settings(server.port), max_connections=3), gate)
    ours.send(mail("ada@example.org"), journal)
    ours.close()
    server.check()
    server.close()
    assert open_descriptors() <= before


def test_when_no_more_may_be_opened_and_the_last_is_gone_the_rest_is_unsent(
    playing, settings, new_gate, mail, journal
):
    """The second connection is throttled; the first goes on alone and retires."""

    class TwoInAll(new_gate):
        @property
        def open(self) -> int:
            return self.admitted

    gate = TwoInAll(2)
    server = playing(OPEN + one("ada") + BYE, "S: 421 too many concurrent connections")
    ours = Driver(settings(server.port, max_messages_per_connection=1, max_connections=2), gate)
    names = ["ada", *(f"u{n}" for n in range(9))]
    results = ours.send(mail(*(f"{name}@example.org" for name in names)), journal)
    ours.close()
    assert results[0].fate is Fate.ACCEPTED
    assert {(result.fate, result.action) for result in results[1:]} == {
        (Fate.UNSENT, Action.THROTTLE_ACCOUNT)
    }
    server.check()


def test_a_name_is_resolved_beside_the_loop_and_a_second_call_tries_again(
    settings, gate, mail, new_journal, monkeypatch
):
    asked, really = [], socket.getaddrinfo

    def look_up(host, *more, **options):
        if host != "mail.example":  # another thread of this process
            return really(host, *more, **options)
        if options.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        asked.append(threading.current_thread().name)
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    ours = Driver(settings(25, host="mail.example"), gate)
    for _ in range(2):
        (result,) = ours.send(mail("ada@example.org"), new_journal())
        assert (result.fate, result.action) == (Fate.UNSENT, Action.RETRY_LATER)
        assert "mail.example cannot be resolved" in result.rule
    ours.close()
    assert asked == ["mailer-smtp-blocking"] * 2


def test_another_address_is_tried_where_one_does_not_answer(
    playing, settings, gate, mail, journal, monkeypatch
):
    server = playing(OPEN + one("ada") + BYE)
    dead = socket.socket()
    dead.bind(("127.0.0.1", 0))
    places, really = [dead.getsockname(), ("127.0.0.1", server.port)], socket.getaddrinfo

    def look_up(host, *more, **options):
        if host != "mail.example":  # another thread of this process
            return really(host, *more, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    ours = Driver(settings(25, host="mail.example"), gate)
    (result,) = ours.send(mail("ada@example.org"), journal)
    ours.close()
    dead.close()
    server.check()
    assert result.fate is Fate.ACCEPTED
    assert gate.troubles == []
