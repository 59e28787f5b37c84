"""What the ledger hears of a batch while it is sent: the write-ahead of each final dot.

The SMTP driver asks before it writes a final dot and reports each reply that it has read; both go to
the ledger in one round trip for all connections together. What is to be dead-lettered is kept until
the batch ends: until then its status stays ``transmitting`` or what it was, and a crash makes the next
lease judge it again.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from time import time
from typing import Final

from mailer.deliver.batch import Batch
from mailer.deliver.observer import Heard, Observer
from mailer.deliver.outcome import Outcome
from mailer.errors import LeaseLostError
from mailer.mail.status import Detail, Status
from mailer.smtp import Fate, Proceed, Result
from mailer.store.ledger import Ledger, Settlement, Verdict

Judge = Callable[[int, Result], Outcome]

# Of those accepted nothing but the fact is remembered: one outcome serves for all.
_ACCEPTED: Final = Outcome(Status.ACCEPTED, Detail(""))


@dataclass(frozen=True, slots=True)
class Lease:
    """For how long a batch may be worked on: *seconds* from each note, until something else is *asked*.

    *began* is when its messages are begun.
    """

    seconds: float
    asked: Callable[[], Proceed]
    began: float


class Journal:
    """The `mailer.smtp.Journal` of one batch.

    *chosen* are the offsets that are being sent; `sent` holds those of which a server has heard, and
    `heard` is called with them whenever there are more. `interrupts` is asked before messages are begun,
    with what tells which are: where it says so, no more are, and `interrupted` is set.
    """

    def __init__(
        self, ledger: Ledger, batch: Batch, chosen: Sequence[int], judge: Judge, lease: Lease
    ) -> None:
        self._ledger = ledger
        self._batch = batch
        self.chosen = chosen
        self._judge = judge
        self._lease = lease
        self._has_said_when = False
        self._judged: set[int] = set()
        self._marked: set[int] = set()
        self.sent: set[int] = set()
        self.heard: Callable[[AbstractSet[int]], None] = lambda _sent: None
        self.settled: Callable[[Sequence[tuple[int, Outcome]]], None] = lambda _settled: None
        self.interrupts: Callable[[Callable[[], AbstractSet[int]]], bool] = lambda _begun: False
        self.interrupted = False
        self.observer = Observer()
        self._told: list[Heard] = []
        self.verdict = Verdict.GO
        self.to_bury: list[tuple[int, Outcome, Result]] = []

    def commit(self, results: Sequence[tuple[int, Result]], starting: Sequence[int]) -> Proceed:
        """Record *results*, mark *starting*; the answer says whether the driver may start more.

        Raises `LeaseLostError` when the batch is another worker's by now.
        """
        settlements = self._settle(results)
        if starting and not self.interrupted:
            self.interrupted = self.interrupts(lambda: self._begun)
        if self.stopped or self.interrupted:
            starting = ()
        self._marked.update(starting)
        self._say(settlements, [self._batch.position(self.chosen[which]) for which in starting])
        if starting:
            self.observer.started(self._batch, [self.chosen[which] for which in starting])
        if results:
            self.heard(self.sent)
        if self._lease.asked() is Proceed.END:
            return Proceed.END
        # When the campaign is paused or cancelled, replies to what was sent are still awaited, for ten
        # minutes.
        return Proceed.BEGIN_NOTHING if self.stopped or self.interrupted else Proceed.GO_ON

    def finish(self, results: Sequence[Result]) -> None:
        """Record what the driver returned and had not reported before.

        Messages of which no server has said anything stay as they were: marks on them are taken back.
        """
        unheard = [
            (which, result)
            for which, result in enumerate(results)
            if which not in self._judged and result.stage is not None
        ]
        settlements = self._settle(unheard)
        unmarked = [
            self._batch.as_it_was(self.chosen[which])
            for which in sorted(self._marked - self._judged)
        ]
        if settlements or unmarked:
            self._say(settlements, (), unmarked)

    @property
    def began(self) -> float:
        """When this try of its messages began."""
        return self._lease.began

    @property
    def stopped(self) -> bool:
        """Whether nothing more of the batch may be started."""
        return self.verdict is not Verdict.GO or self._lease.asked() is not Proceed.GO_ON

    @property
    def only_awaits(self) -> bool:
        """Whether each message is on its way or answered; another thread asks."""
        return bool(self.chosen) and len(self._marked | self._judged) == len(self.chosen)

    @property
    def _begun(self) -> set[int]:
        return {self.chosen[which] for which in self._marked | self._judged}

    def _settle(self, results: Sequence[tuple[int, Result]]) -> list[tuple[int, Outcome]]:
        settled = []
        for which, result in results:
            self._judged.add(which)
            offset = self.chosen[which]
            if result.fate is not Fate.UNSENT:
                self.sent.add(offset)
            if result.fate is Fate.ACCEPTED:
                outcome = self._accepted(offset, result) if self._batch.tells else _ACCEPTED
            else:
                outcome = self._judge(offset, result)
            self._told.append(Heard(offset, outcome, result))
            if outcome.reason:
                self.to_bury.append((offset, outcome, result))
            else:
                settled.append((offset, outcome))
        return settled

    def _accepted(self, offset: int, result: Result) -> Outcome:
        """What is told of one that was accepted: the server's words, in them its queue id."""
        reply, tries = result.reply, self._batch.detail(offset).attempts + 1
        if reply is None:
            return Outcome(Status.ACCEPTED, Detail("", attempts=tries))
        told = Detail("", "final", reply.code, reply.enhanced or "", reply.text, attempts=tries)
        return Outcome(Status.ACCEPTED, told)

    def _say(
        self,
        settled: Sequence[tuple[int, Outcome]],
        starting: Sequence[int],
        unmarked: Sequence[Settlement] = (),
    ) -> None:
        now = time()
        verdict = self._ledger.commit(
            self._batch.claim,
            [self._batch.settlement(offset, outcome) for offset, outcome in settled] + [*unmarked],
            starting,
            now,
            self._batch.lease_until(now, self._lease.seconds),
            self._batch.told(settled, now),
            began=None if self._has_said_when or not starting else self._lease.began,
        )
        if verdict is Verdict.LOST:
            raise LeaseLostError("the batch belongs to another worker by now")
        for offset, outcome in settled:
            self._batch.note(offset, outcome)
        self.settled(settled)
        self._has_said_when |= bool(starting) and verdict is Verdict.GO
        told, self._told = self._told, []
        if told:
            self.observer.heard(self._batch, told)
        if self.verdict is Verdict.GO:
            self.verdict = verdict
