"""What is written down reads back the same, now and by every later version."""

from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import PayloadError
from mailer.mail.forms import merged
from mailer.mail.message import Message, SharedPart
from mailer.mail.payload import (
    VERSION,
    Entry,
    decode,
    decode_detail,
    encode,
    encode_detail,
    zstd,
)
from mailer.mail.status import Detail

GOLDEN = Path(__file__).with_name("golden")

ENTRIES = [
    Entry(
        Message(
            "news@shop.example",
            "ada@example.org",
            (b"Subject: hello\r\n\r\n", SharedPart("ab" * 32, 1234), b"--\r\n"),
            "<1@shop.example>",
        ),
        b"\x00\x01\x02\x03\x04\x05\x06\x07",
    ),
    Entry(
        Message("", "zoë@example.org", (b"\xff\x00",), "<2@shop.example>", smtputf8=True),
        b"12345678",
    ),
]
DETAIL = Detail(
    "ada@example.org",
    "RCPT",
    451,
    "4.7.1",
    "greylisted",
    "retry_later",
    "greylisting",
    3,
    1_000_000.5,
    1_000_060.5,
    1_000_180.5,
)

ALIKE = [
    Entry(
        Message(
            "news@shop.example",
            f"r{n}@example.org",
            (
                b"To: r%d@example.org\r\n" % n,
                b"\r\nDear reader, we have news for you. You are number ",
                b"%d, " % n,
                b"%d" % n,
                b"!\r\n",
            ),
            f"<{n}@shop.example>",
        ),
        b"%08d" % n,
    )
    for n in range(3)
]

texts = st.text(max_size=30)
parts = st.one_of(
    st.binary(max_size=200),
    st.builds(
        SharedPart,
        st.binary(min_size=32, max_size=32).map(bytes.hex),
        st.integers(0, (1 << 32) - 1),
    ),
)
messages = st.builds(
    Message, texts, texts, st.lists(parts, max_size=4).map(tuple), texts, st.booleans()
)
entries = st.lists(st.builds(Entry, messages, st.binary(min_size=8, max_size=8)), max_size=5)
times = st.floats(0, 4e9)
details = st.builds(
    Detail, *[texts] * 2, st.integers(0, 999), *[texts] * 4, st.integers(0, 999), *[times] * 3
)


def in_one_piece(batch):
    return [
        replace(one, message=replace(one.message, content=merged(one.message.content)))
        for one in batch
    ]


@given(entries)
def test_a_batch_reads_back_as_written(batch):
    assert decode(encode(batch)) == in_one_piece(batch)


@given(details)
def test_a_detail_reads_back_as_written(detail):
    assert decode_detail(encode_detail(detail)) == detail


@given(st.binary(max_size=300))
def test_bytes_that_are_no_payload_are_refused_and_nothing_else_happens(octets):
    for start in (b"", b"M\x01", b"M\x02"):
        with pytest.raises(PayloadError):
            decode(start + octets)
    with pytest.raises(PayloadError):
        decode_detail(b"\xc1" + octets)


@given(entries.filter(bool), st.sampled_from([1, 2]), st.data())
def test_a_damaged_payload_is_refused_or_reads_as_messages(batch, version, data):
    octets = bytearray(encode(batch, version))
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = decode(bytes(octets))
    except PayloadError:
        return
    assert all(isinstance(entry, Entry) for entry in found)


def test_what_the_first_version_wrote_is_read_for_ever():
    assert decode((GOLDEN / "payload-1.bin").read_bytes()) == ENTRIES
    assert decode_detail((GOLDEN / "detail-1.bin").read_bytes()) == DETAIL


def test_what_the_second_version_wrote_is_read_for_ever():
    found = decode((GOLDEN / "payload-2.bin").read_bytes())
    assert found == in_one_piece(ENTRIES + ALIKE)
    assert [one.values for one in found[3:]] == [
        (b"To: r%d@example.org\r\n" % n, b"%d, " % n, b"%d" % n) for n in (1, 2)
    ]


def test_the_second_version_is_written_as_ever():
    golden, now = (GOLDEN / "payload-2.bin").read_bytes(), encode(ENTRIES + ALIKE, 2)
    assert now[:2] == golden[:2] == b"M\x02"
    assert zstd.decompress(now[2:]) == zstd.decompress(golden[2:])


@given(entries)
def test_a_batch_with_forms_reads_back_as_written_its_octets_in_one_piece(batch):
    assert decode(encode(batch, 2)) == in_one_piece(batch)


def test_a_small_payload_that_would_fill_the_memory_is_refused():
    """A few octets that stand for gigabytes: a value that is named very often, in many messages."""
    envelope = ["a", "b", "c", b"12345678", False]
    rows = [[*envelope, 0, [b"x" * 100_000]]] * 200
    bomb = b"M\x02" + zstd.compress(msgpack.packb(([[0] * 100], rows)))
    assert len(bomb) < 100_000
    with pytest.raises(PayloadError, match="more than 1073741824 octets"):
        decode(bomb)


def test_a_message_that_lacks_values_is_refused():
    envelope = ["a", "b", "c", b"12345678", False]
    for number, values in ((0, [b"one"]), (0, [b"one", b"two", b"three"]), (1, []), (-2, [])):
        packed = msgpack.packb(([[0, b" and ", 1]], [[*envelope, number, values]]))
        with pytest.raises(PayloadError, match="damaged"):
            decode(b"M\x02" + zstd.compress(packed))
    for form in ([1], [0, -1], [0, "text"], [0.5]):
        packed = msgpack.packb(([form], [[*envelope, 0, [b"one"]]]))
        with pytest.raises(PayloadError, match="damaged"):
            decode(b"M\x02" + zstd.compress(packed))


def test_this_version_writes_what_the_first_version_wrote():
    """Compression may differ; what is in it may not."""
    golden, now = (GOLDEN / "payload-1.bin").read_bytes(), encode(ENTRIES)
    assert now[:2] == golden[:2]
    assert zstd.decompress(now[2:]) == zstd.decompress(golden[2:])
    assert encode_detail(DETAIL) == (GOLDEN / "detail-1.bin").read_bytes()


def test_a_later_version_is_named_with_what_to_do():
    with pytest.raises(PayloadError, match=f"payload of version {VERSION + 1}.*update the workers"):
        decode(b"M" + bytes([VERSION + 1]) + b"....")
    later = msgpack.packb([VERSION + 1, "ada@example.org", *range(20)])
    with pytest.raises(PayloadError, match=f"detail of version {VERSION + 1}, this mailer reads 1"):
        decode_detail(later)


def test_a_part_of_an_unknown_kind_is_refused():
    row = ["a", "b", "c", b"12345678", False, [msgpack.ExtType(7, b"?")]]
    packed = b"M\x01" + zstd.compress(msgpack.packb([row]))
    with pytest.raises(PayloadError, match="unknown part of kind 7"):
        decode(packed)
