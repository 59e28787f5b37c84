"""The ledger's rules, against a real server."""

import pytest

from mailer.mail.payload import decode
from mailer.mail.said import Said
from mailer.mail.status import Status
from mailer.store import keys
from mailer.store.campaigns import CANCELLED, PAUSED, RUNNING, Campaigns
from mailer.store.dead_letters import DeadLetters, Filter
from mailer.store.dispatch import Dispatch
from mailer.store.ledger import (
    Burial,
    Ledger,
    Part,
    Settlement,
    Unclaimed,
    Verdict,
)
from mailer.store.positions import pack_positions, unpack_positions
from mailer.store.waiting import Waiting
from tests.store.batches import (
    LEASE,
    NOW,
    claim,
    detail,
    enqueue,
    entry,
    fresh,
    open_campaign,
    outcomes,
)


@pytest.fixture
def ledger(client):
    open_campaign(client)
    return Ledger(client)


def settle(ledger, lease, *letters, starting=(), now=NOW):
    settled = [
        Settlement(position, Status(letter), detail(position))
        for position, letter in zip(lease.positions, letters, strict=False)
        if letter != "-"
    ]
    return ledger.commit(lease, settled, starting, now, now + LEASE)


def test_a_recipient_is_queued_once_however_often_it_is_enqueued(client, ledger):
    enqueue(client, [1, 2])
    _, again = enqueue(client, [2, 3])
    assert (again.state, again.taken) == ("taken", (0,))
    assert outcomes(client) == {"queued": 2}


def test_reserve_tells_new_known_changed_and_duplicate_recipients_apart(client, ledger):
    enqueue(client, [1, 2, 3], run=1)
    asked = [fresh(1), fresh(2, digest=8), fresh(4), fresh(1)]
    assert ledger.reserve("spring", 2, asked) == "kcnd"


def test_looking_without_a_run_marks_nobody(client, ledger):
    enqueue(client, [1])
    assert ledger.reserve("spring", 0, [fresh(1), fresh(1)]) == "kk"


def test_a_repeated_enqueue_call_changes_nothing(client, ledger):
    ref, _ = enqueue(client, [1])
    done = ledger.enqueue(
        ref, run=1, queue="bulk", account="primary", payload=b"", recipients=[fresh(1)], now=NOW
    )
    assert done.state == "queued"
    assert outcomes(client) == {"queued": 1}


def test_a_batch_has_one_living_lease(client, ledger):
    ref, _ = enqueue(client, [1])
    claim(client, ref)
    assert ledger.claim(ref, "w2", NOW + LEASE - 1, NOW + 99) == Unclaimed("busy")


def test_a_lapsed_lease_passes_on_with_a_higher_fence_and_the_old_holder_changes_nothing(
    client, ledger
):
    ref, _ = enqueue(client, [1])
    old = claim(client, ref)
    new = claim(client, ref, "w2", now=NOW + LEASE + 1)
    assert (new.fence, new.deaths) == (old.fence + 1, 1)
    assert settle(ledger, old, "a") is Verdict.LOST
    assert outcomes(client) == {"queued": 1}


def test_a_claim_brings_the_messages_and_what_is_known_of_each(client, ledger):
    ref, _ = enqueue(client, [1, 2])
    first = claim(client, ref)
    ledger.commit(
        first,
        [Settlement(first.positions[1], Status.DEFERRED, detail(2, code=451, due=NOW + 5))],
        (),
        NOW,
        NOW + LEASE,
    )
    ledger.wait(first, NOW, NOW + 5)
    second = claim(client, ref, now=NOW + 5)
    assert [one.message for one in decode(second.payload)] == [entry(1).message, entry(2).message]
    assert second.letters == "qd"
    assert second.details[second.positions[1]].code == 451


def test_marking_comes_before_the_outcome_and_both_are_counted_once(client, ledger):
    ref, _ = enqueue(client, [1, 2])
    lease = claim(client, ref)
    assert settle(ledger, lease, starting=lease.positions) is Verdict.GO
    assert claim_letters(client) == "tt"
    settle(ledger, lease, "a", "r")
    settle(ledger, lease, "a", "r")
    assert outcomes(client) == {"accepted": 1, "rejected": 1}
    assert ledger.give_back(lease, NOW) == "final"


def claim_letters(client, name="spring"):
    return client.get(keys.status(name)).decode()


@pytest.mark.parametrize("last", [3999, 4000, 4800])
def test_recipients_far_apart_are_recorded_like_neighbours(client, ledger, last):
    whole, _ = enqueue(client, range(5000))
    (ref,) = ledger.split(claim(client, whole), [Part((0, last), b"payload")], NOW)
    lease = claim(client, ref)
    settle(ledger, lease, starting=lease.positions)
    assert settle(ledger, lease, "a", "r") is Verdict.GO
    letters = claim_letters(client)
    assert (letters[0], letters[last], set(letters[1:last])) == ("a", "r", {"q"})
    assert ledger.give_back(lease, NOW) == "final"


def test_a_lease_that_is_not_renewed_ends_when_it_would_have(client, ledger):
    ref, _ = enqueue(client, [1])
    lease = claim(client, ref)
    ledger.commit(lease, (), (), NOW + 5, None)
    assert list(Waiting(client).sweep(NOW + LEASE + 1)) == [("bulk", ref)]


def test_a_final_batch_leaves_no_key_behind(client, ledger):
    ref, _ = enqueue(client, [1])
    client.hsetnx(keys.shared("spring"), "digest", b"attachment")
    Campaigns(client).close("spring")
    lease = claim(client, ref)
    settle(ledger, lease, "a")
    ledger.give_back(lease, NOW)
    left = {key.decode() for key in client.keys("*") if client.ttl(key) == -1}
    assert not [key for key in left if key.endswith(ref) or "timers" in key or "queued" in key]
    assert keys.shared("spring") not in left
    assert ledger.claim(ref, "w", NOW, NOW + 1) == Unclaimed("gone")


@pytest.mark.parametrize(
    ("state", "verdict"), [(PAUSED, Verdict.PAUSED), (CANCELLED, Verdict.CANCELLED)]
)
def test_nothing_is_started_in_a_campaign_that_does_not_run(client, ledger, state, verdict):
    ref, _ = enqueue(client, [1])
    lease = claim(client, ref)
    Campaigns(client).set_state("spring", state)
    assert settle(ledger, lease, starting=lease.positions) is verdict
    assert claim_letters(client) == "q"


def test_a_batch_of_a_paused_campaign_is_parked_and_woken(client, ledger):
    ref, _ = enqueue(client, [1])
    Campaigns(client).set_state("spring", PAUSED)
    assert ledger.claim(ref, "w", NOW, NOW + 1) == Unclaimed("parked")
    Campaigns(client).set_state("spring", RUNNING)
    assert list(Waiting(client).wake("campaign:spring", NOW)) == [("bulk", ref)]
    assert claim(client, ref).letters == "q"


def test_a_batch_parked_after_its_event_was_over_is_queued_instead(client, ledger):
    ref, _ = enqueue(client, [1])
    lease = claim(client, ref)
    assert ledger.park(lease, NOW, "campaign:spring") == "queued"


def test_cancelling_settles_all_but_what_a_worker_holds(client, ledger):
    held, _ = enqueue(client, [1])
    enqueue(client, [2, 3])
    lease = claim(client, held)
    campaigns = Campaigns(client)
    campaigns.set_state("spring", CANCELLED)
    assert sum(campaigns.cancel_batches("spring")) == 2
    assert outcomes(client) == {"queued": 1, "cancelled": 2}
    settle(ledger, lease, "x")
    assert ledger.give_back(lease, NOW) == "final"


def test_a_cancelled_campaign_keeps_what_was_being_transmitted_for_judgement(client, ledger):
    ref, _ = enqueue(client, [1, 2])
    lease = claim(client, ref)
    settle(ledger, lease, starting=lease.positions[:1])
    Campaigns(client).set_state("spring", CANCELLED)
    list(Waiting(client).sweep(NOW + LEASE + 1))
    later = claim(client, ref, now=NOW + LEASE + 1)
    assert later.letters == "tx"


def reject(client, ledger, ref):
    lease = claim(client, ref)
    verdict = settle(ledger, lease, *"r" * len(lease.positions))
    ledger.give_back(lease, NOW)
    return verdict


def test_a_campaign_pauses_itself_when_the_first_hundred_are_refused_and_nobody_accepted(
    client, ledger
):
    first, _ = enqueue(client, range(1, 100))
    second, _ = enqueue(client, range(100, 110))
    assert reject(client, ledger, first) is Verdict.GO, "99 are refused"
    assert reject(client, ledger, second) is Verdict.PAUSED
    campaigns = Campaigns(client)
    progress = campaigns.progress("spring", NOW)
    assert progress.state == "paused"
    assert "first 100 recipients were all refused" in progress.why
    campaigns.set_state("spring", RUNNING)
    assert campaigns.progress("spring", NOW).why == ""
    third, _ = enqueue(client, range(200, 203))
    assert reject(client, ledger, third) is Verdict.GO, "who resumed it has looked"


def test_one_acceptance_or_a_single_messages_queue_keeps_a_campaign_going(client, ledger):
    accepted, _ = enqueue(client, [500])
    lease = claim(client, accepted)
    settle(ledger, lease, "a")
    refused, _ = enqueue(client, range(1, 150))
    assert reject(client, ledger, refused) is Verdict.GO
    open_campaign(client, "send.hello")
    single, _ = enqueue(client, range(1, 150), "send.hello", run=0, queue="priority")
    assert reject(client, ledger, single) is Verdict.GO


def test_the_sweep_queues_lapsed_leases_and_due_waits_once(client, ledger):
    lapsed, _ = enqueue(client, [1])
    claim(client, lapsed)
    later, done = enqueue(client, [2], due=NOW + 100)
    assert done.state == "waiting"
    sweep = Waiting(client).sweep
    assert list(sweep(NOW + 1)) == []
    assert list(sweep(NOW + LEASE + 1)) == [("bulk", lapsed)]
    assert list(sweep(NOW + LEASE + 2)) == []
    assert list(sweep(NOW + 101)) == [("bulk", later)]


def test_a_lost_task_message_is_found_by_the_broker_holding_too_few(client, ledger):
    first, _ = enqueue(client, [1])
    enqueue(client, [2])
    sweep = Waiting(client).sweep
    assert list(sweep(NOW + 20, 10, {"bulk": 2})) == []
    assert list(sweep(NOW + 20, 10, {"bulk": 1})) == [("bulk", first)]
    assert list(sweep(NOW + 21, 30, {"bulk": 1})) == []


def test_batches_that_wait_for_a_turn_are_not_missed_on_the_broker(client, ledger):
    turns = Dispatch(client, window=1)
    refs = [enqueue(client, [number])[0] for number in range(3)]
    assert not all(turns.take(ref, NOW) for ref in refs)
    on_broker = {"bulk": 3 - len(client.zrangebyscore("mailer:queued:bulk", NOW + 1, "+inf"))}
    assert list(Waiting(client).sweep(NOW + 20, 10, on_broker)) == []


def test_a_dead_letter_keeps_payload_and_recipients_and_is_replayed_once(client, ledger):
    ref, _ = enqueue(client, [1, 2, 3])
    lease = claim(client, ref)
    settle(ledger, lease, "a")
    said = Said(stage="AUTH", code=535, enhanced="5.7.8", text="no").encode()
    burial = Burial("b1", Status.DEAD, "auth", said, lease.positions)
    assert ledger.bury(lease, burial, NOW) == 2
    letters = DeadLetters(client)
    (letter,) = letters.find(Filter(reason="auth", account="primary"), NOW)
    assert (letter.messages, letter.said.reply) == (2, "535 5.7.8 no")
    assert outcomes(client) == {"accepted": 1, "dead": 2}
    replayed = letters.replay("b1", NOW)
    assert (replayed.how, replayed.messages) == ("replayed", 2)
    assert letters.replay("b1", NOW).how == "gone"
    again = claim(client, replayed.ref)
    assert again.letters == "aqq"
    assert len(decode(again.payload)) == 3


def test_a_buried_batch_is_buried_by_its_holder_alone(client, ledger):
    ref, _ = enqueue(client, [1])
    old = claim(client, ref)
    claim(client, ref, "w2", now=NOW + LEASE + 1)
    assert (
        ledger.bury(old, Burial("b", Status.DEAD, "auth", Said().encode(), old.positions), NOW) < 0
    )


def test_purged_recipients_stay_countable(client, ledger):
    ref, _ = enqueue(client, [1])
    lease = claim(client, ref)
    ledger.bury(
        lease, Burial("b", Status.UNCERTAIN, "uncertain", Said().encode(), lease.positions), NOW
    )
    assert outcomes(client) == {"uncertain": 1}
    assert DeadLetters(client).drop("b", NOW).messages == 1
    assert outcomes(client) == {"dropped": 1}
    assert client.keys("mailer:dead*") == []


def test_a_replayed_message_is_not_sent_by_the_batch_it_was_taken_from(client, ledger):
    ref, _ = enqueue(client, [1, 2])
    lease = claim(client, ref)
    settle(ledger, lease, "d", starting=lease.positions[1:])
    _bury(ledger, lease, "b", lease.positions[1:], Status.UNCERTAIN)
    ledger.wait(lease, NOW, NOW + 5)
    replayed = DeadLetters(client).replay("b", NOW)
    assert claim(client, ref, now=NOW + 5).letters == "dz"
    assert claim(client, replayed.ref).letters == "q"


def test_a_replay_takes_only_what_the_letter_was_made_of(client, ledger):
    ref, _ = enqueue(client, [1, 2])
    lease = claim(client, ref)
    _bury(ledger, lease, "one", lease.positions[:1])
    assert _bury(ledger, lease, "whole", lease.positions) == 1
    letters = DeadLetters(client)
    assert letters.replay("one", NOW).messages == 1
    assert letters.drop("whole", NOW).messages == 1
    assert outcomes(client) == {"queued": 1, "dropped": 1}


def test_a_replayed_message_begins_anew(client, ledger):
    ref, _ = enqueue(client, [1])
    lease = claim(client, ref)
    _bury(ledger, lease, "b", lease.positions)
    again = claim(client, DeadLetters(client).replay("b", NOW).ref)
    settle(ledger, again, "a")
    assert list(Campaigns(client).failures("spring")) == []


def _bury(ledger, lease, name, positions, status=Status.DEAD):
    details = [(position, detail(position, attempts=20)) for position in positions]
    said = Said().encode()
    burial = Burial(name, status, "exhausted", said, positions, b"payload", details)
    return ledger.bury(lease, burial, NOW)


def test_a_call_whose_reply_was_lost_may_be_repeated(client, ledger):
    ref, _ = enqueue(client, [1])
    first = claim(client, ref, "w1")
    assert claim(client, ref, "w1") == first
    settle(ledger, first, "a")
    ledger.give_back(first, NOW)
    again = ledger.enqueue(
        ref, run=0, queue="bulk", account="primary", payload=b"", recipients=[fresh(1)], now=NOW
    )
    assert again.state == "queued"
    assert outcomes(client) == {"accepted": 1}


def test_a_recipient_twice_in_one_batch_is_queued_once(client, ledger):
    _, done = enqueue(client, [1, 2, 1])
    assert (done.state, done.taken) == ("taken", (2,))


def test_a_lapsed_lease_that_nobody_took_is_its_holders_again(client, ledger):
    ref, _ = enqueue(client, [1])
    lease = claim(client, ref)
    settle(ledger, lease, starting=lease.positions)
    late = NOW + LEASE + 1
    assert list(Waiting(client).sweep(late)) == [("bulk", ref)]
    assert settle(ledger, lease, "a", now=late) is Verdict.GO
    assert ledger.claim(ref, "w2", late, late + 1) == Unclaimed("busy")
    assert ledger.give_back(lease, late) == "final"


def test_a_batch_that_was_given_back_is_its_holders_no_more(client, ledger):
    ref, _ = enqueue(client, [1])
    lease = claim(client, ref)
    ledger.give_back(lease, NOW)
    assert settle(ledger, lease, "a") is Verdict.LOST


def test_what_is_final_stays_so(client, ledger):
    ref, _ = enqueue(client, [1])
    lease = claim(client, ref)
    list(Waiting(client).sweep(NOW + LEASE + 1))
    campaigns = Campaigns(client)
    campaigns.set_state("spring", CANCELLED)
    list(campaigns.cancel_batches("spring"))
    assert settle(ledger, lease, "q", now=NOW + LEASE + 1) is Verdict.LOST
    assert outcomes(client) == {"cancelled": 1}


def test_what_was_left_transmitting_is_settled_even_while_the_campaign_is_paused(client, ledger):
    ref, _ = enqueue(client, [1, 2])
    lease = claim(client, ref)
    settle(ledger, lease, starting=lease.positions[:1])
    Campaigns(client).set_state("spring", PAUSED)
    list(Waiting(client).sweep(NOW + LEASE + 1))
    assert claim(client, ref, now=NOW + LEASE + 1).letters == "tq"


def test_a_resumption_that_was_cut_short_is_found(client, ledger):
    ref, _ = enqueue(client, [1])
    campaigns, waiting = Campaigns(client), Waiting(client)
    campaigns.set_state("spring", PAUSED)
    ledger.claim(ref, "w", NOW, NOW + 1)
    assert waiting.resumed() == []
    campaigns.set_state("spring", RUNNING)
    assert waiting.resumed() == ["campaign:spring", "receivers:spring"]
    assert list(waiting.wake("campaign:spring", NOW)) == [("bulk", ref)]
    assert waiting.resumed() == []


def test_a_split_batch_gives_each_half_its_own_messages(client, ledger):
    ref, _ = enqueue(client, [1, 2])
    lease = claim(client, ref)
    parts = [Part((position,), b"M\x01" + bytes([position])) for position in lease.positions]
    refs = ledger.split(lease, parts, NOW, deaths=2)
    assert len(refs) == 2
    halves = [claim(client, part) for part in refs]
    assert [(half.positions, half.deaths) for half in halves] == [((0,), 2), ((1,), 2)]
    assert ledger.claim(ref, "w", NOW, NOW + 1) == Unclaimed("gone")


@pytest.mark.parametrize("positions", [(0,), (3, 4, 5), (3, 5, 9), ()])
def test_positions_read_back_as_written(positions):
    assert unpack_positions(pack_positions(positions)) == positions
