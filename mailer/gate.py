"""May this worker open connections for an account: breaker and connection limit, over the cluster."""

import uuid
from time import time
from typing import Final

from mailer.smtp import Action, Judgement, Reply, Stage
from mailer.store.breaker import Breaker
from mailer.store.dead_letters import Said
from mailer.store.slots import Slots

LEASE: Final = 15.0
"""Seconds after which the connections of a worker that died are free for others."""


class Gate:
    """The `mailer.smtp.Gate` of one driver. *maximum* connections hold over all workers together."""

    def __init__(self, account: str, maximum: int, breaker: Breaker, slots: Slots) -> None:
        self._account = account
        self._maximum = maximum
        self._breaker = breaker
        self._slots = slots
        self._owner = uuid.uuid4().hex
        self._held = 0
        self._has_turn = False

    def admit(self, wanted: int) -> int:
        """How many more connections may be opened now."""
        now = time()
        admitted = self._breaker.admit(self._account, self._owner, wanted, now)
        if admitted:
            self._has_turn = True
            admitted = self._slots.acquire(
                self._account, admitted, self._maximum, self._owner, now, LEASE
            )
            self._held += admitted
            if not admitted:
                self.rest()
        return admitted

    def rest(self) -> None:
        """No login is under way: if the turn to log in was taken, it is others' again."""
        if self._has_turn:
            self._has_turn = False
            self._breaker.let_go(self._account, self._owner)

    def logged_in(self) -> None:
        """A login succeeded: the account is known to be good."""
        self._has_turn = False
        self._breaker.succeeded(self._account, self._owner, time())

    def refused(self, stage: Stage, reply: Reply | None, judgement: Judgement) -> None:
        """The account met trouble; every worker hears of it."""
        self._has_turn = False
        said = Said(
            stage=stage.value,
            reply=str(reply) if reply else "no connection",
            action=judgement.action.value,
            rule=judgement.rule,
        )
        self._breaker.refused(self._account, self._owner, judgement.action, said, time())

    def closed(self, count: int) -> None:
        """Connections are gone: others may have their place."""
        self._held -= count
        self._slots.release(self._account, count, self._owner, time())

    def renew(self) -> int:
        """Keep the lease on the open connections; returns how many should be closed for others."""
        if self._held <= 0:
            return 0
        return self._slots.renew(self._account, self._owner, time(), LEASE)

    def met(self, action: Action, said: Said) -> None:
        """A reply in mid-session spoke of the account, not of the message."""
        self._breaker.refused(self._account, self._owner, action, said, time())
