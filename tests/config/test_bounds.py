"""The bounds of every setting, walked whole: what is taken at each end, and what is said beyond it.

Each number, flag and choice of the configuration has its line in a table here. A setting that is in none
of them is a fault, too: see the end.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import pytest
from pydantic import BaseModel

from mailer.config import Settings
from mailer.config.passwords import nobodys
from mailer.config.settings import RetryTable
from mailer.errors import ConfigError
from mailer.mail.policy import Retry

BILLION = 1_000_000_000
DAY = 86_400
CENTURY = 100 * 365 * DAY


class Bounds(NamedTuple):
    """The *least* and *greatest* value, those just beyond them, and what is said of these."""

    least: float
    greatest: float
    below: float
    above: float
    too_little: str
    too_much: str


def whole(least: int, most: int) -> Bounds:
    said = (f"must be ≥ {least}, got {least - 1}", f"must be ≤ {most}, got {most + 1}")
    return Bounds(least, most, least - 1, most + 1, *said)


def broken(least: float, most: int, *, sign: str = "≥") -> Bounds:
    """Numbers that need not be whole; with ``>``, the bound itself is not taken."""
    bound, below = (0, 0.0) if sign == ">" else (round(least), least - 0.001)
    said = (f"must be {sign} {bound}, got {below}", f"must be ≤ {most}, got {most + 0.001}")
    return Bounds(least, most, below, most + 0.001, *said)


COUNT = whole(1, BILLION)
LONG = Bounds(0.001, CENTURY, 0, CENTURY + 1, "must be > 0, got 0", "must be at most 100 years")
WAIT = Bounds(
    0.001, DAY, 0, DAY + 1, "must be > 0, got 0", "must be at most 1 day, got 86401 seconds"
)
SHARE = broken(0.0, 1)
PART = broken(0.001, 1, sign=">")

NUMBERS = {
    "batch_size": whole(1, 10_000),
    "max_backlog": COUNT,
    "accounts.a.max_connections": COUNT,
    "accounts.a.max_messages_per_connection": COUNT,
    "accounts.a.max_connection_age": LONG,
    "accounts.a.max_idle": LONG,
    "accounts.a.probe_every": LONG,
    "accounts.a.chunking_window": COUNT,
    "accounts.a.timeouts.resolve": WAIT,
    "accounts.a.timeouts.connect": WAIT,
    "accounts.a.timeouts.tls": WAIT,
    "accounts.a.timeouts.greeting": WAIT,
    "accounts.a.timeouts.ehlo": WAIT,
    "accounts.a.timeouts.auth": WAIT,
    "accounts.a.timeouts.mail": WAIT,
    "accounts.a.timeouts.rcpt": WAIT,
    "accounts.a.timeouts.data": WAIT,
    "accounts.a.timeouts.block": WAIT,
    "accounts.a.timeouts.final": WAIT,
    "accounts.a.timeouts.quit": WAIT,
    "domains.a.connections": COUNT,
    "retry.first_delay": LONG,
    "retry.factor": broken(1.0, 1000),
    "retry.max_delay": LONG,
    "retry.jitter": SHARE,
    "retry.attempts": COUNT,
    "retry.give_up_after": LONG,
    "worker.lease": LONG,
    "worker.sweep_every": LONG,
    "worker.requeue_after": LONG,
    "worker.poison_after": COUNT,
    "worker.grace": LONG,
    "worker.unable_after": LONG,
    "send.remember_keys": LONG,
    "alerts.dead_letters": COUNT,
    "history.keep": LONG,
    "history.max_backlog": COUNT,
    "retention.ledger": LONG,
    "retention.replies": LONG,
    "events.batch": whole(1, 1_000),
    "events.time_limit": WAIT,
    "events.give_up_after": LONG,
    "events.max_backlog": COUNT,
    "feedback.poll_every": LONG,
    "feedback.pause_at.bounces": PART,
    "feedback.pause_at.complaints": PART,
    "feedback.pause_at.after": COUNT,
    "traces.share": SHARE,
    "web.port": whole(0, 65_535),
}

FLAGS = (
    "accounts.a.plaintext",
    "accounts.a.chunking",
    "accounts.a.debug",
    "send.reload_templates",
    "unsubscribe.one_click",
    "feedback.workers_poll",
    "feedback.delete",
    "feedback.suppress",
)

CHOICES = {
    "accounts.a.mechanism": "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER EXTERNAL",
    "accounts.a.dsn": "never success failure delay",
    "accounts.a.dsn_return": "headers full",
    "log.format": "text json logfmt",
    "web.users.a.role": "viewer operator",
}

# What must stand beside a key, by the table that it is in.
BESIDE = {
    "accounts.a": 'url = "smtp://localhost"\nclient_cert = "c.pem"\n',
    "web.users.a": f'password = "{nobodys()}"\n',
}


def written(key: str, value: str) -> str:
    """The configuration that says *value* under *key*, and what it cannot be without."""
    table, _, name = key.rpartition(".")
    beside = BESIDE.get(table, "")
    if table.startswith("accounts.a."):
        beside = f"[accounts.a]\n{BESIDE['accounts.a']}"
        return f"{beside}[{table}]\n{name} = {value}\n"
    return f"[{table}]\n{beside}{name} = {value}\n" if table else f"{name} = {value}\n"


def refused(read, key: str, text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(key, text, environ)
    return str(caught.value)


def variable(key: str) -> str:
    return "MAILER_" + key.upper().replace(".", "__")


# Numbers.


@pytest.mark.parametrize("key", NUMBERS)
def test_the_least_and_the_greatest_value_are_taken(read, key):
    bounds = NUMBERS[key]
    for value in (bounds.least, bounds.greatest):
        assert read(key, written(key, str(value))) == value
        assert type(read(key, written(key, str(value)))) is type(read(key, written(key, "1")))


@pytest.mark.parametrize("key", NUMBERS)
def test_what_lies_beyond_is_refused_by_file_key_and_bound(read, key):
    bounds = NUMBERS[key]
    for value, said in ((bounds.below, bounds.too_little), (bounds.above, bounds.too_much)):
        assert refused(read, key, written(key, str(value))) == f"mailer.toml: {key}: {said}"


@pytest.mark.parametrize("key", NUMBERS)
def test_the_environment_has_the_same_bounds_and_is_named(read, key):
    bounds, name = NUMBERS[key], variable(key)
    other = written(key, "1").rpartition(key.rpartition(".")[2])[0]
    assert read(key, other, {name: str(bounds.greatest)}) == bounds.greatest
    said = refused(read, key, other, {name: str(bounds.above)})
    assert said.startswith(f"{name}: {bounds.too_much.partition(', got')[0]}")
    said = refused(read, key, other, {name: str(bounds.below)})
    assert said.startswith(f"{name}: {bounds.too_little.partition(', got')[0]}")


NO_NUMBER = ("true", "false", '""', '"many"', "[]", "[1]", "{}", "nan", "1979-05-27", '"1_0"')


ENDLESS = ("inf", "1e308", "9" * 400, f'"{"9" * 400}s"', f'"{"9" * 400}"')


@pytest.mark.parametrize("key", NUMBERS)
def test_what_is_no_number_or_has_no_end_is_refused_in_one_line(read, key):
    for value in (*NO_NUMBER, *ENDLESS):
        said = refused(read, key, written(key, value))
        assert said.startswith(f"mailer.toml: {key}: must be "), value
        assert "\n" not in said


@pytest.mark.parametrize("text", ["a = " + "9" * 5000, "a = " + "[" * 5000])
def test_what_python_itself_cannot_read_is_a_fault_of_the_file(read, text):
    assert refused(read, "batch_size", text) == (
        "mailer.toml: cannot be read: a number has thousands of digits, or lists nest too deeply"
    )


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000])
def test_what_python_itself_cannot_read_is_a_fault_of_the_variable(read, value):
    said = refused(read, "batch_size", "", {"MAILER_BATCH_SIZE": value})
    assert said == "MAILER_BATCH_SIZE: must be a whole number"


def test_each_day_of_a_warm_up_has_the_bounds_of_a_count(read):
    key = "accounts.a.warmup"
    assert read(key, written(key, f"[1, {BILLION}]")) == (1, BILLION)
    assert read(key, written(key, "5")) == (5,)
    for value, said in ((0, COUNT.too_little), (BILLION + 1, COUNT.too_much)):
        fault = refused(read, key, written(key, f"[1, {value}]"))
        assert fault == f"mailer.toml: {key}.1: {said}"


@pytest.mark.parametrize("key", ["accounts.a.rate", "domains.a.rate"])
def test_a_rate_has_bounds_for_its_number_and_its_time(read, key):
    for text in ("1/second", f"{BILLION}/day", "1/36500 days", "1_000/1 hour"):
        assert len(read(key, written(key, f'"{text}"'))) == 1
    for text in ("0/second", f"{BILLION + 1}/day", "1/36501 days", "1/0 days", "9" * 5000 + "/day"):
        said = refused(read, key, written(key, f'"{text}"'))
        assert said.startswith(f'mailer.toml: {key}: must be a rate such as "14/second" or ')


@pytest.mark.parametrize(
    ("value", "share"), [('"8%"', 0.08), ('"8 %"', 0.08), ('"0.3%"', 0.003), ('"0.5"', 0.5), ("1", 1)]
)  # fmt: skip
def test_a_share_may_be_a_percentage(read, value, share):
    for key in ("feedback.pause_at.bounces", "feedback.pause_at.complaints"):
        assert read(key, written(key, value)) == pytest.approx(share)


@pytest.mark.parametrize("value", ['"%"', '"x%"', '"-8%"', '"nan%"', '"8%%"', '"8,5%"'])
def test_what_is_no_percentage_is_shown_what_one_looks_like(read, value):
    for key in ("feedback.pause_at.bounces", "feedback.pause_at.complaints"):
        said = refused(read, key, written(key, value))
        assert said.startswith(f'mailer.toml: {key}: must be a share such as "8%" or 0.08, got ')


# Flags and choices.


@pytest.mark.parametrize("key", FLAGS)
def test_a_flag_is_true_or_false_and_nothing_that_looks_like_it(read, key):
    assert read(key, written(key, "true")) is True
    assert read(key, written(key, "false")) is False
    assert read(key, written(key, "true"), {variable(key): "false"}) is False
    for value in ('"yes"', '"true"', "1", "0", "[]"):
        said = refused(read, key, written(key, value))
        assert said.startswith(f"mailer.toml: {key}: must be true or false")


@pytest.mark.parametrize("key", CHOICES)
def test_each_choice_is_taken_and_another_is_told_which_there_are(read, key):
    names = CHOICES[key].split()
    for name in names:
        found = read(key, written(key, f'"{name}"'))
        assert found in (name, (name,))
    said = refused(read, key, written(key, '"another"'))
    assert said.startswith(f"mailer.toml: {key}")
    for name in names:
        assert f"'{name}'" in said


# Nothing is left out.


class Kind(Enum):
    NUMBER = auto()
    FLAG = auto()
    CHOICE = auto()


def kind_of(annotation: Any) -> Kind | None:
    """What a field is, through ``Annotated``, ``… | None`` and tuples."""
    if annotation is bool:
        return Kind.FLAG
    if annotation in (int, float):
        return Kind.NUMBER
    if get_origin(annotation) is Literal:
        return Kind.CHOICE
    return next(filter(None, map(kind_of, get_args(annotation))), None)


def tables(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """The tables in an annotation; those of a dictionary stand under a name."""
    if annotation is Retry:
        yield "", RetryTable
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "", annotation
    for part in get_args(annotation):
        for below, model in tables(part):
            yield (".a" if get_origin(annotation) is dict else "") + below, model


def settings(model: type[BaseModel] = Settings, place: str = "") -> Iterator[tuple[str, Kind]]:
    for name, field in model.model_fields.items():
        inner = list(tables(field.annotation))
        for below, table in inner:
            yield from settings(table, f"{place}{name}{below}.")
        if not inner and (kind := kind_of(field.annotation)):
            yield f"{place}{name}", kind


def test_every_setting_with_bounds_is_in_a_table_above():
    found: dict[Kind, set[str]] = {kind: set() for kind in Kind}
    for key, kind in settings():
        found[kind].add(key)
    assert found[Kind.NUMBER] - {"accounts.a.warmup"} == set(NUMBERS)
    assert found[Kind.FLAG] == set(FLAGS)
    assert found[Kind.CHOICE] == set(CHOICES)


def test_every_number_is_documented_with_the_bound_of_its_kind():
    text = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
    assert f"from 1 to {BILLION}" in text
    assert "at most 100 years" in text
    assert "at most one day" in text
    for key in NUMBERS:
        assert re.search(rf"\b{key.rpartition('.')[2]}\b", text), key
