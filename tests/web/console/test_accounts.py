"""Accounts in the console: how they stand; one login at a check or a start; stopped for all."""

import time

import pytest

from mailer.config import Settings
from mailer.mail.said import Said
from mailer.store.breaker import Breaker, Refusal, Trouble
from tests.servers.scripted import ScriptedServer
from tests.web.console.conftest import USERS, note_of

MARKUP = "<script>alert(1)</script>"


@pytest.fixture
def smtp():
    with ScriptedServer({"news": "right"}) as server:
        yield server


@pytest.fixture
def settings(redis_url, smtp, tmp_path, monkeypatch):
    monkeypatch.setenv("NEWS_PASSWORD", "right")
    account = {
        "url": f"smtp://news@127.0.0.1:{smtp.port}",
        "password_env": "NEWS_PASSWORD",
        "rate": "100/hour",
    }
    return Settings.model_validate(
        {"redis": redis_url, "accounts": {"primary": account}, "web": {"users": USERS}}
    )


def act(console, what, name="primary"):
    answer = console.press(f"/console/accounts/{name}/{what}", "/console/accounts")
    return note_of(console.operator, answer)


def state(client):
    return Breaker(client).state("primary", time.time()).state


def test_an_account_shows_its_limits_and_server(console, smtp):
    text = console.operator.get("/console/accounts").text
    assert f"127.0.0.1:{smtp.port}" in text
    assert "0 of 100 used" in text


def test_a_check_logs_in_once_and_changes_nothing(console, smtp, client):
    said = act(console, "check")
    assert "primary works" in said
    assert "PIPELINING" in said
    assert smtp.logins["news"] == 1
    assert state(client) == "unknown"


def test_a_check_that_fails_says_what_the_server_said(console, smtp, client):
    smtp.passwords["news"] = "changed"
    assert "535 5.7.8" in act(console, "check")
    assert state(client) == "unknown"


def test_stopped_for_all_and_started_by_one_login(console, smtp, client):
    assert "stopped on all workers" in act(console, "stop")
    assert state(client) == "stopped"
    assert "Stopped" in console.operator.get("/console/accounts").text
    smtp.passwords["news"] = "changed"
    assert "stays as it was" in act(console, "start")
    assert state(client) == "stopped"
    smtp.passwords["news"] = "right"
    assert "runs again" in act(console, "start")
    assert state(client) == "running"
    assert smtp.logins["news"] == 1


def test_a_secret_that_is_not_here_is_an_error_in_words(console, monkeypatch):
    monkeypatch.delenv("NEWS_PASSWORD")
    assert "NEWS_PASSWORD" in act(console, "check")


def test_an_unknown_account_is_an_error_in_words(console):
    assert "no account" in act(console, "stop", "none")


def test_what_a_server_said_is_shown_as_text(console, client):
    said = Said("AUTH", 535, "5.7.8", MARKUP)
    Breaker(client).refused("primary", "me", Refusal(Trouble.STOPS, "auth", said), time.time())
    text = console.operator.get("/console/accounts").text
    assert "&lt;script&gt;" in text
    assert MARKUP not in text


@pytest.mark.parametrize("what", ["check", "start", "stop"])
def test_a_viewer_does_nothing(console, smtp, client, what):
    assert "<form" not in console.viewer.get("/console/accounts").text
    answer = console.viewer.post(f"/console/accounts/primary/{what}", data={"token": "x"})
    assert answer.status_code == 403
    assert not smtp.logins
    assert state(client) == "unknown"


def test_many_checks_at_once_hold_nobody_up(console, monkeypatch):
    from mailer.web.console import accounts  # noqa: PLC0415

    for _ in range(2):
        assert accounts._AT_ONCE.acquire(blocking=False)
    try:
        assert "two logins" in act(console, "check")
    finally:
        for _ in range(2):
            accounts._AT_ONCE.release()
