"""Recipients who are open and in no batch, as a script that ended in its middle leaves them."""

import pytest

from mailer.mail.status import Status
from mailer.store import keys
from mailer.store.campaigns import CANCELLED, Campaigns
from mailer.store.course.unheld import Unheld
from mailer.store.ledger import Burial, Ledger, Part, Settlement
from tests.store.batches import NOW, claim, enqueue, open_campaign, outcomes


@pytest.fixture
def refs(client):
    """Three batches of a campaign, two recipients each."""
    open_campaign(client)
    return [enqueue(client, [one, one + 1])[0] for one in (1, 3, 5)]


def lose(client, ref):
    client.delete(keys.batch(ref), keys.payload(ref))
    client.zrem(keys.queued("bulk"), ref)


def test_who_is_in_a_batch_is_not_lost_whatever_the_batch_does(client, refs):
    ledger = Ledger(client)
    ledger.wait(claim(client, refs[0]), NOW, NOW + 60)
    ledger.commit(claim(client, refs[1]), [Settlement(2, Status.ACCEPTED)], (), NOW, NOW + 15)
    assert Unheld(client).unheld_in("spring") == []


def test_whose_batch_is_gone_is_found_and_who_is_final_is_not(client, refs):
    held = [Settlement(2, Status.ACCEPTED), Settlement(3, Status.DEFERRED)]
    Ledger(client).commit(claim(client, refs[1]), held, (), NOW, NOW + 15)
    lose(client, refs[1])
    assert Unheld(client).unheld_in("spring") == [3]
    lose(client, refs[0])
    assert Unheld(client).unheld_in("spring") == [0, 1, 3]


def test_who_went_on_in_another_batch_or_lies_in_a_dead_letter_is_not_lost(client, refs):
    ledger = Ledger(client)
    ledger.split(claim(client, refs[0]), [Part((0,), b"one"), Part((1,), b"two")], NOW)
    burial = Burial("dead", Status.DEAD, "bad", b"bad", (2, 3), b"payload")
    ledger.bury(claim(client, refs[1]), burial, NOW)
    assert Unheld(client).unheld_in("spring") == []


def test_they_are_settled_once_the_campaign_is_cancelled_and_may_have_got_it(client, refs):
    lose(client, refs[1])
    Unheld(client).settle_unheld("spring")
    assert outcomes(client, "spring") == {"queued": 6}, "while it runs, nobody is"
    Campaigns(client).set_state("spring", CANCELLED)
    Unheld(client).settle_unheld("spring")
    assert outcomes(client, "spring") == {"queued": 4, "cancelled": 2}
    assert Campaigns(client).unsure("spring") == {2, 3}
    Unheld(client).settle_unheld("spring")
    assert outcomes(client, "spring") == {"queued": 4, "cancelled": 2}
