"""Which address of the console is answered by what."""

from itertools import chain

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from mailer.web.console import (
    accounts,
    campaigns,
    dead_letters,
    deeds,
    live,
    messages,
    suppression,
    templates,
)
from mailer.web.console.access import Access, Gate
from mailer.web.console.answers import Endpoint, acting, not_found, showing
from mailer.web.console.frame import PREFIX


def console(gate: Gate) -> Mount:
    """All pages and acts of the console, behind *gate*."""
    parts = (_campaigns(), _messages(), _dead_letters(), _accounts(), _suppression(), _templates())
    router = Router(
        [*chain(*parts), Route("/audit", showing(deeds.listed))],
        redirect_slashes=False,  # it would build an address out of Host, which the client writes
        default=_nothing,
    )
    return Mount(PREFIX, app=router, middleware=[Middleware(Access, gate=gate)])


async def home(request: Request) -> RedirectResponse:
    """Send whoever comes to the door on to the campaigns; Host takes no part in it."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}{PREFIX}/campaigns", 303)


def _campaigns() -> list[Route]:
    there = "/campaigns/{campaign}"
    to = campaigns.page_of
    return [
        Route("/campaigns", showing(campaigns.listed)),
        Route(there, showing(campaigns.one)),
        Route(f"{there}/live", live.campaign),
        Route(f"{there}/cancel", showing(campaigns.asked_to_cancel)),
        *_act(f"{there}/pause", acting("pause campaign", campaigns.pause, to)),
        *_act(f"{there}/resume", acting("resume campaign", campaigns.resume, to)),
        *_act(f"{there}/schedule", acting("schedule campaign", campaigns.schedule, to)),
        *_act(f"{there}/cancel", acting("cancel campaign", campaigns.cancel, to)),
    ]


def _messages() -> list[Route]:
    there = "/messages/{campaign}/{position:int}"
    return [
        Route("/messages", showing(messages.listed)),
        Route(there, showing(messages.one)),
        Route(f"{there}/html", showing(messages.framed)),
    ]


def _dead_letters() -> list[Route]:
    there = "/dead/{identifier}"
    to = dead_letters.page_of
    return [
        Route("/dead", showing(dead_letters.listed)),
        Route("/dead/purge", showing(dead_letters.asked_to_purge)),
        Route("/dead/replay", showing(dead_letters.asked_to_replay)),
        *_act("/dead/replay", acting("replay dead letters", dead_letters.replay, to)),
        *_act("/dead/purge", acting("purge dead letters", dead_letters.purge, to)),
        Route(there, showing(dead_letters.one)),
        Route(f"{there}/{{offset:int}}", showing(dead_letters.message)),
        Route(f"{there}/{{offset:int}}/html", showing(dead_letters.framed)),
    ]


def _accounts() -> list[Route]:
    there = "/accounts/{account}"
    to = accounts.page_of
    return [
        Route("/accounts", showing(accounts.listed)),
        *_act(f"{there}/check", acting("check account", accounts.check, to)),
        *_act(f"{there}/start", acting("start account", accounts.start, to)),
        *_act(f"{there}/stop", acting("stop account", accounts.stop, to)),
    ]


def _suppression() -> list[Route]:
    to = suppression.page_of
    return [
        Route("/suppression", showing(suppression.listed)),
        Route("/suppression/export.{form}", showing(suppression.exported)),
        *_act("/suppression/add", acting("suppress", suppression.add, to)),
        *_act("/suppression/remove", acting("unsuppress", suppression.remove, to)),
        *_act("/suppression/import", acting("import suppression", suppression.read_in, to)),
    ]


def _templates() -> list[Route]:
    return [
        Route("/templates", showing(templates.listed)),
        Route("/templates/of/{template:path}", showing(templates.one)),
        Route("/templates/html/{template:path}", showing(templates.framed)),
        *_act(
            "/templates/test/{template:path}",
            acting("send test", templates.test, templates.page_of),
        ),
    ]


def _act(path: str, endpoint: Endpoint) -> list[Route]:
    return [Route(path, endpoint, methods=["POST"])]


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await not_found(Request(scope, receive))(scope, receive, send)
