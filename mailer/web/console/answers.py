"""How a page or an act becomes an answer: beside the event loop, with each failure in words.

What acts is POST, from a page of ours, by somebody who may; it is written down, and ends in a redirect,
so that to load the page again does nothing again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from mailer.errors import (
    CampaignNotFoundError,
    HistoryUnavailableError,
    LedgerUnavailableError,
    MailerError,
)
from mailer.operate import audit
from mailer.operate.audit import Deed
from mailer.web.console.frame import is_own_form, redirect, refusal, settings_of
from mailer.web.form import fields

Form = Mapping[str, str]
Endpoint = Callable[[Request], Awaitable[Response]]

_THREADS: Final = ThreadPoolExecutor(8, thread_name_prefix="mailer-console")
_MOST_FIELDS: Final = 50
_ABOUT: Final = ("address", "campaign", "account", "reason", "scope", "identifier", "to")
_HOW: Final = ("through", "sender")


def showing(make: Callable[[Request], Response]) -> Endpoint:
    """The endpoint of a page that *make* makes; GET changes nothing."""

    async def endpoint(request: Request) -> Response:
        return await _beside(lambda: _shown(request, make))

    return endpoint


def acting(
    what: str, do: Callable[[Request, Form], str], to: Callable[[Request, Form], str]
) -> Endpoint:
    """The endpoint of an act: *do* does it and says in words what it did; then the page *to* is shown."""

    async def endpoint(request: Request) -> Response:
        form = await _form(request)
        return await _beside(lambda: _shown(request, lambda one: _acted(one, form, what, do, to)))

    return endpoint


def not_found(request: Request) -> Response:
    """The answer to an address that is none of the console's."""
    return refusal(request, 404, "There is no such page", "The address is none of the console's.")


async def _beside(make: Callable[[], Response]) -> Response:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, make)


def _shown(request: Request, make: Callable[[Request], Response]) -> Response:
    try:
        return make(request)
    except CampaignNotFoundError as exc:
        return refusal(request, 404, "There is no such campaign", str(exc))
    except LedgerUnavailableError as exc:
        again = {"Retry-After": "10"}
        return refusal(request, 503, "Redis cannot be asked just now", str(exc), again)
    except HistoryUnavailableError as exc:
        return refusal(request, 503, "The history cannot be asked just now", str(exc))
    except MailerError as exc:
        return refusal(request, 400, "That is not possible", str(exc))


def _acted(
    request: Request,
    form: Form,
    what: str,
    do: Callable[[Request, Form], str],
    to: Callable[[Request, Form], str],
) -> Response:
    visitor = request.state.visitor
    if not visitor.may_act:
        said = f"{visitor.name} may look, and not act: that takes the role operator."
        return refusal(request, 403, "You may look only", said)
    if fault := _foreign(request, form):
        return refusal(request, 403, "This form is not from here", fault)
    settings = settings_of(request)
    about = _about(request, form)
    try:
        said = do(request, form)
    except MailerError as exc:
        audit.note(settings, Deed(visitor.name, what, about, str(exc), ok=False))
        if isinstance(exc, LedgerUnavailableError):
            raise
        return redirect(request, to(request, form), str(exc), ok=False)
    audit.note(settings, Deed(visitor.name, what, about, said))
    return redirect(request, to(request, form), said)


def _about(request: Request, form: Form) -> str:
    """What an act is about: what stands in its address, and in the fields that name something."""
    named = [str(value) for value in request.path_params.values()]
    filled = [form[field] for field in _ABOUT if form.get(field)]
    how = [f"{field} {form[field]}" for field in _HOW if form.get(field)]
    return " ".join([*named, *filled, *how])[:300]


def _foreign(request: Request, form: Form) -> str:
    """Why the form is not believed to be from a page of ours; empty where it is."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        return "It was sent by a page of another site."
    # A proxy may pass another Host on than the browser has asked for: then [web] url is what it asked.
    ours = {request.headers.get("host", ""), urlsplit(settings_of(request).web.url or "").netloc}
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc not in ours - {""}:
        return "It was sent by a page of another site."
    if not is_own_form(request, form.get("token", "")):
        return "It is older than twelve hours, or somebody else's: go back, load the page again."
    return ""


async def _form(request: Request) -> Form:
    """The fields of the form; a file's octets are in the request's state. Empty for what is no form."""
    found, request.state.file = await fields(request, _MOST_FIELDS, files=1)
    return found
