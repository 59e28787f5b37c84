"""Connections of an account that logs in: opened side by side, logged in one after another."""

import threading

import pytest

from mailer.smtp import Action, Driver, Fate, Stage
from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import PATIENCE, eventually

LOGIN = {"username": "shop", "password": lambda: "right", "max_connections": 6}


@pytest.fixture
def server():
    with ScriptedServer({"shop": "right"}) as started:
        yield started


@pytest.fixture
def driver(settings, server, gate):
    made = Driver(settings(server.port, **LOGIN), gate)
    yield made
    made.close()


def mails(mail, count):
    return mail(*(f"r{number}@example.org" for number in range(count)))


def test_one_login_is_under_way_at_a_time_while_connections_open_side_by_side(
    server, driver, mail, journal, gate
):
    server.delays["AUTH"] = 0.05
    seen = []

    def at_login(_connection, _line):
        if seen:
            eventually(
                lambda: len(server.connections) > 2, what="a third beside the second's login"
            )
        seen.append(len(server.connections))

    def wait_for_others(_connection, _line):
        eventually(lambda: len(seen) > 2, what="a third login")

    server.answer("AUTH", at_login)
    # Without it the first connection may be through with all before others are needed.
    server.answer("DOT", wait_for_others)
    results = driver.send(mails(mail, 40), journal)
    assert {result.fate for result in results} == {Fate.ACCEPTED}
    assert server.most_at_login == 1
    assert server.logins["shop"] == gate.logins > 2
    assert seen[0] == 1, "the first login is tried alone"


def test_a_login_under_way_is_waited_for_though_nobody_needs_it_any_more(
    server, driver, mail, journal, gate
):
    second_has_come = threading.Event()

    def turn_wrong(_connection, _line):
        if server.logins["shop"] == 1 and not second_has_come.is_set():
            server.passwords.update(shop="changed")
            server.delays["AUTH"] = 0.5
            second_has_come.set()

    def wait_for_second(_connection, _line):
        assert second_has_come.wait(PATIENCE), "no second connection has come as far as its login"

    server.answer("AUTH", turn_wrong)
    # Without it the first connection may be through with all before another is needed.
    server.answer("DOT", wait_for_second)
    results = driver.send(mails(mail, 12), journal)
    assert {result.fate for result in results} == {Fate.ACCEPTED}
    assert server.refused["shop"] == 1
    (trouble,) = gate.troubles
    assert trouble[0] is Stage.AUTH
    assert trouble[2].action is Action.AUTH_FAIL


def test_who_may_not_log_in_after_all_hangs_up_without_having_tried(
    server, driver, mail, journal, gate
):
    asked = []

    def may_log_in():
        asked.append(server.logins["shop"])
        return len(asked) == 1

    def wait_for_second(_connection, _line):
        eventually(lambda: len(asked) > 1, what="a second that wants to log in")

    gate.may_log_in = may_log_in
    server.answer("DOT", wait_for_second)
    results = driver.send(mails(mail, 40), journal)
    assert {result.fate for result in results} == {Fate.ACCEPTED}
    assert server.logins["shop"] == 1
    assert asked[:2] == [0, 1]
    driver.close()
    assert gate.open == 0


def test_a_refusal_closes_those_that_wait_for_their_login(server, driver, mail, journal, gate):
    refused = threading.Event()

    def turn_wrong(_connection, _line):
        if len(server.connections) > 3:
            server.passwords["shop"] = "changed"
            refused.set()

    def are_closed():
        return refused.is_set() and server.open == server.logins["shop"]

    def wait_for_refusal(_connection, _line):
        eventually(are_closed, what="a refusal, and the end of those that had no login")

    server.delays["AUTH"] = 0.02
    server.answer("AUTH", turn_wrong)
    server.answer("DOT", wait_for_refusal)
    results = driver.send(mails(mail, 40), journal)
    assert refused.is_set()
    assert server.refused["shop"] == 1
    assert {result.fate for result in results} == {Fate.ACCEPTED, Fate.UNSENT}
    driver.close()
    assert gate.open == 0
