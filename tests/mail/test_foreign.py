"""Foreign text acts nowhere: not on a terminal, not in a log line, not in a spreadsheet."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.mail.foreign import csv_cell, one_line, shown

ANYTHING = st.text(alphabet=st.characters())


@given(ANYTHING)
def test_nothing_that_acts_reaches_a_terminal(text):
    for character in shown(text):
        assert character in "\t\n" or unicodedata.category(character) not in {
            "Cc",
            "Cs",
            "Zl",
            "Zp",
        }
        assert unicodedata.bidirectional(character) not in {
            *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        }


@given(ANYTHING)
def test_a_log_line_is_one_line_and_bounded(text):
    line = one_line(text, 50)
    assert line.splitlines() in ([line], [])
    assert len(line) <= 50 * len("\\u202e")


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S"))))
def test_what_is_harmless_stays_as_it_is(text):
    assert one_line(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("mor\u202efdp.exe", r"mor\u202efdp.exe"),
        ("a\r\nb", r"a\r\nb"),
        ("bell\x07", r"bell\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("\ud800", r"\ud800"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
    ],
)
def test_what_acts_is_written_out(text, expected):
    assert one_line(text) == expected


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", ";", "\uff1d", " ="])
def test_no_cell_is_a_formula(start):
    assert csv_cell(f"{start}1+1") == f"'{start}1+1"


def test_numbers_and_plain_words_stay_themselves():
    assert [csv_cell(value) for value in (-5, 1.5, None, "550 5.1.1 no", "")] == [
        -5,
        1.5,
        None,
        "550 5.1.1 no",
        "",
    ]
