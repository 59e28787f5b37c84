"""Which times people mean."""

import re
from datetime import datetime, timedelta, timezone

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.cli.typed.times import age, coming, past

NOW = datetime(2026, 3, 1, 12, 30, 15, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("written", "after"),
    [
        ("+2h", 7200),
        ("+90s", 90),
        ("+1h 30m", 5400),
        ("+0s", 0),
        ("+90", 90),
        ("+1.5h", 5400),
        ("13:00", 29 * 60 + 45),
        ("23:59", 11 * 3600 + 28 * 60 + 45),
        ("12:31", 45),
        # Over for today: tomorrow's.
        ("12:30", 86_400 - 15),
        ("08:00", 86_400 - 4 * 3600 - 30 * 60 - 15),
        ("8:00", 86_400 - 4 * 3600 - 30 * 60 - 15),
        ("2026-03-01T12:30:15+02:00", 0),
        ("2026-03-01T10:30:15Z", 0),
        ("2026-03-01 11:30:15+00:00", 3600),
        ("2026-03-01 12:30:15 Europe/Berlin", 3600),
        ("2026-03-01T10:30:15 UTC", 0),
        ("12:30 Europe/Berlin", 3600 - 15),
        ("08:00 Asia/Tokyo", 12 * 3600 + 29 * 60 + 45),
        ("11:00 Europe/Berlin", 86_400 - 30 * 60 - 15),
    ],
)
def test_a_time_to_come(written, after):
    assert coming(written, NOW) == NOW + timedelta(seconds=after)


@pytest.mark.parametrize(
    ("written", "before"),
    [
        ("7d", 604_800),
        ("90s", 90),
        ("1h", 3600),
        ("1.5h", 5400),
        ("12:30", 15),
        ("08:00", 4 * 3600 + 30 * 60 + 15),
        # Still to come today: yesterday's.
        ("13:00", 86_400 - 29 * 60 - 45),
        ("12:31", 86_400 - 45),
        ("2026-03-01T09:30:15Z", 3600),
        ("2026-03-01 10:30:15 Europe/Berlin", 3600),
        ("11:30 Europe/Berlin", 15),
        ("7 d", 604_800),
    ],
)
def test_a_time_that_is_over(written, before):
    assert past(written, NOW) == NOW.timestamp() - before


def test_no_time_is_none():
    assert coming(None) is None
    assert past(None) == 0.0
    assert age(None, None, None) is None


@pytest.mark.parametrize(
    "written",
    [
        "",
        "soon",
        "25:00",
        "12:60",
        "+",
        "+soon",
        "+-1h",
        "99999-01-01",
        "2026-13-01",
        "2026-02-30",
        "12.30",
        "1/2/2026",
        "+9999999y",
        "tomorrow",
        "12:3",
        "123:00",
    ],
)
def test_what_is_no_time_is_shown_with_what_may_be_written(written):
    with pytest.raises(
        click.BadParameter, match=r'is no time; write "2026-05-01 08:00", "08:00" or "\+2h"'
    ):
        coming(written, NOW)


@pytest.mark.parametrize(
    "written", ["", "long ago", "25:00", "12:60", "7x", "7 d 3", "2026-13-01", "-7d", "1.2.3d"]
)
def test_what_is_no_time_that_is_over_is_shown_too(written):
    with pytest.raises(
        click.BadParameter, match=r'is no time; write "2026-05-01", "08:00" or "7d"'
    ):
        past(written, NOW)


@pytest.mark.parametrize("zone", ["Europe/Berln", "Berlin", "Etc/", "CET+1x"])
@pytest.mark.parametrize("written", ["08:00", "2026-05-01", "2026-05-01T08:00"])
def test_a_zone_that_is_none_is_named(written, zone):
    for read in (coming, past):
        with pytest.raises(click.BadParameter, match=f"'{re.escape(zone)}' names no time zone"):
            read(f"{written} {zone}", NOW)


@pytest.fixture
def nonsense(monkeypatch):
    """The TZ of a machine on which somebody mistyped it: the system takes UTC and says nothing."""
    monkeypatch.setenv("TZ", "Europe/Berln")


@pytest.mark.parametrize("written", ["08:00", "2026-05-01", "2026-05-01 08:00"])
def test_a_time_without_a_zone_is_not_guessed_where_tz_names_none(nonsense, written):
    for read in (coming, past):
        with pytest.raises(click.BadParameter, match="TZ=Europe/Berln"):
            read(written)
        read(f"{written} Europe/Berlin")


@pytest.mark.parametrize("written", ["+2h", "2026-05-01T08:00Z", "2026-05-01 08:00+02:00"])
def test_what_needs_no_zone_asks_for_none(nonsense, written):
    assert coming(written)


@given(st.integers(0, 23), st.integers(0, 59))
def test_a_time_of_day_is_within_a_day_from_now(hour, minute):
    written = f"{hour:02}:{minute:02}"
    to_come, over = coming(written, NOW), past(written, NOW)
    assert NOW < to_come <= NOW + timedelta(days=1)
    assert 0 <= NOW.timestamp() - over < 86_400
    assert to_come.timestamp() - over == 86_400
    assert (to_come.hour, to_come.minute) == (hour, minute)
