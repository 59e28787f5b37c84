"""What left Redis before the history had read it is put in out of the ledger, as far as that knows."""

from time import time

import pytest

from mailer.config import Settings
from mailer.errors import InputError
from mailer.history import open_history
from mailer.mail.status import Status
from mailer.operate.history import mending
from mailer.operate.history.mending import NOT_KNOWN, Mended, mend
from mailer.operate.retention import forget
from mailer.store import Store, keys
from mailer.store.events import EventStream, Gaps
from mailer.store.feedback.records import Brake, Note, Returned
from mailer.store.ledger import Ledger, Settlement
from tests.store.batches import claim, detail, enqueue, fresh, open_campaign
from tests.store.test_events import settle

OUTCOMES = {"accepted": 3, "rejected": 1}


@pytest.fixture
def settings(redis_url, tmp_path):
    url = f"sqlite:///{tmp_path}/history.sqlite"
    return Settings.model_validate({"redis": redis_url, "history": {"url": url}})


@pytest.fixture
def history(settings):
    opened = open_history(settings.history.url)
    opened.upgrade()
    yield opened
    opened.close()


def told(client, history):
    """Let the history read what there is."""
    stream = EventStream(client)
    while found := stream.read("history", 1000):
        history.write(found.events)
        stream.acknowledge("history", found)
    Gaps(client).look("history", time())


@pytest.fixture
def gap(client, history):
    """Four recipients are final; the history was told of the first of them only."""
    assert EventStream(client).take("history")
    open_campaign(client)
    ref, _ = enqueue(client, range(1, 5))
    claimed = claim(client, ref)
    settle(client, claimed, [0], at=time())
    told(client, history)
    settle(client, claimed, [1, 2], at=time())
    refused = Settlement(3, Status.REJECTED, detail(4, stage="rcpt", code=550, text="no such user"))
    Ledger(client).commit(claimed, [refused], (), time(), time() + 15)
    client.delete(keys.EVENTS)
    told(client, history)
    return Gaps(client).of("history")


def test_final_outcomes_are_put_in_and_the_gap_is_closed(client, settings, history, gap):
    assert gap.recipients == 3
    assert history.counts("spring") == {"accepted": 1}

    assert list(mend(settings)) == [Mended("spring", 3)]

    assert history.counts("spring") == OUTCOMES
    assert [one.reply for one in history.export("spring")] == [
        "250 ok",
        NOT_KNOWN,
        NOT_KNOWN,
        "550 no such user",
    ]
    assert Gaps(client).all() == []
    assert list(mend(settings)) == [Mended("spring", 0)]


def test_of_who_was_not_accepted_the_ledger_knows_more(settings, history, gap):
    list(mend(settings, ["spring"]))

    found = history.message("spring", 3)
    assert (found.outcome, found.stage, found.mailbox) == ("rejected", "rcpt", "r4@example.org")
    assert [step.outcome for step in found.steps] == ["rejected"]


def test_one_campaign_that_is_mended_closes_no_gap(client, settings, gap):
    list(mend(settings, ["spring"]))
    assert Gaps(client).of("history") == gap


def test_what_comes_after_mending_wins(client, settings, history, gap):
    """A dead letter that is replayed after it was put in: the later outcome stands."""
    open_campaign(client, "autumn")
    ref, _ = enqueue(client, range(1, 3), "autumn")
    claimed = claim(client, ref)
    settle(client, claimed, [0], Status.UNCERTAIN, at=time())
    client.delete(keys.EVENTS)
    told(client, history)
    list(mend(settings))
    assert history.counts("autumn") == {"uncertain": 1}

    settle(client, claimed, [1], at=time())
    told(client, history)

    assert history.counts("autumn") == {"uncertain": 1, "accepted": 1}
    assert sum(one.recipients for one in mend(settings)) == 0


def test_what_came_back_is_put_in_once(client, settings, history, gap):
    one = Returned("bounce", "r2@example.org", time(), reason="mailbox_unknown", permanent=True)
    feedback = Store(client).feedback
    key = fresh(2).fingerprint
    note = Note("spring", key, one, None, Brake(), lambda: feedback.told("spring", key, one))
    feedback.note(note)
    client.delete(keys.EVENTS)
    told(client, history)

    list(mend(settings))

    found = history.message("spring", 1)
    assert (found.outcome, found.later) == ("accepted", "bounced")
    assert [step.outcome for step in found.steps] == ["bounced", "accepted"]
    assert sum(each.recipients for each in mend(settings)) == 0


def test_who_was_erased_does_not_come_back(client, settings, history, gap):
    store = Store(client)
    before = list(store.campaigns.fingerprints("spring"))
    client.setrange(keys.order("spring"), 8, b"\xff" * 8)  # as erasing leaves it
    assert len(list(store.campaigns.fingerprints("spring"))) == len(before) - 1

    list(mend(settings))

    assert history.counts("spring") == {"accepted": 2, "rejected": 1}
    assert history.message("spring", 1) is None


def test_what_is_only_on_its_way_is_not_put_in(client, settings, history, gap, monkeypatch):
    monkeypatch.setattr(mending, "_PATIENCE", 0.0)
    open_campaign(client, "autumn")
    ref, _ = enqueue(client, range(1, 3), "autumn")
    settle(client, claim(client, ref), [0, 1], at=time())

    with pytest.raises(InputError, match="a worker must be running"):
        list(mend(settings))

    assert history.counts("autumn") == {}
    assert Gaps(client).of("history") == gap
    told(client, history)
    assert {one.campaign: one.recipients for one in mend(settings)} == {"spring": 3, "autumn": 0}
    assert [one.reply for one in history.export("autumn")] == ["250 ok", "250 ok"]


def test_a_campaign_that_only_the_ledger_knows_is_not_forgotten_before(client, settings, gap):
    client.hset(keys.campaign("spring"), mapping={"created": time() - 5, "active": time() - 5})
    client.hset(keys.campaign("spring"), "enqueued", 1)
    with pytest.raises(InputError, match="mailer history mend puts in what the ledger knows"):
        list(forget(settings, ["spring"]))

    list(mend(settings))

    assert [one.campaign for one in forget(settings, ["spring"])] == ["spring"]
