"""The page behind the link in a mail: a provider's one click, and a form for people.

GET changes nothing: scanners fetch every link, and some run scripts. What acts is POST (RFC 8058),
without cookie, login or redirect: whoever has the link may take its owner off the list.
"""

from asyncio import get_running_loop
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from mailer.compose.unsubscribe import Unsubscribed
from mailer.errors import LedgerUnavailableError, MailerError
from mailer.feedback.unsubscribing import Unsubscribing
from mailer.web.form import fields
from mailer.web.one_click import SOURCE
from mailer.web.pages import STYLE, Page, language, rendered

_ONE_CLICK: Final = "One-Click"
_LATER: Final = {"Retry-After": "60"}
_LONGEST_FORM: Final = 1000
_THREADS: Final = ThreadPoolExecutor(4, thread_name_prefix="mailer-unsubscribe")


async def show(request: Request) -> Response:
    """Show the form: who it is about, and the button."""
    return await _answered(request, _looked)


async def take_off(request: Request) -> Response:
    """Take the owner of the link off the list, or put them back where the form says so."""
    field = await _pressed(request)
    if field in ("", _ONE_CLICK):
        return await _answered(request, _clicked)
    if field == "undo":
        return await _answered(request, _undone)
    if field == "leave-all":
        return await _answered(request, _left_all)
    return await _answered(request, _confirmed)


async def style(_request: Request) -> Response:
    """The page's style sheet: the policy of `mailer.web.safety` allows no style in the page itself."""
    headers = {"Cache-Control": "public, max-age=86400"}
    return Response(STYLE, media_type="text/css", headers=headers)


async def _pressed(request: Request) -> str:
    """What was pressed: a provider's one click, the form's button; empty for a body without any."""
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        found, _ = await fields(request, 10)
    else:
        body = (await request.body())[:_LONGEST_FORM].decode("ascii", "replace")
        found = dict(parse_qsl(body))
    return found.get("List-Unsubscribe") or found.get("do") or ""


async def _answered(request: Request, how: Callable[[Request], Response]) -> Response:
    try:
        return await get_running_loop().run_in_executor(_THREADS, how, request)
    except LedgerUnavailableError:
        # Nothing was written down: a provider tries again, and a person is told to.
        page = Page("later", language(request.headers.get("accept-language", "")))
        return HTMLResponse(rendered(page), 503, _LATER)
    except MailerError:
        return PlainTextResponse("not now\n", 503, _LATER)


def _clicked(request: Request) -> Response:
    unsubscribing, who = _of(request)
    if who is None:
        return PlainTextResponse("this link is not one of ours\n", 404)
    unsubscribing.take_off(who, SOURCE)
    return PlainTextResponse("unsubscribed\n")


def _looked(request: Request) -> Response:
    def look(unsubscribing: Unsubscribing, who: Unsubscribed) -> str:
        return "off" if unsubscribing.is_off(who) else "ask"

    return _page_after(request, look)


def _confirmed(request: Request) -> Response:
    def confirm(unsubscribing: Unsubscribing, who: Unsubscribed) -> str:
        unsubscribing.take_off(who, "page")
        return "off"

    return _page_after(request, confirm)


def _left_all(request: Request) -> Response:
    def leave(unsubscribing: Unsubscribing, who: Unsubscribed) -> str:
        unsubscribing.take_off(who, "page", of_all=True)
        return "off_all"

    return _page_after(request, leave)


def _undone(request: Request) -> Response:
    def undo(unsubscribing: Unsubscribing, who: Unsubscribed) -> str:
        unsubscribing.put_back(who, "page")
        return "off" if unsubscribing.is_off(who) else "back"

    return _page_after(request, undo)


def _of(request: Request) -> tuple[Unsubscribing, Unsubscribed | None]:
    unsubscribing: Unsubscribing = request.app.state.unsubscribing
    return unsubscribing, unsubscribing.read(request.path_params["token"])


def _page_after(request: Request, act: Callable[[Unsubscribing, Unsubscribed], str]) -> Response:
    """Do *act* for the owner of the link, and show the state that it gives; 404 for no link of ours."""
    unsubscribing, who = _of(request)
    words = language(request.headers.get("accept-language", ""))
    own = request.app.state.settings.web.templates
    if who is None:
        return HTMLResponse(rendered(Page("unknown", words), own), 404)
    state = act(unsubscribing, who)
    page = Page(
        state,
        words,
        sender=unsubscribing.sender(who),
        mailbox=who.mailbox,
        list_name=unsubscribing.list_name(who),
    )
    return HTMLResponse(rendered(page, own))
