"""Notices of many servers, providers and languages, written after their formats; each says what it means.

In ``notices/*.txt`` a line with ``===`` begins each: its name, recipient, kind, whether the address is no
good for good, status and reason. ``|`` between two answers means that either is right; ``-`` is not
asserted.
"""

from pathlib import Path
from typing import NamedTuple

import pytest

from mailer.feedback import read
from mailer.feedback.returns import Returns
from mailer.store.feedback.records import Brake, Feedback
from tests.feedback.test_returns import to as return_path
from tests.store.batches import open_campaign

FOLDER = Path(__file__).with_name("notices")
CHARSETS = ("koi8-r", "iso-2022-jp")


class Notice(NamedTuple):
    """One of them, and what it means."""

    name: str
    recipient: str
    kinds: frozenset[str]
    permanent: str
    statuses: frozenset[str]
    reasons: frozenset[str]
    octets: bytes


def notices():
    for file in sorted(FOLDER.glob("*.txt")):
        for part in f"\n{file.read_text('utf-8')}".split("\n=== ")[1:]:
            head, _, text = part.partition("\n")
            fields = ("" if one == "-" else one for one in head.split(" | "))
            name, recipient, kinds, permanent, statuses, reasons = fields
            charset = next((one for one in CHARSETS if f"charset={one}" in text), "utf-8")
            yield Notice(
                name, recipient, one_of(kinds), permanent, one_of(statuses), one_of(reasons),
                text.replace("\n", "\r\n").encode(charset),
            )  # fmt: skip


def one_of(words):
    return frozenset(word for word in words.split("|") if word)


@pytest.mark.parametrize("notice", [*notices()], ids=lambda notice: notice.name)
def test_it_is_read_for_what_it_is(notice):
    (report,) = read(notice.octets)
    assert report.kind in notice.kinds
    if notice.recipient:
        assert report.recipient == notice.recipient
    if notice.permanent:
        assert report.permanent is (notice.permanent == "yes")
    if notice.statuses:
        assert report.status in notice.statuses
    if notice.reasons:
        assert report.reason in notice.reasons


def test_nothing_harmless_takes_anybody_off_although_it_comes_to_a_right_return_path(client):
    open_campaign(client)
    returns = Returns(client, ["s"], Brake())
    for notice in notices():
        if "bounce" not in notice.kinds:
            returns.take(notice.octets, "test", [return_path("ada@example.org", "spring", "s")])
    assert not {"bounce", "complaint", "unsubscribe"} & set(Feedback(client).counts("spring"))
    assert client.exists("mailer:suppressed") == 0


def test_no_notice_acts_on_anybody_without_a_proof(client):
    open_campaign(client)
    returns = Returns(client, ["s"], Brake())
    kept = [returns.take(notice.octets, "test", ["bounces@shop.example"]) for notice in notices()]
    assert {(one.match, one.dropped) for taken in kept for one in taken} == {(None, False)}
    assert Feedback(client).counts("spring") == {}
    assert len(Feedback(client).unknown()) == len(kept)
    assert client.exists("mailer:suppressed") == 0
