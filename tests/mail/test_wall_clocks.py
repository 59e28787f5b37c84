"""Send windows and reset hours where a zone's clocks jump: held against a walk over the wall clock."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer.mail.schedule import Reset, Window

STEP = 900
"""Seconds: each of these zones changes its clock at a quarter of an hour, and windows open at one."""

JUMPS = {
    "Europe/Berlin, an hour forward": ("Europe/Berlin", "2026-03-29T01:00"),
    "Europe/Berlin, an hour back": ("Europe/Berlin", "2026-10-25T01:00"),
    "America/New_York, an hour forward": ("America/New_York", "2026-03-08T07:00"),
    "Australia/Lord_Howe, half an hour forward": ("Australia/Lord_Howe", "2026-10-03T15:30"),
    "Australia/Lord_Howe, half an hour back": ("Australia/Lord_Howe", "2026-04-04T15:00"),
    "America/Sao_Paulo, midnight skipped": ("America/Sao_Paulo", "2018-11-04T03:00"),
    "Africa/Cairo, midnight skipped": ("Africa/Cairo", "2026-04-23T22:00"),
    "America/Havana, midnight twice": ("America/Havana", "2026-11-01T05:00"),
    "Pacific/Apia, a whole day skipped": ("Pacific/Apia", "2011-12-30T10:00"),
    "Asia/Kathmandu, never": ("Asia/Kathmandu", "2026-06-01T00:00"),
}
QUARTERS = st.integers(0, 95).map(lambda n: time(n // 4, n % 4 * 15))


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def wall(now, zone):
    return datetime.fromtimestamp(now, zone)


def passed(now, clock, zone):
    """Whether *clock* is reached or jumped over in the quarter of an hour before *now*."""
    before, after = wall(now - STEP, zone), wall(now, zone)
    if after.fold or after.replace(tzinfo=None) <= before.replace(tzinfo=None):
        return False  # the clock was set back: the first time counts
    due = after.replace(hour=clock.hour, minute=clock.minute, tzinfo=None)
    days = (due, due - timedelta(1))
    return any(
        before.replace(tzinfo=None) < day <= after.replace(tzinfo=None)
        # Of a day that the calendar skips, nothing is left to be due on.
        and day.date() in (before.date(), after.date())
        for day in days
    )


@pytest.mark.parametrize(("name", "jump"), JUMPS.values(), ids=JUMPS)
def test_a_quota_begins_anew_once_a_day_whatever_the_clock_does(name, jump):
    zone, middle = ZoneInfo(name), at(jump)
    for quarter in range(0, 96, 3):
        clock = time(quarter // 4, quarter % 4 * 15)
        now, found = middle - 2 * 86400, []
        while now < middle + 2 * 86400:
            now = Reset(clock, zone).next(now)
            found.append(now)
        walked = [
            moment
            for moment in range(int(middle - 2 * 86400) + STEP, int(middle + 4 * 86400), STEP)
            if passed(moment, clock, zone)
        ]
        assert found == walked[: len(found)], f"{clock} {name}"


@pytest.mark.parametrize(("name", "jump"), JUMPS.values(), ids=JUMPS)
def test_a_window_of_one_day_is_open_on_no_other(name, jump):
    zone, middle = ZoneInfo(name), at(jump)
    for day in range(7):
        window = Window(frozenset({day}), time(0), time(0), zone)
        for now in range(int(middle - 3 * 86400), int(middle + 3 * 86400), 4 * STEP):
            is_open = window.next_open(now) == now
            assert is_open == (wall(now, zone).weekday() == day), f"{wall(now, zone)}"


@given(
    st.sampled_from(sorted(JUMPS)),
    st.integers(-300, 300),
    st.sets(st.integers(0, 6), min_size=1),
    QUARTERS,
    QUARTERS,
)
@example("Europe/Berlin, an hour back", 0, {6}, time(2, 30), time(3, 30))
@example("Pacific/Apia, a whole day skipped", -4, {4, 5}, time(8), time(6))
def test_a_window_opens_at_the_first_moment_that_it_says_and_never_in_the_past(
    which, quarters, days, opens, closes
):
    name, jump = JUMPS[which]
    now = at(jump) + quarters * STEP
    window = Window(frozenset(days), opens, closes, ZoneInfo(name))
    then = window.next_open(now)
    assert then >= now
    assert window.next_open(then) == then, "when it opens it is open"
    assert window.next_open((now + then) / 2) == then, "and not before"


def test_a_window_that_the_clock_skips_whole_does_not_open_on_that_day():
    """On 2026-03-29 Berlin has no 02:15, and no 02:45."""
    early = Window.parse("02:15-02:45 Europe/Berlin")
    assert early.next_open(at("2026-03-29T00:30")) == at("2026-03-30T00:15")
    sundays = Window.parse("Sun 02:15-02:45 Europe/Berlin")
    assert sundays.next_open(at("2026-03-22T12:00")) == at("2026-04-05T00:15")


def test_a_reset_is_the_next_one_also_in_the_moment_of_the_last():
    midnight = Reset.parse("00:00 UTC")
    day = at("2026-02-28T00:00")
    assert midnight.next(day) == day + 86400, "February has 28 days"
    assert midnight.next(day - 0.001) == day
    assert Reset.parse("24:00 UTC").next(at("2028-02-28T12:00")) == at("2028-02-29T00:00")
    assert Reset.parse("rolling") is None
