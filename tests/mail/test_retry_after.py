"""What a reply asks for, in seconds; and never a number that means something else."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.mail.retry_after import LONGEST, retry_after

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Greylisted for 5 minutes", 300),
        ("4.7.1 Greylisting in action, please come back; try again in 00:05:00", 300),
        ("Too many messages, please try again in 60 seconds", 60),
        ("Rate limit exceeded. Please retry after 30 secs", 30),
        ("temporarily deferred, retry in 1 hour", 3600),
        ("please try again after 2 hours", 7200),
        ("quota resets in 3h", 10800),
        ("You have been blocked for 15 min", 900),
        ("Please wait at least 10 minutes before sending more", 600),
        ("try again in 1 hour and 30 minutes", 5400),
        ("Please try again in an hour", 3600),
        ("Retry-After: 120", 120),
        ("try again after 45", 45),
        ("try again after 14:30 UTC", 9000),
        ("sending is blocked until 11:00", 23 * 3600),
        ("try again after 2026-11-23T12:10:00Z", 600),
        ("quota used up until 2026-11-24 00:00:00 UTC", 43200),
        ("quota used up until 2026-11-24T00:00:00+02:00", 36000),
    ],
)
def test_a_named_time_is_read(text, seconds):
    assert retry_after(text, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "Throttling failure: Maximum sending rate exceeded",
        "Throttling failure: Daily message quota exceeded",
        "4.7.28 Our system has detected an unusual rate of unsolicited mail",
        "You exceeded 50 messages in 24 hours",
        "4.7.500 Server busy. Please try again later from [192.0.2.10]",
        "Too many recipients received this hour (throttled)",
        "TSS04 Messages from 192.0.2.1 temporarily deferred due to volume",
        "try again after 2020-01-01T00:00:00Z",
        "try again in 900 days",
        "",
    ],
)
def test_a_text_that_names_no_time_gives_none(text):
    assert retry_after(text, NOW) is None


@given(st.text(max_size=200))
def test_any_text_gives_none_or_a_time_that_can_be_waited_for(text):
    seconds = retry_after(text, NOW)
    assert seconds is None or 0 < seconds <= LONGEST
