"""The ledger under everything at once: workers that die or stand still anywhere, redelivery, operators.

The machine plays workers that keep to the rules (mark, then send), a mail server that may accept what
was sent at any time after, even from a worker long dead, and operators. After every step the numbers
add up, every batch is in one place, and nobody's message was accepted twice.
"""

import contextlib
from collections import Counter
from itertools import islice

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mailer.deliver.batch import Batch
from mailer.deliver.outcome import Outcome
from mailer.errors import CampaignChangedError
from mailer.mail.payload import decode, encode
from mailer.mail.said import Said
from mailer.mail.status import Status
from mailer.store import keys
from mailer.store.campaigns import CANCELLED, PAUSED, RUNNING, Campaigns
from mailer.store.course.schedule import Schedule
from mailer.store.dead_letters import DeadLetters
from mailer.store.ledger import Burial, Claim, Ledger, Settlement, Verdict
from mailer.store.waiting import Waiting
from tests.store.batches import LEASE, NOW, detail, entry, fresh, open_campaign

NAME = "spring"
number = st.integers(0, 1000)
SENT_ONCE = {Status.TRANSMITTING, Status.ACCEPTED, Status.UNCERTAIN, Status.DROPPED}


class Worker:
    """One that holds a lease, or believes so."""

    def __init__(self, claim):
        self.batch = Batch(claim, decode(claim.payload))
        self.leftovers = self.batch.left_transmitting()
        self.sent = set()
        self.accepted = set()

    @property
    def claim(self):
        return self.batch.claim

    def sendable(self):
        done = self.sent | set(self.leftovers)
        return [offset for offset in self.batch.open() if offset not in done]


class LedgerMachine(RuleBasedStateMachine):
    desk: "Desk"

    def __init__(self):
        super().__init__()
        self.client, self.ledger = self.desk.client, self.desk.ledger
        self.campaigns, self.waiting = self.desk.campaigns, self.desk.waiting
        self.letters = self.desk.letters
        self.client.flushall()
        open_campaign(self.client, NAME)
        self.now = NOW
        self.total = 0
        self.claims = 0
        self.refs = []
        self.workers = []
        self.underway = []
        self.acceptances = Counter()
        self.marked = set()
        self.dead = []

    def teardown(self):
        self.drain()

    @rule(choice=number, which=number, flag=st.booleans())
    def something_happens(self, choice, which, flag):
        """One of the things that can happen now, the frequent ones more often.

        (As rules of their own, Hypothesis would leave out many of them in most runs.)
        """
        possible = [act for act, weight in self.can_happen().items() for _ in range(weight)]
        act = possible[choice % len(possible)]
        note(act.__name__)
        act(which, flag)

    def can_happen(self):
        able, working, dead = self.able(), bool(self.workers), bool(self.dead)
        return {
            self.a_batch_is_enqueued: 3 if self.total < 12 else 0,
            self.a_task_message_comes: 4 if self.refs else 0,
            self.a_worker_stands_still_and_another_takes_over: 2 * working,
            self.a_worker_sends: 6 * bool(able),
            self.the_server_accepts: 5 * bool(self.underway),
            self.a_worker_reads_replies: 3 * working,
            self.a_worker_dies: working,
            self.a_worker_ends_its_lease: 2 * working,
            self.a_worker_judges_what_another_left: 2 * working,
            self.a_worker_buries: 2 * bool(able),
            self.a_worker_splits_its_batch: working,
            self.time_passes: 2,
            self.somebody_sweeps: 1,
            self.an_operator_pauses_or_resumes: 1,
            self.an_operator_moves_the_start: 1,
            self.an_operator_cancels: int(self.total > 9),
            self.somebody_wakes_what_is_parked: 1,
            self.an_operator_takes_a_dead_letter_out: 2 * dead,
        }

    # Producers.

    def a_batch_is_enqueued(self, which, late):
        size = 1 + which % 4
        numbers = range(self.total, self.total + size)
        ref = self.campaigns.next_batch(NAME)
        done = self.ledger.enqueue(
            ref,
            run=1,
            queue="bulk",
            account="primary",
            payload=encode([entry(number) for number in numbers]),
            recipients=[fresh(number) for number in numbers],
            now=self.now,
            due=self.now + 20 if late else 0.0,
        )
        if done.state == "cancelled":
            return
        self.total += size
        self.refs.append(ref)

    # Workers.

    def a_task_message_comes(self, which, repeated):
        """Any batch's, at any time: redelivered, late, or twice."""
        self.claim(self.refs[which % len(self.refs)], repeated=repeated)

    def a_worker_stands_still_and_another_takes_over(self, which, sweeps):
        self.now += LEASE + 1
        if sweeps:
            list(self.waiting.sweep(self.now))
        self.claim(self.worker(which).claim.ref)

    def a_worker_sends(self, which, repeated):
        able = self.able()
        worker = able[which % len(able)]
        starting = worker.sendable()[: 1 + which % 3]
        verdict = self.commit(worker, (), starting, repeated=repeated)
        if verdict is Verdict.GO:
            worker.sent.update(starting)
            self.marked.update(worker.batch.position(offset) for offset in starting)
            self.underway += [(worker, offset) for offset in starting]

    def the_server_accepts(self, which, _):
        worker, offset = self.underway.pop(which % len(self.underway))
        worker.accepted.add(offset)
        self.acceptances[worker.batch.position(offset)] += 1

    def a_worker_reads_replies(self, which, repeated):
        refusal = [Status.REJECTED, Status.DEFERRED][which // 7 % 2]
        worker = self.worker(which)
        results = [
            (offset, Status.ACCEPTED if offset in worker.accepted else refusal)
            for offset in sorted(worker.sent)
            if offset in worker.accepted or self.refuse(worker, offset)
        ]
        self.record(worker, results, repeated=repeated)

    def a_worker_dies(self, which, _):
        self.leaves(self.worker(which))

    def a_worker_ends_its_lease(self, which, repeated):
        """In order: what was sent is decided before."""
        worker = self.worker(which)
        self.judge_leftovers(worker)
        self.settle_sent(worker)
        for _ in range(1 + repeated):
            if which % 3 == 0:
                self.ledger.give_back(worker.claim, self.now)
            elif which % 3 == 1:
                self.ledger.wait(worker.claim, self.now, self.now + 5)
            else:
                self.ledger.park(worker.claim, self.now, f"campaign:{NAME}")
        self.leaves(worker)

    def a_worker_judges_what_another_left(self, which, _):
        self.judge_leftovers(self.worker(which))

    def a_worker_buries(self, which, repeated):
        able = self.able()
        worker = able[which % len(able)]
        self.bury(worker, worker.sendable()[: 1 + which % 2], Status.DEAD, repeated=repeated)

    def a_worker_splits_its_batch(self, which, _):
        worker = self.worker(which)
        self.judge_leftovers(worker)
        self.settle_sent(worker)
        parts = list(worker.batch.halves())
        if parts:
            self.refs += self.ledger.split(worker.claim, parts, self.now, deaths=2)
        self.leaves(worker)

    # Time and operators.

    def time_passes(self, which, _):
        self.now += [1, LEASE / 2, LEASE + 1][which % 3]

    def somebody_sweeps(self, *_):
        list(self.waiting.sweep(self.now, 30, {"bulk": 0}))

    def an_operator_pauses_or_resumes(self, _, pauses):
        self.campaigns.set_state(NAME, PAUSED if pauses else RUNNING)

    def an_operator_moves_the_start(self, which, gives_up):
        move = Schedule(self.client).move(NAME, self.now, self.now + [0, 10, 40][which % 3])
        with contextlib.suppress(CampaignChangedError):
            list(islice(move, 1 if gives_up else None))

    def an_operator_cancels(self, _, finishes):
        self.campaigns.set_state(NAME, CANCELLED)
        if finishes:
            list(self.campaigns.cancel_batches(NAME))

    def somebody_wakes_what_is_parked(self, *_):
        for event in self.waiting.resumed():
            list(self.waiting.wake(event, self.now))

    def an_operator_takes_a_dead_letter_out(self, which, drops):
        """Uncertain ones are never sent again: that would be an operator's word."""
        name, status = self.dead.pop(which % len(self.dead))
        if drops or status is Status.UNCERTAIN:
            self.letters.drop(name, self.now)
            return
        taken = self.letters.replay(name, self.now)
        if self.campaigns.progress(NAME, self.now).state == CANCELLED:
            assert (taken.how, self.letters.get(name).identifier) == ("cancelled", name)
            self.dead.append((name, status))
            return
        assert self.letters.replay(name, self.now).how == "gone"
        self.refs.append(taken.ref)

    # What always holds.

    @invariant()
    def all_is_well(self):
        """One look at everything, in one transaction."""
        pipe = self.client.pipeline(transaction=True)
        pipe.get(keys.status(NAME))
        pipe.hgetall(keys.counts(NAME))
        pipe.zrange("mailer:queued:bulk", 0, -1)
        pipe.zrange(keys.TIMERS, 0, -1)
        pipe.zrange(keys.parked(f"campaign:{NAME}"), 0, -1)
        pipe.keys("mailer:payload:*")
        for ref in self.refs:
            pipe.hgetall(keys.batch(ref))
        status, counts, queued, timers, parked, payloads, *batches = pipe.execute()
        letters = (status or b"").decode()
        alive = dict(zip(self.refs, batches, strict=True))
        alive = {ref: fields for ref, fields in alive.items() if fields}
        self.the_numbers_add_up(letters, counts)
        self.nobody_is_mailed_twice(letters)
        self.every_open_recipient_is_one_batchs(letters, alive)
        places = Counter(ref.decode() for ref in (*queued, *timers, *parked))
        assert places == Counter(alive.keys()), "every batch is in one place"
        assert {key.decode().removeprefix("mailer:payload:") for key in payloads} == set(alive)

    def the_numbers_add_up(self, letters, counts):
        found = {letter.decode(): int(number) for letter, number in counts.items() if int(number)}
        assert found == Counter(letters)
        assert len(letters) == self.total

    def nobody_is_mailed_twice(self, letters):
        for position, times in self.acceptances.items():
            assert times == 1
            assert Status(letters[position]) in SENT_ONCE
        marked = {at for at, letter in enumerate(letters) if letter in "tu"}
        assert marked <= self.marked, "only what was to be sent is in doubt"

    def every_open_recipient_is_one_batchs(self, letters, alive):
        owned = Counter()
        for fields in alive.values():
            without = set(_positions((fields.get(b"without") or b"").decode()))
            mine = [
                at
                for at in _positions(fields[b"positions"].decode())
                if letters[at] in "qdt" and at not in without
            ]
            owned.update(mine)
        assert owned == Counter(at for at, letter in enumerate(letters) if letter in "qdt")

    # How workers do things.

    def worker(self, which):
        return self.workers[which % len(self.workers)]

    def able(self):
        """Workers that have something to send."""
        return [one for one in self.workers if one.sendable() and not one.leftovers]

    def claim(self, ref, *, repeated=False):
        self.claims += 1
        call = (ref, f"worker {self.claims}", self.now, self.now + LEASE)
        claim = self.ledger.claim(*call)
        if isinstance(claim, Claim):
            if repeated:
                assert self.ledger.claim(*call) == claim
            self.workers.append(Worker(claim))

    def commit(self, worker, settlements, starting, *, repeated=False):
        """As `mailer.deliver.journal` does it; whoever has lost its lease stops."""
        positions = [worker.batch.position(offset) for offset in starting]
        call = (worker.claim, settlements, positions, self.now, self.now + LEASE)
        verdict = self.ledger.commit(*call)
        if repeated:
            assert self.ledger.commit(*call) == verdict
        if verdict is Verdict.LOST:
            self.leaves(worker)
        return verdict

    def leaves(self, worker):
        """Nothing is heard of *worker* any more; what it has sent may still be accepted."""
        if worker in self.workers:
            self.workers.remove(worker)

    def refuse(self, worker, offset):
        """The server says no instead of accepting."""
        if (worker, offset) not in self.underway:
            return False
        self.underway.remove((worker, offset))
        return True

    def record(self, worker, results, *, repeated=False):
        settlements = [
            Settlement(worker.batch.position(offset), status, detail(due=self.now))
            for offset, status in results
        ]
        verdict = self.commit(worker, settlements, (), repeated=repeated)
        if verdict is not Verdict.LOST:
            for offset, status in results:
                worker.sent.discard(offset)
                worker.batch.note(offset, Outcome(status, detail()))

    def settle_sent(self, worker):
        """All that was sent is accepted, or its reply lost."""
        self.record(worker, [(offset, Status.ACCEPTED) for offset in sorted(worker.accepted)])
        self.bury(worker, sorted(worker.sent), Status.UNCERTAIN)

    def judge_leftovers(self, worker):
        leftovers, worker.leftovers = worker.leftovers, []
        self.bury(worker, leftovers, Status.UNCERTAIN)

    def bury(self, worker, offsets, status, *, repeated=False):
        if not offsets:
            return
        reason = "uncertain" if status is Status.UNCERTAIN else "exhausted"
        positions, payload = worker.batch.subset(offsets)
        name = f"{worker.claim.ref}.{worker.claim.fence}.{positions[0]}"
        burial = Burial(name, status, reason, Said().encode(), positions, payload)
        buried = self.ledger.bury(worker.claim, burial, self.now)
        assert buried in (len(offsets), -1)
        if buried > 0:
            self.dead.append((name, status))
        if repeated:
            assert self.ledger.bury(worker.claim, burial, self.now) == buried
        for offset in offsets:
            worker.sent.discard(offset)
            worker.batch.note(offset, Outcome(status, detail()))

    def drain(self):
        """Everybody goes on until nobody is open: none is lost, and no key is left."""
        self.workers.clear()
        self.campaigns.set_state(NAME, RUNNING)
        list(self.waiting.wake(f"campaign:{NAME}", self.now))
        self.campaigns.close(NAME)
        for _ in range(20):
            self.now += LEASE + 100
            list(self.waiting.sweep(self.now, 30, {"bulk": 0}))
            for ref in self.refs:
                claim = self.ledger.claim(ref, f"last-{self.now}", self.now, self.now + LEASE)
                if isinstance(claim, Claim):
                    self.finish(Worker(claim))
            if not self.client.keys("mailer:batch:*"):
                break
        self.all_is_well()
        letters = (self.client.get(keys.status(NAME)) or b"").decode()
        assert not set(letters) & set("qdt"), letters
        left = [key for key in self.client.keys("mailer:*") if self.client.ttl(key) == -1]
        kinds = (b"batch:", b"payload:", b"queued:", b"timers", b"parked:")
        assert not [key for key in left if key.removeprefix(b"mailer:").startswith(kinds)]

    def finish(self, worker):
        self.workers.append(worker)
        self.judge_leftovers(worker)
        starting = worker.sendable()
        self.marked.update(worker.batch.position(offset) for offset in starting)
        if starting and self.commit(worker, (), starting) is Verdict.GO:
            self.acceptances.update(worker.batch.position(offset) for offset in starting)
            self.record(worker, [(offset, Status.ACCEPTED) for offset in starting])
        elif worker in self.workers:
            self.record(worker, [(offset, Status.CANCELLED) for offset in worker.sendable()])
        self.ledger.give_back(worker.claim, self.now)
        self.workers.clear()


def _positions(text):
    start, plus, count = text.partition("+")
    if plus:
        return range(int(start), int(start) + int(count))
    return [int(position) for position in text.split(",") if position]


class Desk:
    """What all runs use: scripts are loaded once."""

    def __init__(self, client):
        self.client = client
        self.ledger = Ledger(client)
        self.campaigns = Campaigns(client)
        self.waiting = Waiting(client)
        self.letters = DeadLetters(client)


@pytest.fixture(autouse=True)
def _desk(client):
    LedgerMachine.desk = Desk(client)


class TestLedger(LedgerMachine.TestCase):
    settings = settings(
        max_examples=80,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
