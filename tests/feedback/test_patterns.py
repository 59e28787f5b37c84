"""A needle is a word without which a pattern cannot match: leaving patterns out by it loses nothing."""

import re

import pytest

from mailer.feedback import notices, reasons
from mailer.feedback.patterns import Patterns, needles
from tests.feedback.made import NOTICES, REPLIES, VACATIONS

TEXTS = [case.octets.decode() for case in NOTICES]
TEXTS += [reply for reply, _ in REPLIES] + [octets.decode() for octets in VACATIONS]
SOURCES = [
    source
    for section in notices.formats().values()
    for group in section.values()
    for source in group
]
SOURCES += [
    source
    for rule in reasons._book()["rules"]
    for key in ("text", "unless")
    for source in rule.get(key, ())
]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("mailbox (is )?full", ("mailbox ",)),
        ("(over|exceeded) quota", (" quota",)),
        ("(bounce|delay)s?", ("bounce", "delay")),
        (r"\bspam\b|virus", ("spam", "virus")),
        ("a?b", ()),
        ("x|[0-9]+", ()),
    ],
)
def test_needles_are_told(source, words):
    assert needles(source) == words


def test_no_text_is_missed_for_its_needles():
    for source in SOURCES:
        for text in TEXTS:
            plain = re.search(source, text, re.IGNORECASE) is not None
            assert (Patterns([source]).search(text) is not None) == plain, (source, text)
