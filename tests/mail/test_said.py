"""What a server said: written, read again, and by the version before."""

import contextlib
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import PayloadError
from mailer.mail.said import Said
from mailer.mail.status import Detail

GOLDEN = Path(__file__).parent / "golden" / "said-1.bin"
SAID = Said(
    stage="AUTH",
    code=535,
    enhanced="5.7.8",
    text="no such login",
    action="auth_fail",
    rule="AUTH: refused",
    attempts=2,
    dialogue=("C: AUTH PLAIN <credentials>", "S: 535 5.7.8 no such login"),
)


def test_what_the_last_version_wrote_is_read():
    assert Said.decode(GOLDEN.read_bytes()) == SAID


def test_what_is_written_is_what_the_last_version_reads():
    assert SAID.encode() == GOLDEN.read_bytes()


TEXT = st.text(max_size=40).filter(lambda text: not text[:1].isdigit())


@given(
    code=st.integers(200, 599),
    detail=st.none() | st.tuples(st.integers(0, 999), st.integers(0, 999)),
    text=TEXT,
)
def test_a_reply_comes_back_in_its_three_parts(code, detail, text):
    enhanced = (
        f"{code // 100}.{detail[0]}.{detail[1]}" if detail and code // 100 in (2, 4, 5) else ""
    )
    said = Said("RCPT", code, enhanced, text)
    assert Said.decode(said.encode()) == said


@given(TEXT)
def test_what_is_no_reply_comes_back_as_it_was(text):
    assert Said.decode(Said(text=text).encode()) == Said(text=text)


@given(st.binary(max_size=40))
def test_what_cannot_be_read_is_one_kind_of_error(packed):
    with contextlib.suppress(PayloadError):
        Said.decode(packed)


def test_a_later_version_is_named():
    with pytest.raises(PayloadError, match="version 9"):
        Said.decode(msgpack.packb((9, "x")))


def test_a_recipient_s_detail_tells_what_it_heard():
    detail = Detail("ada@example.org", attempts=2, first=1.0).hearing(SAID, 5.0)
    assert detail.said == Said(
        "AUTH", 535, "5.7.8", "no such login", "auth_fail", "AUTH: refused", 2
    )
    assert (detail.mailbox, detail.first, detail.at, detail.due) == (
        "ada@example.org",
        1.0,
        5.0,
        0.0,
    )
