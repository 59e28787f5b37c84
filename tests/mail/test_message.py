"""A finished mail: its size, its parts by reference, what its repr tells."""

import pytest

from mailer.errors import PayloadError
from mailer.mail.message import Message, SharedPart

FILE = b"JVBERi0xLjQK\r\n"
PART = SharedPart.of(FILE)
MESSAGE = Message("news@shop.example", "ada@example.org", (b"head\r\n", PART, b"end\r\n"), "<1@x>")


def test_a_reference_is_the_hash_of_what_it_stands_for():
    assert SharedPart.of(FILE) == PART
    assert SharedPart.of(FILE + b"x") != PART
    assert (len(PART.digest), PART.size) == (64, len(FILE))


def test_the_size_counts_what_is_referred_to():
    assert MESSAGE.size == len(MESSAGE.joined({PART.digest: FILE})) == 6 + len(FILE) + 5


def test_the_content_is_the_chunks_in_order():
    assert MESSAGE.joined({PART.digest: FILE}) == b"head\r\n" + FILE + b"end\r\n"


def test_a_part_that_is_not_there_is_an_error_and_no_gap():
    with pytest.raises(PayloadError, match="is not stored"):
        MESSAGE.joined({})


def test_the_repr_tells_no_address():
    assert "ada" not in repr(MESSAGE)
