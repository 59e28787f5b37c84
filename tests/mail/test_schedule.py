"""Send windows and reset hours, with the time passed in."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.mail.schedule import Reset, Window

BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = st.integers(1_700_000_000, 1_900_000_000).map(float)


def berlin(text):
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


OFFICE = Window.parse("Mon-Fri 08:00-18:00 Europe/Berlin")


def is_open(window: Window, now: float) -> bool:
    """Whether mail may leave at *now*."""
    return window.next_open(now) == now


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-11-23T07:59:59", "2026-11-23T08:00:00"),  # a Monday
        ("2026-11-23T08:00:00", "2026-11-23T08:00:00"),
        ("2026-11-23T17:59:59", "2026-11-23T17:59:59"),
        ("2026-11-23T18:00:00", "2026-11-24T08:00:00"),
        ("2026-11-27T18:00:00", "2026-11-30T08:00:00"),  # over the weekend
        ("2026-11-28T12:00:00", "2026-11-30T08:00:00"),
    ],
)
def test_a_window_is_open_from_its_first_second_to_the_one_before_it_closes(now, then):
    assert OFFICE.next_open(berlin(now)) == berlin(then)


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opens():
    night = Window.parse("Fri 22:00-06:00 Europe/Berlin")
    assert is_open(night, berlin("2026-11-28T05:59:59"))
    assert not is_open(night, berlin("2026-11-28T22:00:00"))
    assert not is_open(night, berlin("2026-11-27T05:00:00"))


def test_the_hours_are_those_of_the_zone_on_both_sides_of_daylight_saving():
    for day in ("2026-03-27", "2026-03-30"):  # the Friday before and the Monday after
        assert OFFICE.next_open(berlin(f"{day}T03:30:00")) == berlin(f"{day}T08:00:00")


def test_an_hour_that_the_clock_skips_opens_when_the_gap_ends():
    early = Window.parse("02:30-04:00 Europe/Berlin")
    assert early.next_open(berlin("2026-03-29T00:30:00")) == berlin("2026-03-29T03:00:00")


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Mon-Fri", {0, 1, 2, 3, 4}),
        ("Sat-Mon", {5, 6, 0}),
        ("mon,wed,fri", {0, 2, 4}),
        ("Monday - Wednesday, Sun", {0, 1, 2, 6}),
        ("Thurs", {3}),
        ("Mon \u2013 Tue", {0, 1}),
    ],
)
def test_days_may_be_ranges_and_lists(text, days):
    assert Window.parse(f"{text} 08:00-18:00 UTC").days == days


def test_a_window_without_days_is_daily():
    assert Window.parse("08:00-18:00 UTC").days == set(range(7))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Mon-Fri 8-18 UTC", "days, hours and a time zone"),
        ("Mon-Fri 08:00-18:00", "days, hours and a time zone"),
        ("Mon-Fri 08:00-25:00 UTC", "time of day"),
        ("Mon-Fry 08:00-18:00 UTC", "no day of the week: 'fry'"),
        ("Mon-Fri 08:00-18:00 Europe/Bärlin", "no time zone"),
    ],
)
def test_a_fault_is_named_with_what_to_write(text, says):
    with pytest.raises(ValueError, match=says):
        Window.parse(text)


@given(MOMENTS)
def test_a_window_around_the_clock_is_always_open(now):
    always = Window.parse("00:00-24:00 Europe/Berlin")
    assert always.next_open(now) == now


@given(MOMENTS, st.sets(st.integers(0, 6), min_size=1), st.integers(0, 1439), st.integers(0, 1439))
def test_the_next_opening_is_open_and_nothing_between_is(now, days, opens, closes):
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    hours = "-".join(f"{m // 60:02}:{m % 60:02}" for m in (opens, closes))
    window = Window.parse(f"{','.join(names[d] for d in days)} {hours} America/New_York")
    then = window.next_open(now)
    assert now <= then <= now + 9 * 86400
    assert is_open(window, then)
    if then > now:
        assert not is_open(window, now)
        assert not is_open(window, (now + then) / 2)
    assert Window.parse(str(window)) == window


def test_a_quota_begins_anew_at_its_hour():
    reset = Reset.parse("00:00 UTC")
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
    midnight = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
    assert reset.next(noon) == midnight
    assert reset.next(midnight) == midnight + 86400


def test_rolling_quotas_have_no_hour():
    assert Reset.parse("rolling") is None


@given(MOMENTS, st.integers(0, 1439))
def test_resets_follow_each_other_about_a_day_apart(now, minutes):
    reset = Reset.parse(f"{minutes // 60:02}:{minutes % 60:02} Europe/Berlin")
    first = reset.next(now)
    assert now < first <= now + 25.1 * 3600
    assert 22.9 * 3600 <= reset.next(first) - first <= 25.1 * 3600
