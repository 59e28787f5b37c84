"""A campaign's start: it holds for every batch, and can be moved."""

import pytest

from mailer.errors import CampaignChangedError, CampaignNotFoundError, InputError
from mailer.mail.policy import CampaignPolicy
from mailer.mail.status import Status
from mailer.store.campaigns import CANCELLED, Campaigns
from mailer.store.course.schedule import Schedule
from mailer.store.ledger import Ledger, Settlement, Unclaimed, Verdict
from mailer.store.waiting import Waiting
from tests.store.batches import LEASE, NOW, claim, enqueue, open_campaign

LATER = NOW + 500


def begin(client, start, name="spring", **changes):
    about = {"digest": "d", "summary": {}, "policy": CampaignPolicy(), "accept_changes": False}
    return Campaigns(client).open(name, **{**about, **changes}, now=NOW, start=start)


def move(client, start, now=NOW):
    return list(Schedule(client).move("spring", now, start))


def test_batches_wait_for_the_start_of_their_campaign(client):
    begin(client, LATER)
    ref, done = enqueue(client, [1])
    assert done.state == "waiting"
    assert Ledger(client).claim(ref, "w", NOW + 499, NOW + 600) == Unclaimed("waiting")
    assert claim(client, ref, now=LATER)


def test_an_earlier_start_queues_what_waits_for_it(client):
    begin(client, LATER)
    ref, _ = enqueue(client, [1])
    assert move(client, NOW) == [("bulk", ref)]
    assert move(client, NOW) == []
    assert claim(client, ref)


def test_what_is_enqueued_after_a_move_waits_for_the_new_start(client):
    begin(client, LATER)
    move(client, NOW)
    ref, done = enqueue(client, [1], due=LATER)
    assert done.state == "queued"
    move(client, NOW + 50)
    assert enqueue(client, [2])[1].state == "waiting"
    assert Ledger(client).claim(ref, "w", NOW, NOW + 9) == Unclaimed("waiting")


def test_a_later_start_holds_back_what_is_queued_or_parked_and_what_is_retried(client):
    begin(client, 0.0)
    queued, retried, parked = (enqueue(client, [number])[0] for number in (1, 2, 3))
    ledger = Ledger(client)
    ledger.wait(claim(client, retried), NOW, NOW + 10)
    Campaigns(client).set_state("spring", "paused")
    assert ledger.claim(parked, "w", NOW, NOW + 9) == Unclaimed("parked")
    Campaigns(client).set_state("spring", "running")

    assert move(client, LATER) == []
    list(Waiting(client).wake("campaign:spring", NOW))
    list(Waiting(client).sweep(NOW + 20))
    for ref in (queued, retried, parked):
        assert ledger.claim(ref, "w", NOW + 20, NOW + 29) == Unclaimed("waiting"), ref
    assert sorted(ref for _, ref in Waiting(client).sweep(LATER)) == [queued, retried, parked]


def test_a_worker_starts_no_message_once_the_start_was_moved_away(client):
    begin(client, 0.0)
    ref, _ = enqueue(client, [1, 2])
    lease = claim(client, ref)
    ledger = Ledger(client)
    assert ledger.commit(lease, (), [0], NOW, NOW + LEASE) is Verdict.GO
    move(client, LATER)
    heard = [Settlement(0, Status.ACCEPTED)]
    assert ledger.commit(lease, heard, [1], NOW, NOW + LEASE) is Verdict.PAUSED
    assert ledger.park(lease, NOW, "campaign:spring") == "queued"
    assert ledger.claim(ref, "w", NOW, NOW + 9) == Unclaimed("waiting")
    assert move(client, NOW) == [("bulk", ref)], "what waited for the start comes back with it"


def test_a_move_that_was_cut_short_is_finished_by_the_next_one(client):
    begin(client, LATER)
    refs = [enqueue(client, [number])[0] for number in range(450)]
    cut = Schedule(client).move("spring", NOW, NOW)
    assert next(cut) == ("bulk", refs[0])
    assert [ref for _, ref in move(client, NOW)] == refs[200:]


@pytest.mark.parametrize("wanted", [LATER, 0.0])
def test_the_same_start_or_none_goes_on_with_a_campaign(client, wanted):
    begin(client, LATER)
    assert begin(client, wanted).run == 2


@pytest.mark.parametrize("accept", [True, False])
def test_another_start_is_an_error_that_says_what_holds_and_how_to_move_it(client, accept):
    begin(client, LATER)
    with pytest.raises(CampaignChangedError, match=r"begins at .* mailer schedule spring --at \""):
        begin(client, LATER + 60, accept_changes=accept)
    begin(client, 0.0, "other")
    with pytest.raises(CampaignChangedError, match="was to begin at once"):
        begin(client, LATER, "other")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"summary": {"account": "b"}}, r"another account \(a, not b\): give it another name"),
        ({"policy": CampaignPolicy(resend=True)}, "another on_uncertain"),
        ({"policy": CampaignPolicy(window="08:00-18:00 UTC")}, "another window"),
        ({"policy": CampaignPolicy(retry={"attempts": 2})}, "another retry"),
    ],
)
def test_another_account_or_policy_is_an_error_until_it_is_accepted(client, changes, words):
    begin(client, 0.0, summary={"account": "a"})
    given = {"summary": {"account": "a"}, **changes}
    with pytest.raises(CampaignChangedError, match=words):
        begin(client, 0.0, **given)
    assert begin(client, 0.0, **given, accept_changes=True).run == 2


def test_what_an_older_version_began_has_no_start_to_differ_from(client):
    begin(client, 0.0)
    client.hdel("mailer:campaign:spring", "start")
    assert begin(client, LATER).run == 2
    assert enqueue(client, [1], due=LATER)[1].state == "waiting"


def test_only_what_is_open_can_be_moved(client):
    with pytest.raises(CampaignNotFoundError):
        move(client, LATER)
    open_campaign(client)
    Campaigns(client).close("spring")
    with pytest.raises(InputError, match="is over"):
        move(client, LATER)
    Campaigns(client).set_state("spring", CANCELLED)
    with pytest.raises(CampaignChangedError, match="was cancelled"):
        move(client, LATER)


def test_time_left_counts_what_is_deferred(client):
    begin(client, 0.0)
    ref, _ = enqueue(client, [1])
    Ledger(client).wait(claim(client, ref), NOW, NOW + 3600)
    assert Campaigns(client).progress("spring", NOW).time_left == 3600
