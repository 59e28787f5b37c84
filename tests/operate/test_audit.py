"""Who did what: kept in Redis with addresses, logged without, the newest first."""

import logging

import pytest

from mailer.config import Settings
from mailer.operate.audit import Deed, key_of_forms, newest, note


@pytest.fixture
def settings(redis_url):
    return Settings(redis=redis_url)


def deed(number=1, **fields):
    return Deed(**{"who": "ada", "what": "pause", "about": f"c{number}", "result": "ok", **fields})


def test_a_deed_is_kept_as_it_was_and_gets_a_time_and_a_place(settings):
    note(settings, deed(result="stopped", ok=False))
    (kept,) = newest(settings, 10)
    assert (kept.who, kept.what, kept.about, kept.result, kept.ok) == (
        "ada",
        "pause",
        "c1",
        "stopped",
        False,
    )
    assert kept.at > 0
    assert kept.place


def test_pages_follow_each_other_from_the_newest_on(settings):
    for number in range(5):
        note(settings, deed(number))
    first = newest(settings, 2)
    second = newest(settings, 2, first[-1].place)
    third = newest(settings, 2, second[-1].place)
    assert [one.about for one in (*first, *second, *third)] == ["c4", "c3", "c2", "c1", "c0"]
    assert newest(settings, 2, third[-1].place) == []


@pytest.mark.parametrize(("ok", "level"), [(True, logging.INFO), (False, logging.WARNING)])
def test_the_log_has_each_deed_without_addresses(settings, caplog, ok, level):
    with caplog.at_level(logging.INFO, "mailer.audit"):
        note(
            settings, deed(about="suppress ada@example.org", result="ada@example.org: added", ok=ok)
        )
    (record,) = caplog.records
    assert record.levelno == level
    assert record.getMessage().startswith("ada: pause suppress ")
    assert "@example.org" not in record.getMessage()
    (kept,) = newest(settings, 1)
    assert kept.about == "suppress ada@example.org"


@pytest.mark.parametrize("field", ["who", "what", "about", "result"])
def test_foreign_text_is_one_line_that_moves_no_terminal(settings, caplog, field):
    with caplog.at_level(logging.INFO, "mailer.audit"):
        note(settings, deed(**{field: "a\r\nb\x1b[2J\u202e" + "x" * 1000}))
    (kept,) = newest(settings, 1)
    for text in (getattr(kept, field), caplog.records[0].getMessage()):
        assert not {"\n", "\r", "\x1b", "\u202e"} & set(text)
        assert len(text) < 400


def test_all_consoles_sign_their_forms_with_one_key(settings):
    key = key_of_forms(settings)
    assert len(key) == 64
    assert key_of_forms(settings) == key
