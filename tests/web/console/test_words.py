"""How the console writes numbers, shares and times."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.web.console import words

AT = datetime(2026, 3, 1, 9, 5, 7, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (1, "1"),
        (999, "999"),
        (1000, "1,000"),
        (9_999, "9,999"),
        (10_000, "10 k"),
        (12_345, "12.3 k"),
        (99_950, "100 k"),
        (123_456, "123 k"),
        (999_499, "999 k"),
        (999_500, "1 M"),
        (999_999, "1 M"),
        (1_000_000, "1 M"),
        (1_234_567, "1.23 M"),
        (12_345_678, "12.3 M"),
        (999_499_999, "999 M"),
        (999_500_000, "1,000 M"),
        (1_000_000_000, "1,000 M"),
        (12_345_678_901, "12,346 M"),
        (0.4, "0"),
    ],
)
def test_a_number_fits_a_narrow_place(number, shown):
    assert words.short(number) == shown


@given(st.integers(0, 10**12))
def test_a_short_number_is_near_and_never_scientific(number):
    shown = words.short(number)
    assert "e" not in shown
    digits, _, unit = shown.partition(" ")
    found = float(digits.replace(",", "")) * {"": 1, "k": 1e3, "M": 1e6}[unit]
    assert found == pytest.approx(number, rel=0.006)


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, "0 %"),
        (0, 10, "0 %"),
        (5, 0, "0 %"),
        (1, 10_000, "< 0.1 %"),
        (1, 1000, "0.1 %"),
        (1, 100, "1.0 %"),
        (1, 3, "33 %"),
        (1, 2, "50 %"),
        (99, 100, "99 %"),
        (995, 1000, "99.5 %"),
        (999, 1000, "99.9 %"),
        (9_999, 10_000, "> 99.9 %"),
        (10_000, 10_000, "100 %"),
        (10, 10, "100 %"),
        (9, 100, "9.0 %"),
    ],
)
def test_a_share_is_in_per_cent(part, whole, shown):
    assert words.share(part, whole) == shown


@given(
    st.integers(1, 10**9).flatmap(lambda whole: st.tuples(st.integers(1, whole), st.just(whole)))
)
def test_a_share_is_nothing_or_all_only_where_it_is(both):
    part, whole = both
    assert words.share(part, whole) != "0 %"
    assert (words.share(part, whole) == "100 %") == (part == whole)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, words.NONE),
        (-5, "0 s"),
        (0, "0 s"),
        (0.4, "0 s"),
        (1, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (119, "1 min"),
        (120, "2 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (7500, "2 h 5 min"),
        (86_400, "24 h"),
        (172_799, "47 h 59 min"),
        (172_800, "2 days"),
        (864_000, "10 days"),
    ],
)
def test_a_span_is_said_as_people_say_it(seconds, shown):
    assert words.span(seconds) == shown


@pytest.mark.parametrize(
    ("speed", "shown"),
    [
        (0, "0/s"),
        (1234.5, "1,234/s"),
        (10, "10/s"),
        (9.94, "9.9/s"),
        (1, "1.0/s"),
        (0.5, "30/min"),
        (1 / 60, "1/min"),
        (0.01, "36/h"),
        (1 / 3600, "1/h"),
    ],
)
def test_a_speed_is_in_a_unit_in_which_it_is_a_number(speed, shown):
    assert words.rate(speed) == shown


def test_moments_are_in_utc_and_say_so():
    assert words.moment(AT) == "01 Mar 2026, 09:05:07 UTC"
    assert words.moment(None) == words.moment(0) == words.NONE
    assert words.machine(AT) == "2026-03-01T09:05:07+00:00"
    assert words.clock(AT, days=False) == "09:05"
    assert words.clock(AT, days=True) == "01 Mar 09:05"


@pytest.mark.parametrize(
    ("after", "shown"),
    [
        (-5, "in 5 s"),
        (-0.5, "0 s ago"),
        (0, "0 s ago"),
        (30, "30 s ago"),
        (3600, "1 h ago"),
        (-7200, "in 2 h"),
    ],
)
def test_a_time_is_told_from_now(monkeypatch, after, shown):
    monkeypatch.setattr(words, "time", lambda: AT + after)
    assert words.ago(AT) == shown
    assert words.ago(None) == words.ago(0) == "never"
