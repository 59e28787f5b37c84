"""Templates: what one looks like with a row, what an expert would object to, a test to oneself."""

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from mailer.compose.lint import Finding, lint
from mailer.compose.template.names import template_names
from mailer.config import Settings
from mailer.errors import InputError, MailerError
from mailer.operate.accounts import AccountOffice
from mailer.produce.campaign import Campaign
from mailer.produce.design import recipient
from mailer.produce.trial import send_trial
from mailer.web.console.answers import Form
from mailer.web.console.frame import Frame, page, refusal, settings_of, text_in
from mailer.web.console.mail_frame import mail_frame, seen

_EXAMPLE: Final = '{"email": "ada@example.org", "name": "Ada Lovelace"}'
_EXAMPLE_SENDER: Final = "preview@example.org"
_USUAL: Final = "primary"
"""The account that campaigns send through where they name none."""

_LONGEST: Final = 4_000


def listed(request: Request) -> Response:
    """All templates below the folder of templates."""
    settings = settings_of(request)
    names = template_names(settings.templates)
    return page(
        request, "templates.html", section="templates", names=names, folder=settings.templates
    )


def one(request: Request) -> Response:
    """One template, made into a message with a row."""
    settings, name = settings_of(request), _name(request)
    row, dark = _row_text(request), text_in(request, "dark") == "1"
    fault, mail, findings = "", None, list[Finding]()
    try:
        made = _draft(settings, name)
        one_row = _row(row)
        octets = bytes(made.message(one_row))
        path = Frame(request).path(
            f"/templates/html/{quote(name)}", row=row, dark="1" if dark else ""
        )
        mail = seen(octets, path, dark=dark)
        findings = lint(made.composer, recipient(one_row))
    except MailerError as exc:
        fault = str(exc)
    return page(
        request,
        "template.html",
        section="templates",
        name=name,
        row=row,
        dark=dark,
        fault=fault,
        mail=mail,
        findings=findings,
        accounts=_accounts(settings),
    )


def framed(request: Request) -> Response:
    """The HTML of the message, for a sandboxed frame."""
    try:
        made = _draft(settings_of(request), _name(request)).message(_row(_row_text(request)))
    except MailerError as exc:
        return refusal(request, 400, "It cannot be shown", str(exc))
    return mail_frame(request, bytes(made))


def test(request: Request, form: Form) -> str:
    """Send the message of one row to an address, marked as a test, outside every campaign."""
    settings, to = settings_of(request), form.get("to", "").strip()
    if not to:
        raise InputError("to whom? give an address")
    accounts = _accounts(settings)
    account = form.get("account") or next(iter(accounts), None)
    if account and accounts.get(account) is False:
        raise InputError(f"{account} is stopped: start it first, or send through another account")
    row = _row(form.get("row") or _EXAMPLE)
    (message_id,) = send_trial(_draft(settings, _name(request), account), [row], 1, to, settings)
    return f"A test is queued to {to}: {message_id}"


def page_of(request: Request, form: Form) -> str:
    """Where one goes after an act."""
    row = form.get("row", "")[:_LONGEST]
    return f"/templates/of/{quote(_name(request))}" + (f"?{urlencode({'row': row})}" if row else "")


def _accounts(settings: Settings) -> Mapping[str, bool]:
    """Which accounts there are, and whether each is not stopped: those first that a test goes through."""
    found = {one.name: one.running for one in AccountOffice(settings).standings() if one.configured}
    order = sorted(found, key=lambda name: (not found[name], name != _USUAL, name))
    return {name: found[name] for name in order}


def _draft(settings: Settings, name: str, account: str | None = None) -> Campaign:
    sender = settings.sender or _EXAMPLE_SENDER
    through = account or next(iter(sorted(settings.accounts)), _USUAL)
    if account:
        settings.account(account)
    return Campaign("preview", template=name, sender=sender, account=through, settings=settings)


def _row(text: str) -> Mapping[str, object]:
    """The row that *text* is as JSON. Raises `InputError`."""
    try:
        found = json.loads(text)
    except ValueError as exc:
        raise InputError(f"the row is no JSON: {exc}") from None
    except RecursionError:
        raise InputError("the row is no JSON that anybody would write") from None
    if not isinstance(found, dict):
        raise InputError('the row must be an object: {"email": "ada@example.org", …}')
    return found


def _row_text(request: Request) -> str:
    return text_in(request, "row", _LONGEST) or _EXAMPLE


def _name(request: Request) -> str:
    return str(request.path_params["template"])
