"""What came back, shown in Flower: a task for each campaign whenever its counts have changed."""

import pytest

from mailer.mail.recipients import fingerprint
from mailer.store import keys
from mailer.store.feedback.records import Brake, Feedback, Note, Returned
from mailer.worker.came_back import DUTY, TASK, CameBack
from tests.store.batches import NOW, enqueue, open_campaign


@pytest.fixture
def shown():
    return []


@pytest.fixture
def look(client, shown):
    """A worker's look, whose turn it is."""
    worker = CameBack(lambda *task: shown.append(task), client)

    def once(by=worker):
        client.delete(keys.lock(DUTY))
        by.sweep(NOW)

    return once


def back(client, kind, number, *, campaign="spring", permanent=False):
    mailbox = f"r{number}@example.org"
    one = Returned(kind, mailbox, NOW, permanent=permanent)
    Feedback(client).note(Note(campaign, fingerprint(mailbox), one, None, Brake()))


@pytest.fixture
def campaigns(client):
    for name in ("spring", "winter"):
        open_campaign(client, name)
        enqueue(client, range(1, 11), name)


def test_while_nothing_came_back_nothing_is_shown(client, campaigns, look, shown):
    look()
    assert shown == []


def test_each_change_is_one_task_that_reads_like_a_sentence(client, campaigns, look, shown):
    back(client, "bounce", 1)
    look()
    look()
    back(client, "bounce", 2)
    back(client, "complaint", 3)
    look()
    assert [(task, args, words) for task, _, args, _, words in shown] == [
        (TASK, "(spring: what came back)", "1 bounced"),
        (TASK, "(spring: what came back)", "1 complained, 2 bounced"),
    ]
    assert {kwargs for *_, kwargs, _ in shown} == {"{'campaign': 'spring'}"}
    assert len({identifier for _, identifier, *_ in shown}) == 2


def test_two_workers_that_show_the_same_show_one_task(client, campaigns, look, shown):
    back(client, "bounce", 1)
    look()
    look(CameBack(lambda *task: shown.append(task), client))
    assert len(shown) == 2
    assert len({identifier for _, identifier, *_ in shown}) == 1


def test_campaigns_with_the_same_counts_are_told_apart(client, campaigns, look, shown):
    for name in ("spring", "winter"):
        back(client, "unsubscribe", 1, campaign=name)
    look()
    assert {words for *_, words in shown} == {"1 unsubscribed"}
    assert len({identifier for _, identifier, *_ in shown}) == 2


def test_one_worker_has_the_turn(client, campaigns, shown):
    back(client, "bounce", 1)
    for _ in range(3):
        CameBack(lambda *task: shown.append(task), client).sweep(NOW)
    assert len(shown) == 1
