"""A Date of ours is replaced in place; nothing else in a message ever is."""

from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.mail.dating import kept, stamped, written

OURS = b"Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"
LATER = 1_795_000_000.75


def stamp(content, when=LATER):
    return b"".join(stamped(content, when))


def test_a_date_of_ours_becomes_the_time_of_leaving_and_the_length_stays():
    content = b"From: a@x.example\r\n" + OURS + b"To: b@x.example\r\n\r\nHi\r\n"
    done = stamp(content)
    assert len(done) == len(content)
    assert done == content.replace(OURS, f"Date: {written(LATER)}\r\n".encode())
    assert parsedate_to_datetime(written(LATER)).timestamp() == int(LATER)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Subject: no date\r\n\r\n",
        OURS + b"From: a@x.example\r\n\r\n",
        b"From: a@x.example\r\n\r\nForwarded:\r\n" + OURS,
        b"From: a@x.example\r\nDate:  Thu, 01 Jan 1970 00:00:00 +0000\r\n\r\n",
        b"From: a@x.example\r\nDate: Thu, 01 Jan 1970 00:00:00 +0100\r\n\r\n",
        b"From: a@x.example\r\nDate: Thu, 01 Jan 1970 00:00:00 -0000\r\n\r\n",
        b"From: a@x.example\r\nDate: Thu, 01 Jan 1970 00:00:00 +0000 (UTC)\r\n\r\n",
        b"From: a@x.example\r\nResent-Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n\r\n",
        b"From: a@x.example\r\nDate: Thu, 01 Jan 1970",
    ],
)
def test_what_is_not_a_date_of_ours_in_the_header_section_stays(content):
    assert stamp(content) == content


@pytest.mark.parametrize("before", [b"", b"From: a@x.example\r\n"])
def test_a_caller_s_own_date_that_reads_like_ours_is_kept_and_says_the_same(before):
    content = before + OURS + b"To: b@x.example\r\n\r\nHi\r\n\r\n" + OURS
    own = kept(content)
    assert stamp(own) == own
    read, was = (message_from_bytes(one, policy=policy.default) for one in (own, content))
    assert (read["Date"], read.get_content()) == (was["Date"], was.get_content())


@given(st.integers(0, 253_402_300_799))
def test_every_time_has_the_same_length(when):
    assert len(written(when)) == 31
    content = b"From: a@x.example\r\nDate: " + written(when).encode() + b"\r\n\r\n"
    assert stamp(content) == content.replace(written(when).encode(), written(LATER).encode())
