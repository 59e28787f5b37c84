"""Does an account's login work: one session that logs in and sends nothing.

`check` only looks. `probe` also tells all workers what came of it.
"""

from time import time

from mailer.config import Account, Settings
from mailer.deliver.heard import heard, held_against
from mailer.deliver.server import rules, server
from mailer.smtp.check import AccountCheck, try_account
from mailer.store.breaker import Breaker


def check(settings: Settings, account: Account) -> AccountCheck:
    """Connect, verify TLS, log in, quit; this needs no Redis, and changes nothing."""
    return try_account(server(account, rules(settings)))


def probe(breaker: Breaker, settings: Settings, account: Account, owner: str) -> AccountCheck:
    """Log in once under the turn that *owner* has, and tell all workers what came of it.

    Where it succeeds the account runs again; where it fails it stays as it was. Raises what the
    breaker raises, and `ConfigError` for wrong reply rules.
    """
    try:
        found = check(settings, account)
    except BaseException:
        breaker.let_go(account.name, owner)
        raise
    if found.judgement is None:
        breaker.start(account.name, time())
        breaker.succeeded(account.name, owner, time())
    else:
        judgement = found.judgement
        said = heard(found.stage, found.reply, judgement.action, judgement.rule, found.dialogue)
        breaker.refused(account.name, owner, held_against(judgement, said), time())
    return found
