"""How the accounts stand, and how an operator stops them.

Starting one again takes a login, so it is the workers' side that does it (`mailer.worker.probe`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import time
from typing import Final

from mailer.config import Account, Settings
from mailer.queues.connections import Producer
from mailer.store.breaker import COOLING, OPERATOR, RUNNING, STOPPED, UNKNOWN, AccountState
from mailer.store.limits import Usage
from mailer.store.pace import AccountPace
from mailer.store.views.dead_groups import DeadGroup

BREAKER_STATES: Final = (UNKNOWN, RUNNING, COOLING, STOPPED)
"""How an account may stand; who was never used, or has to prove itself again, is unknown."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One account: what is configured, what the cluster knows of it, and what waits for it.

    *configured* is None for an account that Redis remembers and the configuration lacks. *waiting* and
    *dead* count batches and messages, *connections* those that are open.
    """

    name: str
    configured: Account | None
    state: AccountState
    pace: AccountPace
    usage: tuple[Usage, ...]
    waiting: int
    dead: int
    connections: int

    @property
    def running(self) -> bool:
        """Whether it is not stopped; one that cools down runs again by itself."""
        return self.state.state != STOPPED


class AccountOffice:
    """The accounts of one configuration and Redis."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = Producer(settings)
        store = self._producer.store
        self._waiting = store.waiting
        self._breaker = store.breaker
        self._limits = store.limits
        self._slots = store.slots
        self._groups = store.dead_groups

    def standings(self, groups: Sequence[DeadGroup] | None = None) -> Iterator[Standing]:
        """Every account that is configured or was ever used, by name.

        *groups* are the dead letters by kind, for who has asked for them already.
        """
        now = time()
        states = {state.account: state for state in self._breaker.all(now)}
        dead: Counter[str] = Counter()
        for group in self._groups.all(now) if groups is None else groups:
            dead[group.account] += group.messages
        for name in sorted({*states, *self._settings.accounts}):
            yield Standing(
                name,
                self._settings.accounts.get(name),
                states.get(name, AccountState(name)),
                self._limits.pace.state(name),
                self._limits.usage(name),
                self._waiting.parked(f"account:{name}"),
                dead[name],
                self._slots.held(name),
            )

    def stop(self, name: str) -> str:
        """Stop the account on all workers, until an operator starts it; returns the state before."""
        self._settings.account(name)
        return self._breaker.stop(name, OPERATOR, time())

    def dead_messages(self, name: str) -> int:
        """How many messages of the account lie among the dead letters."""
        return sum(one.messages for one in self._groups.all(time()) if one.account == name)
