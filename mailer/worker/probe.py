"""When a stopped account is tried again: when an operator starts it, or by the workers themselves.

With ``probe_every`` the workers try: after that time one worker makes one login, and the breaker sees to
it that no other does. An account that an operator stopped is not tried until an operator starts it.
"""

import logging
import threading
import uuid
from time import time

from mailer.config import Account, Settings
from mailer.deliver.probe import probe
from mailer.errors import MailerError
from mailer.queues.connections import Producer
from mailer.smtp.check import AccountCheck
from mailer.store.account_limits import rules
from mailer.store.breaker import Breaker
from mailer.store.client import Client
from mailer.store.limits import Limits

log = logging.getLogger(__name__)


class Probes:
    """The worker's own probes of accounts that are stopped. Times are seconds since the epoch."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._settings = settings
        self._breaker = Breaker(client)

    def sweep(self, now: float) -> int:
        """Begin the probes that are due, each in a thread of its own; returns how many."""
        begun = 0
        for account in self._settings.accounts.values():
            owner = f"probe.{uuid.uuid4().hex}"
            every = account.probe_every
            if every and self._breaker.begin_probe(account.name, owner, now, every):
                threading.Thread(
                    target=self._probe, args=(account, owner), name="mailer-probe", daemon=True
                ).start()
                begun += 1
        return begun

    def _probe(self, account: Account, owner: str) -> None:
        try:
            found = probe(self._breaker, self._settings, account, owner)
        except MailerError as exc:
            log.warning("account %s could not be probed: %s", account.name, exc)
        else:
            outcome = "stays stopped" if found.judgement else "logged in, and runs again"
            log.warning("account %s was probed: %s", account.name, outcome)


def start(settings: Settings, name: str) -> AccountCheck | None:
    """Log in once; if that succeeds the account runs again, and what waits for it goes on.

    Then the pace and the pauses that replies had asked for are forgotten, too. A failure is counted for
    all workers, as any failed login is. Returns what the server said; None where somebody else is trying
    the account at the moment.
    """
    account = settings.account(name)
    producer = Producer(settings)
    breaker = Breaker(producer.client)
    owner = f"operator.{uuid.uuid4().hex}"
    if not breaker.begin_probe(name, owner, time()):
        return None
    found = probe(breaker, settings, account, owner)
    if found.judgement is None:
        Limits(producer.client, rules(settings)).pace.resume(name)
        producer.wake(f"account:{name}")
    return found
