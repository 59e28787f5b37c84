"""The figures of campaigns, accounts and queues: each where it belongs, and zeros from the start."""

from time import time

import pytest

from mailer.config import Settings
from mailer.mail.policy import CampaignPolicy
from mailer.mail.recipients import fingerprint
from mailer.mail.said import Said
from mailer.mail.status import OPEN, Status
from mailer.operate.figures import SEVERAL, figures
from mailer.store.campaigns import Campaigns
from mailer.store.dead_letters import REASONS
from mailer.store.events import Aside, EventStream
from mailer.store.feedback.records import Brake, Feedback, Note, Returned
from mailer.store.ledger import Burial, Ledger, Settlement
from mailer.store.slots import Slots
from mailer.store.waiting import Waiting
from tests.store.batches import NOW, claim, enqueue

FINAL = [one.word for one in Status if one not in OPEN]


@pytest.fixture
def settings(redis_url):
    title = "the title of the table"
    accounts = {name: {title: name, "url": "smtp://localhost"} for name in ("primary", "backup")}
    return Settings(redis=redis_url, accounts=accounts)


def campaign(client, name="spring", account="primary"):
    Campaigns(client).open(
        name,
        digest="d",
        summary={"account": account},
        policy=CampaignPolicy(),
        accept_changes=False,
        now=NOW,
    )


def settled(client, statuses, name="spring", account="primary"):
    campaign(client, name, account)
    ref, _ = enqueue(client, range(1, len(statuses) + 1), name, account=account.partition(",")[0])
    claimed = claim(client, ref)
    what = [Settlement(place, one) for place, one in enumerate(statuses) if one]
    Ledger(client).commit(claimed, what, (), NOW, NOW + 15)
    return claimed


def test_before_anything_every_figure_is_there_and_zero(settings):
    found = figures(settings)
    assert found.messages == {
        (word, account): 0 for word in FINAL for account in ("primary", "backup")
    }
    assert found.dead_letters == dict.fromkeys(REASONS, 0)
    assert found.connections == {"primary": 0, "backup": 0}
    assert (found.swept, found.lags, found.set_aside, found.missed) == (0.0, {}, {}, {})
    assert (found.came_back, found.forgotten) == ({}, 0)
    assert not any(found.recipients.values())


@pytest.mark.parametrize("word", [one for one in FINAL if one not in ("dead", "dropped")])
def test_each_outcome_counts_for_its_account(client, settings, word):
    one = next(one for one in Status if one.word == word)
    settled(client, [one, one, None])
    found = figures(settings)
    assert found.messages[word, "primary"] == 2
    assert sum(found.messages.values()) == 2
    assert (found.recipients[word], found.recipients["queued"]) == (2, 1)


def test_a_campaign_of_several_accounts_has_a_label_of_its_own(client, settings):
    settled(client, [Status.ACCEPTED], "spring", "primary, backup")
    settled(client, [Status.ACCEPTED], "winter", "backup, primary")
    settled(client, [Status.ACCEPTED], "autumn", "backup")
    found = figures(settings).messages
    assert found["accepted", SEVERAL] == 2
    assert (found["accepted", "backup"], found["accepted", "primary"]) == (1, 0)


@pytest.mark.parametrize("reason", REASONS)
def test_dead_letters_count_recipients_by_reason(client, settings, reason):
    claimed = settled(client, [Status.ACCEPTED, None, None])
    burial = Burial("d1", Status.DEAD, reason, Said().encode(), (1, 2))
    assert Ledger(client).bury(claimed, burial, NOW) == 2
    found = figures(settings)
    assert found.dead_letters == {**dict.fromkeys(REASONS, 0), reason: 2}
    assert {one.name: one.dead for one in found.accounts} == {"backup": 0, "primary": 2}


def test_what_came_back_counts_by_kind_and_account(client, settings):
    settled(client, [Status.ACCEPTED, Status.ACCEPTED])
    feedback = Feedback(client)
    for number, permanent in ((1, True), (2, False)):
        mailbox = f"r{number}@example.org"
        back = Returned("bounce", mailbox, NOW, permanent=permanent)
        feedback.note(Note("spring", fingerprint(mailbox), back, None, Brake()))
    found = figures(settings).came_back
    assert found["bounce", "primary"] == 2
    assert found["permanent", "primary"] == 1


def test_queues_connections_and_sweeps_are_those_of_now(client, settings):
    campaign(client)
    enqueue(client, [1, 2])
    enqueue(client, [3])
    now = time()
    assert Slots(client).acquire("primary", 2, 10, "w1", 60.0, now) == 2
    Waiting(client).note_sweep(now)
    found = figures(settings)
    assert found.queue_lengths["bulk"] == 2
    assert found.oldest_queued["bulk"] == pytest.approx(now - NOW, abs=120)
    assert found.connections == {"primary": 2, "backup": 0}
    assert found.swept == pytest.approx(now, abs=1)


def test_consumers_of_events_are_behind_or_not_and_what_they_did_not_take_lies_aside(
    client, settings
):
    EventStream(client).register("hook")
    Aside(client).put("hook", b"body", 3, "refused")
    found = figures(settings)
    assert found.lags == {"hook": 0.0}
    assert found.set_aside == {"hook": 1}
