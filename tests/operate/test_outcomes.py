"""What became of everybody in a campaign, by the ledger alone: each status, in the order of the list."""

import pytest

from mailer.config import Settings
from mailer.errors import CampaignNotFoundError
from mailer.mail.said import Said
from mailer.mail.status import Detail, Status
from mailer.operate.failures import ByPlace, unaccepted, with_records
from mailer.operate.outcomes import outcomes, recorded
from mailer.store import keys
from mailer.store.campaigns import Failure
from mailer.store.dead_letters import DeadLetters
from mailer.store.feedback.records import Returned
from mailer.store.ledger import Burial, Ledger, Settlement
from tests.store.batches import NOW, claim, enqueue, open_campaign

UNKNOWN = Said("RCPT", 550, "5.1.1", "no such user", "reject", "mailbox")
GREY = Said("RCPT", 451, "4.7.1", "greylisted", "defer", "greylisting")
NO_LOGIN = Said("AUTH", 535, "5.7.8", "bad password", "stop", "credentials")

FINAL = [one for one in Status if one not in (Status.QUEUED, Status.TRANSMITTING)]


@pytest.fixture
def settings(redis_url):
    return Settings(redis=redis_url)


def said(number, words, at=NOW):
    return Detail(f"r{number}@example.org").hearing(words, at)


def settled(client, statuses, name="spring"):
    """A campaign of as many recipients as *statuses*, each settled so; None stays queued."""
    open_campaign(client, name)
    ref, _ = enqueue(client, range(1, len(statuses) + 1), name)
    claimed = claim(client, ref)
    what = [
        Settlement(place, status, detail)
        for place, (status, detail) in enumerate(statuses)
        if status is not None
    ]
    Ledger(client).commit(claimed, what, (), NOW, NOW + 15)
    Ledger(client).give_back(claimed, NOW)


def buried(client, name="winter", count=2, words=NO_LOGIN):
    open_campaign(client, name)
    ref, _ = enqueue(client, range(1, count + 1), name)
    claimed = claim(client, ref)
    burial = Burial(f"dead-{name}", Status.DEAD, "auth", words.encode(), range(count))
    assert Ledger(client).bury(claimed, burial, NOW) == count
    return f"dead-{name}"


# Outcomes.


@pytest.mark.parametrize("status", FINAL)
def test_each_status_has_its_word(client, settings, status):
    settled(client, [(status, None), (None, None)])
    assert [one.outcome for one in outcomes(settings, "spring")] == [status.word, "queued"]


def test_everybody_comes_in_the_order_of_the_list_with_what_was_said(client, settings):
    statuses = [
        (Status.ACCEPTED, None),
        (Status.REJECTED, said(2, UNKNOWN)),
        (Status.DEFERRED, said(3, GREY)),
        (None, None),
    ]
    settled(client, statuses)
    found = list(outcomes(settings, "spring"))
    assert [one.position for one in found] == [0, 1, 2, 3]
    assert [one.outcome for one in found] == ["accepted", "rejected", "deferred", "queued"]
    assert [one.mailbox for one in found] == ["", "r2@example.org", "r3@example.org", ""]
    assert [one.reply for one in found] == [
        "",
        "550 5.1.1 no such user",
        "451 4.7.1 greylisted",
        "",
    ]
    assert [one.stage for one in found] == ["", "RCPT", "RCPT", ""]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (["accepted"], [0]),
        (["rejected", "deferred"], [1, 2]),
        (["queued"], [3]),
        (["dead"], []),
        ([], [0, 1, 2, 3]),
    ],
)
def test_only_those_with_a_wanted_outcome_come(client, settings, wanted, places):
    statuses = [(Status.ACCEPTED, None), (Status.REJECTED, None), (Status.DEFERRED, None)]
    settled(client, [*statuses, (None, None)])
    assert [one.position for one in outcomes(settings, "spring", wanted)] == places


def test_more_than_one_page_is_complete_and_in_order(client, settings):
    open_campaign(client, "spring")
    for first in range(1, 1202, 400):
        enqueue(client, range(first, min(first + 400, 1202)))
    assert [one.position for one in outcomes(settings, "spring")] == list(range(1201))


def test_a_campaign_that_nobody_knows_is_named(settings):
    with pytest.raises(CampaignNotFoundError, match="autumn"):
        list(outcomes(settings, "autumn"))


@pytest.mark.parametrize(
    ("kinds", "later"),
    [
        ([], ""),
        (["bounce"], "bounced"),
        (["delivered", "bounce"], "bounced"),
        (["bounce", "delivered"], "bounced"),
        (["auto_reply", "complaint", "bounce"], "complained"),
        (["unsubscribe", "delayed"], "unsubscribed"),
    ],
)
def test_of_what_came_back_the_weightiest_word_counts(kinds, later):
    back = [Returned(kind, "r1@example.org", NOW + n) for n, kind in enumerate(kinds)]
    found = recorded("spring", 0, "a", None, back)
    assert found.later == later
    assert [step.at for step in found.steps] == [NOW + n for n in range(len(kinds))]
    assert found.mailbox == ("r1@example.org" if kinds else "")


def test_what_was_said_before_a_message_was_accepted_is_not_its_reply():
    detail = said(1, GREY)
    assert recorded("spring", 0, "d", detail, ()).reply == "451 4.7.1 greylisted"
    assert recorded("spring", 0, "a", detail, ()).reply == ""


def test_a_letter_of_another_version_is_uncertain_and_one_in_flight_waits():
    assert recorded("spring", 0, "?", None, ()).outcome == "uncertain"
    assert recorded("spring", 0, "t", None, ()).outcome == "queued"


# Failures.


def test_who_was_accepted_is_no_failure_and_who_was_never_tried_neither(client, settings):
    statuses = [(Status.ACCEPTED, None), (Status.REJECTED, said(2, UNKNOWN)), (None, None)]
    settled(client, statuses)
    (only,) = unaccepted(settings, "spring")
    assert (only.position, only.status) == (1, Status.REJECTED)
    assert (only.detail.mailbox, only.detail.reply) == ("r2@example.org", "550 5.1.1 no such user")


def test_of_a_batch_that_was_buried_whole_the_letter_says_who_and_why(client, settings):
    buried(client)
    found = list(unaccepted(settings, "winter"))
    assert [one.position for one in found] == [0, 1]
    assert {one.status for one in found} == {Status.DEAD}
    assert [one.detail.mailbox for one in found] == ["r1@example.org", "r2@example.org"]
    assert {one.detail.reply for one in found} == {"535 5.7.8 bad password"}


def test_a_letter_without_a_reply_gives_its_reason(client, settings):
    buried(client, words=Said())
    assert {one.detail.text for one in unaccepted(settings, "winter")} == {"auth"}


def test_a_letter_whose_payload_cannot_be_read_still_counts_its_recipients(client, settings):
    identifier = buried(client)
    client.set(keys.dead_payload(identifier), b"junk")
    found = list(unaccepted(settings, "winter"))
    assert [one.position for one in found] == [0, 1]
    assert {one.detail.mailbox for one in found} == {"(unreadable)"}


def test_whoever_was_taken_out_of_the_dead_letters_is_not_dead(client, settings):
    identifier = buried(client)
    assert DeadLetters(client).replay(identifier, NOW).messages == 2
    assert list(unaccepted(settings, "winter")) == []


def test_what_is_remembered_of_a_recipient_goes_before_its_dead_letter(client, settings):
    open_campaign(client, "spring")
    ref, _ = enqueue(client, [1, 2])
    claimed = claim(client, ref)
    own = said(2, GREY)
    letters = Burial(
        "dead-1", Status.DEAD, "exhausted", NO_LOGIN.encode(), (0, 1), None, ((1, own),)
    )
    assert Ledger(client).bury(claimed, letters, NOW) == 2
    found = {one.position: one.detail.reply for one in unaccepted(settings, "spring")}
    assert found == {0: "535 5.7.8 bad password", 1: "451 4.7.1 greylisted"}


def test_without_a_history_nothing_more_is_known_of_a_failure(settings):
    failures = [Failure(3, Status.REJECTED, said(4, UNKNOWN))]
    assert list(with_records(settings, "spring", failures)) == [(failures[0], None)]


@pytest.mark.parametrize(
    ("there", "asked", "found"),
    [
        ([], [0, 1], []),
        ([0, 1, 2], [0, 1, 2], [0, 1, 2]),
        ([1, 3], [0, 1, 2, 3, 4], [1, 3]),
        ([0, 5, 9], [5], [5]),
        ([2], [0, 1], []),
        ([2], [3, 4], []),
    ],
)
def test_what_comes_by_position_is_found_by_positions_that_grow(there, asked, found):
    by_place = ByPlace(iter([Failure(place, Status.DEAD, Detail("")) for place in there]))
    taken = [by_place.take(place) for place in asked]
    assert [one.position for one in taken if one is not None] == found
