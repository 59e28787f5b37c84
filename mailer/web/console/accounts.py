"""The accounts: how each stands, since when and why; check, start and stop."""

import threading
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mailer.deliver import probe
from mailer.errors import InputError, SubmissionError
from mailer.mail.counts import plural
from mailer.operate.accounts import AccountOffice
from mailer.smtp.check import AccountCheck
from mailer.web.console.answers import Form
from mailer.web.console.frame import page, settings_of
from mailer.worker import probe as workers

_AT_ONCE: Final = threading.BoundedSemaphore(2)
"""A server that does not answer holds its asker for a minute; the others are to be served meanwhile."""


def listed(request: Request) -> Response:
    """All accounts that are configured or were ever used."""
    settings = settings_of(request)
    found = list(AccountOffice(settings).standings())
    return page(request, "accounts.html", section="accounts", accounts=found)


def check(request: Request, _form: Form) -> str:
    """Log in once, and say what the server offers; nothing is sent, nothing changes."""
    settings, name = settings_of(request), request.path_params["account"]
    account = settings.account(name)
    found = _one_of_few(lambda: probe.check(settings, account))
    if found is None or found.judgement is not None:
        raise SubmissionError(f"{name} cannot be used: {found.reason if found else 'busy'}")
    login = f"logged in with {found.mechanism}" if found.mechanism else "no login"
    certificate = f", certificate valid until {found.expires}" if found.expires else ""
    offers = " ".join(sorted(found.offered.keywords)) or "nothing"
    return (
        f"{name} works: {found.place}, {login} in {found.seconds:.2f} s, "
        f"TLS {found.encryption or 'none'}{certificate}; it offers {offers}."
    )


def start(request: Request, _form: Form) -> str:
    """Log in once; where that succeeds, the account runs again on all workers."""
    settings, name = settings_of(request), request.path_params["account"]
    found = _one_of_few(lambda: workers.start(settings, name))
    if found is None:
        raise InputError(f"{name}: somebody else is trying it just now")
    if found.judgement is not None:
        raise SubmissionError(f"{name} stays as it was: {found.reason}")
    dead = AccountOffice(settings).dead_messages(name)
    left = f" {plural(dead, 'message')} lie among the dead letters: replay them." if dead else ""
    return f"{name} logged in, and runs again.{left}"


def stop(request: Request, _form: Form) -> str:
    """Stop it on all workers; what it was to send waits."""
    name = request.path_params["account"]
    AccountOffice(settings_of(request)).stop(name)
    return f"{name} is stopped on all workers; what it was to send waits."


def page_of(_request: Request, _form: Form) -> str:
    """Where one goes after an act."""
    return "/accounts"


def _one_of_few(ask: Callable[[], AccountCheck | None]) -> AccountCheck | None:
    if not _AT_ONCE.acquire(blocking=False):
        raise InputError("two logins are being tried just now: wait a moment")
    try:
        return ask()
    finally:
        _AT_ONCE.release()
