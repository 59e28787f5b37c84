"""Whoever is killed while a campaign is forgotten, or a person erased: the next one ends it.

A kill is tried before every eighth request to Redis, and with --long before each. What was asked before
is done, nothing is asked after.
"""

import json
from collections import Counter
from contextlib import closing, contextmanager, nullcontext, suppress
from time import time

import pytest
from redis.connection import AbstractConnection

from mailer import Campaign, errors
from mailer.config import load
from mailer.mail.event import Event
from mailer.mail.recipients import fingerprint
from mailer.mail.status import Detail, Status
from mailer.operate.erasing import erase
from mailer.operate.history import opened
from mailer.operate.retention import forget, forget_older
from mailer.operate.trace import trace
from mailer.store import keys
from mailer.store.events import Aside
from mailer.store.feedback.records import Brake, Note, Returned
from mailer.store.ledger import Settlement
from mailer.worker.retention import Retention
from tests.operate.test_erasing import ADA, BOB, bury, enqueue, holding, settings, store
from tests.store.test_forgetting import left

__all__ = ["settings", "store"]

STRIDE = 8


@pytest.fixture(
    params=[pytest.param(n, marks=pytest.mark.long if n else []) for n in range(STRIDE)]
)
def first(request):
    """Before which request the first kill is tried."""
    return request.param


class Killed(BaseException):
    """The process is gone."""


@contextmanager
def killed_at(number, monkeypatch):
    """Let so many requests to Redis through, and none after; yields what counts them."""
    asked = []
    send = AbstractConnection.send_packed_command

    def counted(self, command, *args, **more):
        if len(asked) >= number:
            raise Killed
        asked.append(command)
        return send(self, command, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(AbstractConnection, "send_packed_command", counted)
        with suppress(Killed):
            yield asked


def read(campaign):
    """How many have which outcome, and have got it; None where nobody knows the campaign."""
    found = []
    for what in (lambda: dict(campaign.status().outcomes), lambda: len(campaign.accepted)):
        try:
            found.append(what())
        except errors.CampaignNotFoundError:
            found.append(None)
    return found


def over(settings, store):
    """A campaign of three: two have it, one was refused; the history knows of one."""
    now = time()
    enqueue(settings, "spring", ADA, BOB, "eve@example.org")
    claim = store.ledger.claim("spring:1", "w", now, now + 15)
    done = [Settlement(0, Status.REJECTED, Detail(ADA, text="no", at=now))]
    done += [Settlement(place, Status.ACCEPTED) for place in (1, 2)]
    store.ledger.commit(claim, done, (), now, None)
    store.ledger.give_back(claim, now)
    with closing(opened(settings)) as history:
        history.write([Event("spring", 1, "accepted", now, mailbox=BOB)])


@pytest.fixture
def recorded(settings, tmp_path):
    """A configuration with a history, which knows a message of the campaign."""
    file = settings.file
    file.write_text(f'{file.read_text()}[history]\nurl = "sqlite:///{tmp_path}/history.sqlite"\n')
    made = load(file, {})
    with closing(opened(made)) as history:
        history.upgrade()
    return made


def in_history(settings, name="spring"):
    with closing(opened(settings)) as history:
        return dict(history.counts(name))


def test_a_forgetting_that_is_killed_anywhere_shows_no_half_and_the_next_ends_it(
    recorded, store, client, monkeypatch, first
):
    number, done = first, False
    while not done:
        client.flushall()
        over(recorded, store)
        campaign = Campaign("spring", template="hello", settings=recorded)
        whole = read(campaign)
        assert whole[1] == 2
        with killed_at(number, monkeypatch):
            list(forget(recorded, ["spring"], history=True))
            done = True

        seen = read(campaign)
        assert seen in (whole, [None, None]), number
        assert store.campaigns.names() == ([] if seen[0] is None else ["spring"])
        with pytest.raises(errors.CampaignNotFoundError) if done else nullcontext():
            list(forget(recorded, ["spring"], history=True))
        assert left(client) == set(), number
        assert in_history(recorded) == {}, number
        assert client.zscore(keys.FORGOTTEN, "spring")
        number += STRIDE
    assert number > 3 * STRIDE


@pytest.mark.parametrize("number", [12, 24])
def test_what_a_killed_command_left_in_the_history_goes_with_what_is_as_old(
    recorded, store, client, monkeypatch, number
):
    over(recorded, store)
    with closing(opened(recorded)) as history:
        history.write([Event("unknown", 0, "accepted", time() + 60, mailbox=ADA)])
    with killed_at(number, monkeypatch):
        list(forget_older(recorded, 0.0, history=True))
    assert in_history(recorded) == {"accepted": 1}
    Retention(recorded, client).sweep(time())  # a worker ends what the command began
    assert left(client) == set()

    assert [one.campaign for one in forget_older(recorded, 0.0, history=True)] == ["spring"]
    assert in_history(recorded) == {}
    assert in_history(recorded, "unknown") == {"accepted": 1}


def prepared(settings, store):
    """She waits in a batch, lies in two dead letters, came back, and is in the history."""
    enqueue(settings, "waits", ADA, BOB)
    enqueue(settings, "dead", ADA, BOB)
    bury(store, "dead", "d1")
    enqueue(settings, "hers", ADA)
    bury(store, "hers", "d2", Status.UNCERTAIN)
    returned = Returned("bounce", ADA, time(), permanent=True, reason="mailbox_unknown")
    store.feedback.note(Note("waits", fingerprint(ADA), returned, None, Brake()))
    store.client.hset(keys.refusals(fingerprint(ADA)), "times", "1")
    store.events.register("hook")
    bodies = [{"id": f"e{number}", "mailbox": one} for number, one in enumerate((ADA, BOB))]
    Aside(store.client).put("hook", json.dumps({"id": "d", "events": bodies}).encode(), 2, "why")
    store.events.drop("hook-that-was")
    with closing(opened(settings)) as history:
        history.write([Event("waits", 0, "accepted", time(), mailbox=ADA)])


def counted(store):
    """The counts of each campaign, which must be those of its letters."""
    found = {}
    for name in store.campaigns.names():
        outcomes = store.campaigns.progress(name, time()).outcomes
        letters = store.payloads.letters(name, range(9))
        assert {word: n for word, n in outcomes.items() if n} == Counter(
            Status(letter).word for letter in letters
        )
        found[name] = dict(outcomes)
    return found


def test_an_erasing_that_is_killed_anywhere_counts_right_and_the_next_ends_it(
    recorded, store, client, monkeypatch, first
):
    # No worker runs that could read what happened.
    monkeypatch.setattr("mailer.operate.erasing._PATIENCE", 0.0)
    number, done, end = first, False, None
    while not done:
        client.flushall()
        prepared(recorded, store)
        with killed_at(number, monkeypatch):
            erase(recorded, ADA)
            done = True
        counted(store)
        erase(recorded, ADA)

        assert holding(client) == set(), number
        assert [json.loads(one.body)["events"] for one in Aside(client).lying("hook")] in (
            [[{"id": "e1", "mailbox": BOB}]],
            [[{"id": "e1", "mailbox": BOB}]] * 2,  # twice, and with one id: consumers drop one
        )
        assert trace(ADA, recorded) == []
        assert ADA in Campaign("hers", template="hello", settings=recorded).accepted
        end = end or counted(store)
        assert counted(store) == end, number
        assert erase(recorded, ADA).found == []
        number += STRIDE
    assert number > 3 * STRIDE
