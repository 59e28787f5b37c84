"""How long something takes, as people say it: each unit at its borders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.mail.durations import spoken

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.4, "0 s"),
        (0.6, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (MINUTE, "1 min"),
        (2 * MINUTE - 1, "1 min"),
        (HOUR - 1, "59 min"),
        (HOUR - 0.4, "1 h"),
        (HOUR, "1 h"),
        (HOUR + 59, "1 h"),
        (HOUR + MINUTE, "1 h 1 min"),
        (2 * HOUR + 5 * MINUTE, "2 h 5 min"),
        (47 * HOUR + 59 * MINUTE + 59, "47 h 59 min"),
        (2 * DAY, "2 days"),
        (3 * DAY - 1, "2 days"),
        (365 * DAY, "365 days"),
    ],
)
def test_each_unit_begins_where_the_smaller_one_ends(seconds, words):
    assert spoken(seconds) == words


def _meant(words):
    units = {"s": 1, "min": MINUTE, "h": HOUR, "days": DAY}
    parts = words.split()
    return sum(int(n) * units[unit] for n, unit in zip(parts[::2], parts[1::2], strict=True))


@given(st.floats(0, 400 * DAY))
def test_what_is_said_is_never_more_and_not_much_less(seconds):
    meant = _meant(spoken(seconds))
    assert meant <= round(seconds)
    assert round(seconds) - meant < (
        1 if seconds < 59.5 else MINUTE if seconds < 2 * DAY - 1 else DAY
    )


@given(st.floats(0, 400 * DAY), st.floats(0, 400 * DAY))
def test_what_takes_longer_is_never_said_to_take_less(one, other):
    shorter, longer = sorted((one, other))
    assert _meant(spoken(shorter)) <= _meant(spoken(longer))
