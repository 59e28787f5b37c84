"""A campaign that was cancelled half-way goes on under another name, and nobody gets it twice."""

import pytest

from mailer.errors import CampaignNotFoundError, InputError
from mailer.mail.recipients import fingerprint
from mailer.mail.status import Status
from mailer.operate.recipients import Recipients, accepted, failed
from mailer.store import keys
from mailer.store.campaigns import CANCELLED, Campaigns
from mailer.store.dead_letters import DeadLetters
from mailer.store.ledger import Burial, Ledger, Settlement
from mailer.store.retention.forgetting import Forgetting
from tests.store.batches import NOW, claim, detail, enqueue, fresh, open_campaign, outcomes


@pytest.fixture
def settings(redis_url):
    from mailer.config import Settings  # noqa: PLC0415

    return Settings(redis=redis_url)


def half_sent(client, statuses, name="spring"):
    open_campaign(client, name)
    ref, _ = enqueue(client, range(1, 11), name)
    claimed = claim(client, ref)
    settled = [Settlement(place, status) for place, status in enumerate(statuses)]
    Ledger(client).commit(claimed, settled, (), NOW, NOW + 15)
    Ledger(client).give_back(claimed, NOW)


def test_who_has_it_or_may_have_it_is_skipped_and_who_has_it_not_is_tried_again(client, settings):
    half_sent(client, [Status.ACCEPTED, Status.UNCERTAIN, Status.REJECTED])
    Campaigns(client).set_state("spring", CANCELLED)
    assert sum(Campaigns(client).cancel_batches("spring")) == 7

    has, has_not = accepted(settings, "spring"), failed(settings, "spring")

    assert [n for n in range(10) if fresh(n + 1).fingerprint in has] == [0, 1]
    assert [n for n in range(10) if fresh(n + 1).fingerprint in has_not] == list(range(2, 10))
    assert (len(has), len(has_not)) == (2, 8)


def test_while_somebody_may_get_it_yet_it_is_not_said(client, settings):
    half_sent(client, [Status.ACCEPTED])

    with pytest.raises(InputError, match=r"9 recipients open.*mailer cancel spring"):
        accepted(settings, "spring")


def test_what_an_older_version_queued_is_refused_in_words(client, settings):
    half_sent(client, [Status.ACCEPTED] * 10)
    client.delete("mailer:order:spring")

    with pytest.raises(InputError, match="kept no order"):
        accepted(settings, "spring")


def test_a_campaign_that_is_not_there_is_named(client, settings):
    with pytest.raises(CampaignNotFoundError):
        accepted(settings, "winter")


def test_a_set_knows_two_spellings_of_one_mailbox():
    some = Recipients([fingerprint("ada@example.org")])

    assert "ADA@example.org" in some
    assert "bob@example.org" not in some
    assert 5 not in some


def dead(client, status, *, replay=False):
    """A campaign of two: one accepted, one whose dead letter was taken out."""
    open_campaign(client, "spring")
    ref, _ = enqueue(client, range(1, 3), "spring")
    claimed = claim(client, ref)
    ledger, letters = Ledger(client), DeadLetters(client)
    ledger.commit(claimed, [Settlement(0, Status.ACCEPTED)], (), NOW, NOW + 15)
    burial = Burial("d1", status, "uncertain", b"", (1,), b"")
    assert ledger.bury(claimed, burial, NOW) == 1
    assert (letters.replay if replay else letters.drop)("d1", NOW).messages == 1


def stand(settings):
    has, has_not = accepted(settings, "spring"), failed(settings, "spring")
    both = [fresh(number).fingerprint for number in (1, 2)]
    return [key in has for key in both], [key in has_not for key in both]


def test_who_was_uncertain_may_have_it_after_the_purge(client, settings):
    dead(client, Status.UNCERTAIN)
    assert stand(settings) == ([True, True], [False, False])


def test_who_was_dead_has_it_not_after_the_purge(client, settings):
    dead(client, Status.DEAD)
    assert stand(settings) == ([True, False], [False, True])


def test_who_was_uncertain_and_was_replayed_and_cancelled_may_have_it(client, settings):
    dead(client, Status.UNCERTAIN, replay=True)
    Campaigns(client).set_state("spring", CANCELLED)
    assert sum(Campaigns(client).cancel_batches("spring")) == 1
    assert stand(settings) == ([True, True], [False, False])


def test_who_is_tried_again_after_an_uncertain_try_may_have_it_whatever_comes_next(
    client, settings
):
    open_campaign(client)
    ref, _ = enqueue(client, range(1, 4))
    claimed, ledger = claim(client, ref), Ledger(client)
    again = [
        Settlement(0, Status.DEFERRED, detail(1), unsure=True),
        Settlement(1, Status.DEFERRED, detail(2)),
    ]
    ledger.commit(claimed, again, (2,), NOW, NOW + 15)
    spent = Burial("d1", Status.DEAD, "exhausted", b"", (2,), b"", [(2, detail(3))], unsure=True)
    assert ledger.bury(claimed, spent, NOW) == 1
    ledger.give_back(claimed, NOW)
    Campaigns(client).set_state("spring", CANCELLED)
    assert sum(Campaigns(client).cancel_batches("spring")) == 2
    assert outcomes(client) == {"cancelled": 2, "dead": 1}

    has, has_not = accepted(settings, "spring"), failed(settings, "spring")

    assert [n for n in range(3) if fresh(n + 1).fingerprint in has] == [0, 2]
    assert [n for n in range(3) if fresh(n + 1).fingerprint in has_not] == [1]


def test_a_campaign_of_which_uncertain_ones_were_purged_is_forgotten_whole(client, settings):
    dead(client, Status.UNCERTAIN)
    Campaigns(client).close("spring")
    assert client.exists(keys.unsure("spring"))
    assert Forgetting(client).forget("spring", NOW + 9, NOW + 9).what == "done"
    assert client.keys("mailer:*:spring*") == []


def test_of_two_sets_one_is_made_that_names_both():
    a = Recipients([fingerprint("ada@example.org"), fingerprint("eve@example.org")], ["a"])
    b = Recipients([fingerprint("bob@example.org"), fingerprint("eve@example.org")], ["b"])

    both = a | b

    assert (len(both), both.of) == (3, ("a", "b"))
    assert "bob@example.org" in both
    assert "bob@example.org" not in a
    assert len(both.without(a)) == 1


def settled(client, name, statuses, after=()):
    """A campaign of as many recipients as *statuses*, from the first on, that went on from *after*."""
    half_sent(client, statuses, name)
    Campaigns(client).go_on_from(name, after)
    Campaigns(client).set_state(name, CANCELLED)
    list(Campaigns(client).cancel_batches(name))


def members(found):
    return [n for n in range(10) if fresh(n + 1).fingerprint in found]


def test_who_has_got_an_earlier_one_has_got_those_that_went_on_from_it(client, settings):
    """The third goes on from the second alone: who got the first was left out there."""
    settled(client, "a", [Status.ACCEPTED])
    settled(client, "b", [Status.CANCELLED, Status.ACCEPTED], ["a"])
    settled(client, "c", [Status.CANCELLED, Status.CANCELLED, Status.ACCEPTED], ["b"])

    assert members(accepted(settings, "c")) == [0, 1, 2]
    assert members(accepted(settings, "b", "c")) == [0, 1, 2]
    assert members(accepted(settings, "a")) == [0]


def test_campaigns_that_went_on_from_each_other_are_each_asked_once(client, settings):
    settled(client, "a", [Status.ACCEPTED], ["b"])
    settled(client, "b", [Status.CANCELLED, Status.ACCEPTED], ["a", "b", "a"])

    assert Campaigns(client).before("b") == ["a"]
    assert members(accepted(settings, "b")) == [0, 1]


def test_where_an_earlier_one_is_not_known_any_more_it_is_said(client, settings):
    settled(client, "b", [Status.ACCEPTED], ["a"])

    with pytest.raises(InputError, match=r"'b' left out who had got 'a', and 'a' is not known"):
        accepted(settings, "b")


def test_who_failed_in_one_and_has_got_another_is_not_tried_again(client, settings):
    settled(client, "a", [Status.REJECTED, Status.REJECTED, Status.ACCEPTED])
    settled(client, "b", [Status.ACCEPTED, Status.REJECTED, Status.REJECTED])

    assert members(failed(settings, "a", "b")) == [1, *range(3, 10)]
