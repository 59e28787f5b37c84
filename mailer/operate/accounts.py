"""How the accounts stand, and how an operator checks, stops and starts them.

The operator's hall for accounts, as `mailer.dead` is for dead letters. A check logs in once and sends
nothing; it changes nothing either. A start is a check whose success lets the account run again.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from time import time

from mailer.config import Account, Settings
from mailer.deliver import server as servers
from mailer.queues.connections import Producer
from mailer.smtp.check import Trial, try_account
from mailer.store import account_limits, keys
from mailer.store.breaker import OPERATOR, AccountState, Breaker
from mailer.store.connection import reaching_redis
from mailer.store.dead_letters import DeadLetters, Filter
from mailer.store.limits import Limits, Usage
from mailer.store.pace import AccountPace
from mailer.worker.probe import probe


@dataclass(frozen=True, slots=True)
class Standing:
    """One account: what is configured, what the cluster knows of it, and what waits for it.

    *configured* is None for an account that Redis remembers and the configuration lacks. *waiting* and
    *dead* count batches and messages.
    """

    name: str
    configured: Account | None
    state: AccountState
    pace: AccountPace
    usage: tuple[Usage, ...]
    waiting: int
    dead: int


class AccountOffice:
    """The accounts of one configuration and Redis."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = Producer(settings)
        client = self._producer.client
        self._client = client
        self._breaker = Breaker(client)
        self._limits = Limits(client, account_limits.rules(settings))
        self._letters = DeadLetters(client)

    def standings(self) -> Iterator[Standing]:
        """Every account that is configured or was ever used, by name."""
        now = time()
        states = {state.account: state for state in self._breaker.all(now)}
        dead: dict[str, int] = {}
        for letter in self._letters.find(Filter(), now):
            dead[letter.account] = dead.get(letter.account, 0) + letter.messages
        for name in sorted({*states, *self._settings.accounts}):
            with reaching_redis():
                waiting = int(self._client.zcard(keys.parked(f"account:{name}")))
            yield Standing(
                name,
                self._settings.accounts.get(name),
                states.get(name, AccountState(name)),
                self._limits.pace.state(name),
                self._limits.usage(name),
                waiting,
                dead.get(name, 0),
            )

    def stop(self, name: str) -> str:
        """Stop the account on all workers, until an operator starts it; returns the state before."""
        self._settings.account(name)
        return self._breaker.stop(name, OPERATOR, time())

    def start(self, name: str) -> Trial | None:
        """Log in once; where that succeeds the account runs again and what waits for it goes on.

        What replies have said about its pace is forgotten, pauses too.

        None where somebody else is just trying it. What failed is counted, and said to all workers, as
        any worker's failed login is.
        """
        account = self._settings.account(name)
        owner = f"operator.{uuid.uuid4().hex}"
        if not self._breaker.begin_probe(name, owner, time()):
            return None
        found = probe(self._breaker, self._settings, account, owner)
        if found.judgement is None:
            self._limits.pace.resume(name)
            self._producer.wake(f"account:{name}")
        return found

    def dead_messages(self, name: str) -> int:
        """How many messages of the account lie among the dead letters."""
        return sum(one.messages for one in self._letters.find(Filter(account=name), time()))


def check(settings: Settings, account: Account) -> Trial:
    """Connect, verify TLS, log in, say goodbye; needs no Redis, and changes nothing."""
    return try_account(servers.server(account, servers.rules(settings)))
