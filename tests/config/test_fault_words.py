"""What is said of a fault in the configuration: the key, the reason, what to write instead."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from mailer.config.faults import describe
from mailer.config.settings import Settings


def said(table: dict[str, object], **origins: str) -> list[str]:
    """Return the faults of *table* as they are shown."""
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate(table, context={"folder": Path()})
    return describe(refused.value, "mailer.toml", {(key,): name for key, name in origins.items()})


def account(**keys: object) -> dict[str, object]:
    return {"accounts": {"p": {"url": "smtps://h", **keys}}}


TOP = "known are redis, redis_password_env, "


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        # The wrong kind of value.
        ({"accounts": []}, "accounts: must be a table"),
        ({"accounts": {"p": {}}}, "accounts.p.url: is required"),
        ({"accounts": {"p": {"url": 5}}}, "accounts.p.url: must be a string"),
        ({"redis": 5}, "redis: must be a string"),
        ({"sender": 5}, "sender: must be a string, got 5"),
        ({"sender": True}, "sender: must be a string, got true"),
        ({"templates": 5}, "templates: must be a path, got 5"),
        ({"retry": 5}, "retry: must be a table, got 5"),
        ({"events": {"webhook": 5}}, "events.webhook: must be a string, got 5"),
        ({"batch_size": "x"}, "batch_size: must be a whole number, got 'x'"),
        (
            account(max_connections="x"),
            "accounts.p.max_connections: must be a whole number, got 'x'",
        ),
        (
            account(max_connections=1.5),
            "accounts.p.max_connections: must be a whole number, got 1.5",
        ),
        (
            account(max_connections=True),
            "accounts.p.max_connections: must be a whole number, got true",
        ),
        # Out of bounds.
        ({"batch_size": 0}, "batch_size: must be ≥ 1, got 0"),
        ({"batch_size": 10**9}, "batch_size: must be ≤ 10000, got 1000000000"),
        ({"retry": {"attempts": 0}}, "retry.attempts: must be ≥ 1, got 0"),
        (account(max_connections=0), "accounts.p.max_connections: must be ≥ 1, got 0"),
        # What has a form of its own.
        ({"redis": "http://x"}, "redis: must begin with one of redis://, rediss://, "),
        (
            account(rate="x"),
            'accounts.p.rate: must be a rate such as "14/second" or "50000/day", got \'x\'',
        ),
        (
            {"retention": {"ledger": "x"}},
            'retention.ledger: must be seconds or a duration such as "90s"',
        ),
        (
            {"accounts": {"p": {"url": "ftp://h"}}},
            "accounts.p.url: must begin with one of smtp+starttls://",
        ),
        ({"accounts": {"p": {"url": "smtps://"}}}, "accounts.p.url: names no host; write it as "),
        (
            {"accounts": {"p": {"url": "smtps://u:p#x@h"}}},
            "accounts.p.url: has a /, ? or # before its @: ",
        ),
        (
            {"accounts": {"p": {"url": "smtp://h"}}},
            "accounts.p: url: smtp:// would send mail and password",
        ),
        # Keys that are none.
        ({"batch_siz": 1}, "batch_siz: unknown key; did you mean 'batch_size'?"),
        ({"logs": {}}, "logs: unknown key; did you mean 'log'?"),
        ({"xyzzy": {}}, f"xyzzy: unknown key; {TOP}"),
        ({"retry": {"atempts": 5}}, "retry.atempts: unknown key; did you mean 'attempts'?"),
        ({"feedback": {"polcy": {}}}, "feedback.polcy: unknown key; did you mean 'policy'?"),
        ({"web": {"lisn": "x"}}, "web.lisn: unknown key; known are url, host, port, "),
        (account(timeout="5s"), "accounts.p.timeout: unknown key; did you mean 'timeouts'?"),
        (account(pasword="x"), "accounts.p.pasword: unknown key; did you mean 'password_env'?"),
        # Secrets.
        (
            account(password="x"),
            "accounts.p.password: a secret may not stand here; use password_env, ",
        ),
        (
            account(token="x"),
            "accounts.p.token: a secret may not stand here; use token_env, token_file",
        ),
        (
            account(client_secret="x"),
            "accounts.p.client_secret: a secret may not stand here; use client_secret_env",
        ),
        ({"token": "x"}, f"token: unknown key; {TOP}"),
        ({"web": {"password": "x"}}, "web.password: unknown key; known are url, host, port, "),
    ],
)
def test_a_fault_is_one_line_with_its_key(table, expected):
    (line,) = said(table)
    assert line.startswith(f"mailer.toml: {expected}"), line


@pytest.mark.parametrize(
    "table",
    [
        account(password="hunter2"),
        account(token="hunter2"),
        account(password_env=["hunter2"]),
        account(token_url=5, client_secret="hunter2"),
        {"redis": "hunter2"},
        {"accounts": {"p": {"url": "hunter2"}}},
        {"accounts": {"p": {"url": "smtps://u:hunter2#@h"}}},
        {"secret": "hunter2"},
        {"redis": "redis://:hunter2@h:x/0"},
    ],
)
def test_nothing_that_may_be_a_secret_is_shown(table):
    lines = said(table)
    assert lines
    assert "hunter2" not in "".join(lines)


def test_each_fault_has_its_line():
    lines = said(
        {"batch_size": 0, "sender": 5, "xyzzy": 1, "accounts": {"p": {}, "q": {"url": "x"}}}
    )
    assert sorted(line.split(": ")[1] for line in lines) == [
        "accounts.p.url", "accounts.q.url", "batch_size", "sender", "xyzzy",
    ]  # fmt: skip


def test_a_fault_of_a_variable_is_told_by_the_variable():
    assert said({"batch_size": 0}, batch_size="MAILER_BATCH_SIZE") == [
        "MAILER_BATCH_SIZE: must be ≥ 1, got 0"
    ]


def test_what_was_named_before_is_not_named_again():
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({"batch_size": 0, "sender": 5})
    assert describe(refused.value, "x", {}, {("sender",)}) == ["x: batch_size: must be ≥ 1, got 0"]


def test_a_long_value_is_not_repeated():
    (line,) = said({"batch_size": "9" * 61 + "x"})
    assert line == "mailer.toml: batch_size: must be a whole number"
