"""Does a stopped account's login work again: one session that logs in and sends nothing.

An operator asks it with `mailer accounts start`; with ``probe_every`` the workers ask by themselves:
one worker, one login, under the breaker's turn. What an operator stopped is left alone.
"""

import logging
import threading
import uuid
from time import time

from mailer.config import Account, Settings
from mailer.deliver.server import rules, server
from mailer.errors import MailerError
from mailer.mail.said import Said
from mailer.smtp.check import Trial, try_account
from mailer.smtp.rules import Action
from mailer.store.breaker import Breaker
from mailer.store.client import Client

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


def probe(breaker: Breaker, settings: Settings, account: Account, owner: str) -> Trial:
    """Log in once under the turn that *owner* has, and tell all workers what came of it.

    Where it succeeds the account runs again; where it fails it stays as it was. Raises what the
    breaker raises, and `ConfigError` for wrong reply rules.
    """
    try:
        found = try_account(server(account, rules(settings)))
    except BaseException:
        breaker.let_go(account.name, owner)
        raise
    if found.judgement is None:
        breaker.start(account.name, time())
        breaker.succeeded(account.name, owner, time())
    else:
        breaker.refused(account.name, owner, found.judgement.action, _said(found), time())
    return found


def _said(found: Trial) -> Said:
    judgement = found.judgement
    return Said(
        stage=found.stage.value if found.stage else "",
        reply=str(found.reply) if found.reply else found.reason,
        action=judgement.action.value if judgement else Action.OK.value,
        rule=judgement.rule if judgement else "",
        dialogue=found.dialogue,
    )
