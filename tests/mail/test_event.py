"""What happened, written down and read again; entries of version 1 stay readable."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import PayloadError
from mailer.feedback.report import Kind
from mailer.mail.event import (
    CAME_BACK,
    Event,
    Happened,
    decode_entry,
    encode_came_back,
    encode_outcomes,
    encode_queued,
)
from mailer.mail.status import Detail, Status

# What version 1 wrote: it stays readable.
GOLDEN_OUTCOMES = bytes.fromhex(
    "45016f95a8737072696e673a3703a77072696d617279cb41da80000000000091980ca16101af61646140657861"
    "6d706c652e6f7267ae3c313240612e6578616d706c653ea566696e616cccfabc32353020322e302e30204f6b3a"
    "207175657565642061732034423143"
)
GOLDEN_QUEUED = bytes.fromhex(
    "45017128b52ffd20595d0200f40394a8737072696e673a37a77072696d617279cb41da80009193af6164614065"
    "78616d706c652e6f7267ae3c313240612e3ebc7b22656d61696c223a2022227d03004df55fcd1c2d2006"
)
# What version 2 wrote, of what came back.
GOLDEN_CAME_BACK = bytes.fromhex(
    "4502629da6737072696e670ca7626f756e636564cb41da800000000000af616461406578616d706c652e6f7267"
    "a83c313240612e623ea4696d6170cd0226b2352e312e31206e6f20737563682075736572af6d61696c626f785f"
    "756e6b6e6f776ec3c408313233343536373801"
)


def test_what_version_1_wrote_is_read():
    (accepted,) = decode_entry(GOLDEN_OUTCOMES, 0, 1)
    (queued,) = decode_entry(GOLDEN_QUEUED, 12, 1)

    assert accepted.identifier == "spring:12:7.3.1:accepted:1778384896.000"
    assert accepted.reply == "250 2.0.0 Ok: queued as 4B1C"
    assert queued.identifier == "spring:12:7.0.0:queued:1778384896.000"
    assert queued.row == '{"email": "ada@example.org"}'


def test_outcomes_come_back_with_all_that_was_said():
    detail = Detail("", "final", 250, "2.0.0", "Ok: queued as 4B1C", attempts=1)
    one = Happened(12, Status.ACCEPTED, "ada@example.org", "<12@a.example>", detail)

    told = encode_outcomes("spring:7", 3, "primary", 1_778_384_896.0, [one])
    (event,) = decode_entry(told.entry, 0, 99)

    assert told.number == 1
    assert (event.campaign, event.position, event.batch, event.fence) == ("spring", 12, 7, 3)
    assert (event.outcome, event.attempt, event.order) == ("accepted", 1, 99)
    assert (event.mailbox, event.message_id) == ("ada@example.org", "<12@a.example>")
    assert event.reply == "250 2.0.0 Ok: queued as 4B1C"


def test_a_queued_batch_stands_from_its_first_position():
    entry = encode_queued("spring:7", "a", 5.0, [("a@b.example", "<1@x>", '{"n": 1}')] * 3)

    events = decode_entry(entry, 100, 1)

    assert [one.position for one in events] == [100, 101, 102]
    assert {one.outcome for one in events} == {"queued"}
    assert events[0].row == '{"n": 1}'


def test_what_came_back_is_read_as_it_was_written():
    back = Event(
        "spring", 12, "bounced", 1_778_384_896.0, mailbox="ada@example.org", message_id="<12@a.b>",
        stage="imap", code=550, reply="5.1.1 no such user", reason="mailbox_unknown",
        permanent=True, key=b"12345678", attempt=1,
    )  # fmt: skip

    told = encode_came_back(back)

    assert told.number == 1
    assert decode_entry(told.entry, 0, 0) == [back]
    assert decode_entry(GOLDEN_CAME_BACK, 0, 0) == [back]


def test_every_kind_that_comes_back_has_a_word():
    assert set(CAME_BACK) == {kind.value for kind in Kind} - {"unknown"}


def test_nobody_makes_no_entry():
    assert encode_outcomes("spring:7", 3, "a", 1.0, []).number == 0


def test_an_entry_of_a_newer_version_is_refused_in_words():
    with pytest.raises(PayloadError, match="version 3, this mailer reads 2"):
        decode_entry(b"E\x03o\x90", 0, 0)


@given(st.binary(max_size=200))
def test_damaged_entries_raise_nothing_else(junk):
    for entry in (junk, b"E\x01o" + junk, b"E\x01q" + junk, b"E\x02b" + junk):
        with contextlib.suppress(PayloadError):
            decode_entry(entry, 0, 0)
