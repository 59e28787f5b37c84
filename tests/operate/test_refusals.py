"""Why recipients were not accepted, grouped by what the server said."""

import pytest

from mailer.config import Settings
from mailer.mail.policy import CampaignPolicy
from mailer.mail.recipients import fingerprint
from mailer.mail.routing import Routes
from mailer.mail.said import Said
from mailer.mail.status import Detail, Status
from mailer.operate.campaigns import status
from mailer.operate.refusals import SAMPLE, _alike, refusals
from mailer.store.campaigns import Campaigns, Failure
from mailer.store.ledger import Ledger, Settlement
from tests.store.batches import NOW, claim, enqueue

NO_USER = Said("RCPT", 550, "5.1.1", "no such user", "reject", "mailbox")


@pytest.fixture
def settings(redis_url):
    return Settings(redis=redis_url)


def campaign(client, *, account="primary", routes=None):
    Campaigns(client).open(
        "spring",
        digest="d",
        summary={"account": account},
        policy=CampaignPolicy(routes=routes),
        accept_changes=False,
        now=NOW,
    )


def refused(client, words, *, domain="example.org", status=Status.REJECTED, start=0):
    """A batch of recipients, one for each of *words*, each refused with them."""
    ref, _ = enqueue(client, range(start + 1, start + len(words) + 1))
    claimed = claim(client, ref)
    settled = [
        Settlement(
            place, status, Detail(f"r{place + 1}@{domain}", attempts=place).hearing(one, NOW)
        )
        for place, one in zip(claimed.positions, words, strict=True)
    ]
    Ledger(client).commit(claimed, settled, (), NOW, NOW + 15)


def found(settings):
    return refusals(settings, status(settings, "spring"))


def test_what_servers_said_alike_is_one_line_with_its_number(client, settings):
    campaign(client)
    other = Said("DATA", 554, "5.7.1", "spam", "reject", "content")
    refused(client, [NO_USER, NO_USER, other, NO_USER])
    seen = found(settings)
    assert [(one.said.text, one.outcome, one.recipients) for one in seen.said] == [
        ("no such user", "rejected", 3),
        ("spam", "rejected", 1),
    ]
    assert (seen.total, seen.looked_at, seen.whole) == (4, 4, True)
    assert seen.accounts == (("primary", 4),)


def test_the_same_words_for_another_outcome_are_another_line(client, settings):
    campaign(client)
    refused(client, [NO_USER])
    refused(client, [NO_USER], status=Status.DEFERRED, start=1)
    assert {one.outcome for one in found(settings).said} == {"rejected", "deferred"}


def test_domains_are_counted_in_lower_case(client, settings):
    campaign(client)
    refused(client, [NO_USER, NO_USER], domain="Example.ORG")
    refused(client, [NO_USER], domain="other.example", start=2)
    assert found(settings).domains == (("example.org", 2), ("other.example", 1))


def test_of_a_campaign_with_several_accounts_each_recipient_counts_for_its_own(client, settings):
    routes = Routes({"a": 1.0, "b": 1.0}, {"other.example": "b"})
    campaign(client, account="a, b", routes=routes)
    refused(client, [NO_USER] * 20)
    refused(client, [NO_USER] * 5, domain="other.example", start=20)
    expected = {"a": 0, "b": 5}
    for number in range(1, 21):
        mailbox = f"r{number}@example.org"
        expected[routes.route(fingerprint(mailbox), "example.org")] += 1
    assert dict(found(settings).accounts) == expected
    assert min(expected.values()) > 0


def test_nobody_refused_is_nothing_said(client, settings):
    campaign(client)
    enqueue(client, [1, 2])
    seen = found(settings)
    assert (seen.total, seen.said, seen.domains, seen.accounts) == (0, (), (), ())
    assert seen.whole


def test_of_many_a_sample_is_looked_at_and_the_numbers_are_what_it_comes_to(client, settings):
    campaign(client)
    refused(client, [NO_USER] * (SAMPLE + 500))
    seen = found(settings)
    assert (seen.total, seen.looked_at, seen.whole) == (SAMPLE + 500, SAMPLE, False)
    assert [one.recipients for one in seen.said] == [SAMPLE + 500]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no such user", "no such user"),
        ("<ada@example.org> unknown", "<…> unknown"),
        ("blocked [192.0.2.7]", "blocked […]"),
        ("queued as 4F1A2B3C4D", "queued as …"),
        ("incident 1234567 opened", "incident … opened"),
        ("try in 300 s", "try in 300 s"),
        ("Message-ID a1b2c3d4-e5f6", "Message-ID …"),
        ("unauthenticated", "unauthenticated"),
    ],
)
def test_what_differs_from_reply_to_reply_is_left_out(text, told):
    detail = Detail("ada@example.org", text=text, attempts=4)
    seen = _alike(Failure(0, Status.REJECTED, detail))
    assert seen.text == told
    assert seen.attempts == 0


def test_a_long_text_is_cut():
    detail = Detail("ada@example.org", text="word " * 200)
    assert len(_alike(Failure(0, Status.REJECTED, detail)).text) == 300
