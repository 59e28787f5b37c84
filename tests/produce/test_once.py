"""Two messages with one key are the same, or not: by what they were made of, in every process."""

import subprocess
import sys
from datetime import date
from decimal import Decimal
from email.message import EmailMessage

import pytest

from mailer.produce.once import digest_of, digest_of_message


class Silent:
    """An object without a text of its own: Python's text for it holds its address."""


class Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


SAME = [
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({"a": {"x": 1, "y": [1]}}, {"a": {"y": [1], "x": 1}}),
    ((1, 2), [1, 2]),
    ({"b", "a"}, {"a", "b"}),
    (b"octets", b"octets"),
    (date(2026, 3, 1), date(2026, 3, 1)),
    (Decimal("1.50"), Decimal("1.50")),
    (Silent(), Silent()),
    (Named("x"), Named("x")),
    ("\ud800", "\ud800"),
]

OTHER = [
    (1, "1"),
    (1, True),
    (None, ""),
    ({"a": 1}, {"a": 2}),
    ([1, 2], [2, 1]),
    (b"octets", "octets"),
    (b"octets", b"octet"),
    (date(2026, 3, 1), "2026-03-01"),
    (Decimal("1.5"), 1.5),
    (Decimal("1.5"), Decimal("1.50")),
    (Named("x"), Named("y")),
    ({"a", "b"}, {"a"}),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_equal_values_have_one_digest(one, two):
    assert digest_of(one) == digest_of(two)


@pytest.mark.parametrize(("one", "two"), OTHER)
def test_different_values_have_different_ones(one, two):
    assert digest_of(one) != digest_of(two)


def test_where_one_value_ends_and_the_next_begins_matters():
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of(["a"], "b") != digest_of("a", ["b"])


def test_another_process_finds_the_same_digest():
    """Sets and objects differ in order and address from process to process."""
    program = (
        "from mailer.produce.once import digest_of\n"
        "class Silent: ...\n"
        "print(digest_of({'a', 'b', 'c', 'd'}, Silent(), {'y': 1, 'x': b'z'}))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


# Messages.


def message(text="Hello", *, subject="Hi", extra=None, html=None, file=None):
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "a@x.example", "b@x.example", subject
    for name, value in (extra or {}).items():
        made[name] = value
    made.set_content(text)
    if html:
        made.add_alternative(html, subtype="html")
    if file:
        made.add_attachment(file[1], "application", "pdf", filename=file[0])
    return made


@pytest.mark.parametrize(
    "extra",
    [
        {"Date": "Sun, 01 Mar 2026 09:30:00 +0000"},
        {"Message-ID": "<1@x.example>"},
        {"date": "Mon, 02 Mar 2026 09:30:00 +0000", "message-id": "<2@x.example>"},
    ],
)
def test_what_is_made_anew_each_time_does_not_count(extra):
    assert digest_of_message(message(extra=extra)) == digest_of_message(message())


def test_boundaries_do_not_count():
    one, two = message(html="<p>Hello</p>"), message(html="<p>Hello</p>")
    one.set_boundary("one")
    two.set_boundary("two")
    assert one.as_bytes() != two.as_bytes()
    assert digest_of_message(one) == digest_of_message(two)


@pytest.mark.parametrize(
    "other",
    [
        {"text": "Hullo"},
        {"subject": "Ho"},
        {"html": "<p>Hello</p>"},
        {"file": ("a.pdf", b"1")},
        {"extra": {"X-Order": "7"}},
        {"extra": {"Cc": "c@x.example"}},
    ],
)
def test_everything_that_a_reader_could_see_counts(other):
    assert digest_of_message(message(**other)) != digest_of_message(message())


@pytest.mark.parametrize("other", [("b.pdf", b"1"), ("a.pdf", b"2")])
def test_a_files_name_and_content_count(other):
    assert digest_of_message(message(file=("a.pdf", b"1"))) != digest_of_message(
        message(file=other)
    )


def test_the_envelope_counts():
    made = message()
    assert digest_of_message(made, "a@x.example", ["k"]) != digest_of_message(
        made, "z@x.example", ["k"]
    )
    assert digest_of_message(made, "a@x.example", ["k"]) != digest_of_message(
        made, "a@x.example", ["k", "l"]
    )
