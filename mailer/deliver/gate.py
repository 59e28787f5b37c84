"""May this worker open connections for an account: breaker and connection limit, over the cluster.

What a server says of the account goes from here to where it is known to all workers: trouble to the
breaker, which stops or cools the account; a request to go slower to its pace.
"""

import threading
import uuid
from dataclasses import replace
from email.utils import parseaddr
from time import monotonic, time
from typing import Final

from mailer.config import Account
from mailer.deliver.heard import heard, held_against, nameless
from mailer.deliver.observer import Observer
from mailer.mail.retry_after import retry_after
from mailer.mail.schedule import Reset
from mailer.smtp import Action, Judgement, Reply, Stage
from mailer.store.breaker import Admission, Breaker, Trouble
from mailer.store.pace import Pace
from mailer.store.slots import Slots

QUOTA_WAIT: Final = 3600.0
"""Seconds that an account rests after its quota was used up, where nobody knows when it is renewed."""

RESTS_AFTER: Final = 1.0
"""Seconds without a batch after which idle connections are left to other workers. Between two batches
they are used again at once."""

_BEFORE_MAIL: Final = frozenset({Stage.CONNECT, Stage.EHLO, Stage.STARTTLS, Stage.AUTH})


class Gate:
    """The `mailer.smtp.Gate` of one driver, for *account* of the configuration.

    *lease* seconds after the last `renew`, other workers may have the places of its connections.
    `troubled` says whether anything was held against the account since `begin`.
    """

    def __init__(
        self, account: Account, breaker: Breaker, slots: Slots, pace: Pace, lease: float
    ) -> None:
        self._lease = lease
        self._account = account
        self._breaker = breaker
        self._slots = slots
        self._pace = pace
        self._owner = uuid.uuid4().hex
        self._held = 0
        # The house-keeping thread renews while the driver's acquires and releases.
        self._counting = threading.Lock()
        self._has_turn = False
        self._taken_at: float | None = None
        self.idle_since: float | None = None
        """When the last batch gave the driver back, by `monotonic`; None while one has it."""
        self.observer = Observer()
        self.troubled = False
        self.unable = ""
        """Why this host cannot log in at present, although other hosts may; empty if it can."""
        self.surplus = 0
        """How many connections should be closed because other workers have less than their share."""

    def begin(self, taken_at: float) -> None:
        """A batch begins that has got its permits at *taken_at*."""
        self._taken_at = taken_at
        self.troubled = False
        self.unable = ""

    def admit(self, wanted: int) -> int:
        """How many more connections may be opened now: only one where its login is the first."""
        had_turn = self._has_turn
        admission = self._ask_breaker() if wanted > 0 else Admission.NOBODY
        if admission is Admission.NOBODY:
            return 0
        is_alone = admission is Admission.ALONE and self._account.user is not None
        if is_alone and had_turn:
            return 0
        name, maximum = self._account.name, self._account.max_connections
        at_once = 1 if is_alone else wanted
        with self._counting:
            admitted = self._slots.acquire(
                name, wanted, maximum, self._owner, None, self._lease, at_once=at_once
            )
            self._held += admitted
        if not (admitted or had_turn):
            self.rest()
        return admitted

    def may_log_in(self) -> bool:
        """Whether one login may begin now, the last one having ended."""
        return self._ask_breaker() is not Admission.NOBODY

    def rest(self) -> None:
        """No login is under way: give the turn to log in back, if it was taken."""
        if self._has_turn:
            self._has_turn = False
            self._breaker.let_go(self._account.name, self._owner)

    def logged_in(self) -> None:
        """A login succeeded: the account is known to be good."""
        self._has_turn = False
        self._breaker.succeeded(self._account.name, self._owner, time())

    def refused(self, stage: Stage, reply: Reply | None, judgement: Judgement) -> None:
        """The account met trouble; every worker hears of it, unless it is this host's own.

        A secret that cannot be had here says nothing of the account: another host may have it.
        """
        now, name, action = time(), self._account.name, judgement.action
        if stage in _BEFORE_MAIL:
            self.observer.refused(name, stage, reply)
        if stage is Stage.AUTH and reply is None and action is Action.AUTH_RETRY:
            self.troubled = True
            self.unable = judgement.rule.removeprefix("local: ")
            self.rest()
            return
        said = nameless(
            heard(stage, reply, action, judgement.rule),
            self._account.user or "",
            parseaddr(self._account.sender or "")[1],
        )
        if action is Action.THROTTLE_ACCOUNT and judgement.is_certain:
            self._pace.throttled(name, said.reply, taken_at=self._taken_at)
            # During a session it is enough to send more slowly: the account stays usable.
            if stage not in _BEFORE_MAIL:
                return
        self.troubled = True
        self._has_turn = False
        refusal = held_against(judgement, said)
        if refusal.trouble is Trouble.RESTS:
            refusal = replace(refusal, until=self._renewed(said.text, now))
        self._breaker.refused(name, self._owner, refusal, now)

    def closed(self, count: int) -> None:
        """Connections are gone: others may have their place."""
        with self._counting:
            self._held -= count
            self.surplus = max(0, self.surplus - count)
            self._slots.release(self._account.name, count, self._owner)

    def renew(self) -> None:
        """Keep the lease on the open connections, and learn how many are `surplus`."""
        name, now = self._account.name, time()
        if self._has_turn:
            self._breaker.keep_turn(name, self._owner, now)
        with self._counting:
            if self._held > 0:
                # A call whose reply was lost was repeated, and counted twice: this count is the true one.
                held, idle = self._held, self.idle_since
                rests = idle is not None and monotonic() - idle >= RESTS_AFTER
                self.surplus = self._slots.renew(
                    name, self._owner, None, self._lease, held, rests=rests
                )

    @property
    def limit(self) -> int:
        """How many connections to use, so that other workers get their share."""
        if not self.surplus:
            return self._account.max_connections
        return max(1, self._held - self.surplus)

    def _ask_breaker(self) -> Admission:
        admission = self._breaker.admit(self._account.name, self._owner, time())
        if admission is Admission.NOBODY:
            self.rest()
        else:
            self._has_turn = True
        return admission

    def _renewed(self, text: str, now: float) -> float:
        """When a used-up quota begins anew: the reply says, or the configuration, or nobody."""
        told = retry_after(text, now)
        if told:
            return now + told
        reset = Reset.parse(self._account.resets)
        return reset.next(now) if reset else now + QUOTA_WAIT
