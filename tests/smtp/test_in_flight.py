"""What is in flight is not given up, and nobody waits for another's connection."""

import socket
import threading
import time

import pytest

from mailer.smtp import Action, Driver, Fate, Proceed, Timeouts, roster
from mailer.smtp.connection.transport import Transport
from tests.servers.scripted import ANY, Act, ScriptedServer

PATIENCE = 30.0


@pytest.fixture
def server():
    with ScriptedServer() as made:
        yield made


@pytest.fixture
def driver(server, settings, gate):
    made = []

    def make(**changes) -> Driver:
        made.append(Driver(settings(server.port, **changes), gate))
        return made[-1]

    yield make
    for one in made:
        one.close()


def _names(count: int) -> list[str]:
    return [f"u{number}@example.org" for number in range(count)]


@pytest.mark.parametrize(
    ("order", "fate"),
    [(Proceed.BEGIN_NOTHING, Fate.ACCEPTED), (Proceed.END, Fate.UNCERTAIN)],
    ids=["a pause", "the end of the process"],
)
def test_only_the_end_of_the_process_gives_up_what_is_in_flight(server, driver, mail, order, fate):
    notes = threading.Semaphore(0)
    over = threading.Event()

    class Ordering:
        def commit(self, results, starting) -> Proceed:
            if starting:
                return Proceed.GO_ON
            notes.release()
            return order

    def after_some_notes(_connection, _line) -> None:
        if fate is Fate.UNCERTAIN:
            over.wait(PATIENCE)
            return
        for _ in range(3):  # heartbeats: each is later than the grace
            notes.acquire(timeout=PATIENCE)

    server.answer("DOT", after_some_notes)
    ours = driver(timeouts=Timeouts(grace=0.1))
    (result,) = ours.send(mail("ada@example.org"), Ordering())
    over.set()
    assert result.fate is fate


def test_resting_sessions_send_what_a_silent_one_has_begun(
    server, driver, mail, journal, monkeypatch
):
    monkeypatch.setattr(roster, "STALLED", 0.2)
    over = threading.Event()

    def first_is_silent(connection, _line):
        if connection.number == 0:
            over.wait(PATIENCE)

    server.answer("MAIL", first_is_silent)
    began = time.monotonic()
    results = driver(max_connections=2).send(mail(*_names(12)), journal)
    over.set()
    assert {result.fate for result in results} == {Fate.ACCEPTED}
    assert len(set(server.mailboxes())) == len(server.taken)
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("how", ["max_idle", "surplus"])
def test_while_one_reply_is_awaited_resting_sessions_give_up_their_places(
    server, driver, mail, journal, gate, how
):
    others_are_gone = threading.Event()
    ours = driver(max_connections=2, max_idle=0.3 if how == "max_idle" else 600.0)

    def first_waits_for_the_second_to_leave(connection, _line) -> None:
        if connection.number == 0:
            while not others_are_gone.wait(0.05):
                if how == "surplus":
                    ours.reap(surplus=1)

    def note_quit(connection, _line):
        if connection.number == 1:
            others_are_gone.set()

    server.answer("DOT", first_waits_for_the_second_to_leave)
    server.answer("QUIT", note_quit)
    results = ours.send(mail(*_names(12)), journal)
    assert {result.fate for result in results} == {Fate.ACCEPTED}
    assert others_are_gone.is_set()


def test_one_connection_tries_to_run_ahead_and_the_others_wait(server, driver, mail, journal):
    """At the first dot of each of four connections, one has written its next MAIL."""
    together = threading.Barrier(4, timeout=PATIENCE)
    ahead: list[int] = []

    def at_dot(connection, _line) -> None:
        if connection.messages == 1:
            together.wait()
            if connection.has_more():
                ahead.append(connection.number)
            together.wait()

    server.answer("DOT", at_dot)
    results = driver(max_connections=4).send(mail(*_names(40)), journal)
    assert {result.fate for result in results} == {Fate.ACCEPTED}
    assert len(ahead) == 1
    assert any("RSET" in connection.lines for connection in server.connections)


def test_a_server_that_refuses_what_is_written_ahead_loses_nobody(server, driver, mail, journal):
    """As Haraka: 503 to whatever stands behind an unanswered dot, on every connection."""
    too_early: set[int] = set()

    def at_dot(connection, _line) -> None:
        if connection.has_more():
            too_early.add(connection.number)

    def answer(connection, line):
        if connection.number in too_early and line not in (".", "QUIT"):
            return "503 5.5.1 bad sequence of commands"
        return None

    server.answer("DOT", at_dot)
    server.answer(ANY, answer)
    results = driver(max_connections=3).send(mail(*_names(30)), journal)
    assert {result.fate for result in results} == {Fate.ACCEPTED}
    assert len(set(server.mailboxes())) == len(server.taken)
    assert len(server.taken) == 30
    assert len(too_early) == 1, "the others have learnt from it"


def test_a_server_that_dies_of_what_is_written_ahead_leaves_one_in_doubt(
    server, driver, mail, journal
):
    """As Dovecot's submission service without the RSET: it hangs up instead of answering the dot."""

    def at_dot(connection, _line):
        return Act.HANG_UP if connection.has_more() else None

    server.answer("DOT", at_dot)
    results = driver(max_connections=3).send(mail(*_names(30)), journal)
    fates = [result.fate for result in results]
    assert fates.count(Fate.UNCERTAIN) == 1
    assert fates.count(Fate.ACCEPTED) == 29


def test_a_further_login_that_is_refused_for_now_opens_no_more_and_ends_nothing(
    server, driver, mail, journal, gate
):
    has_come = threading.Event()

    def second_login_waits(connection, _line):
        if connection.number == 0:
            return None
        has_come.set()
        return "454 4.7.0 too many logins, try again later"

    def wait_for_second(_connection, _line):
        assert has_come.wait(PATIENCE), "no second connection has come as far as its login"

    server.answer("AUTH", second_login_waits)
    server.answer("DOT", wait_for_second)
    server.offers = ("PIPELINING", "AUTH PLAIN")
    ours = driver(max_connections=4, username="ada", password=lambda: "secret")
    results = ours.send(mail(*_names(40)), journal)
    assert {result.action for result in results} == {Action.OK}
    assert gate.troubles == []
    logins = [c for c in server.connections if any("AUTH" in line for line in c.lines)]
    assert len(logins) == 2


def test_the_system_notices_a_dead_connection_within_two_minutes(server):
    """Half an hour of a real dead link is not waited for: the options are what the system goes by."""
    port = server.port
    connection = Transport((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)))
    ours = socket.socket(fileno=socket.dup(connection.fileno()))
    with ours:
        option = ours.getsockopt
        assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 120_000
        probes = option(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        between = option(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        assert option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) + probes * between <= 120
    connection.close()
