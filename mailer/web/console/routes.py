"""Which address of the console is answered by what."""

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from mailer.web.console import campaigns, deeds, live
from mailer.web.console.access import Access, Gate
from mailer.web.console.answers import Endpoint, acting, not_found, showing
from mailer.web.console.frame import PREFIX


def console(gate: Gate) -> Mount:
    """All pages and acts of the console, behind *gate*."""
    router = Router(
        [*_campaigns(), Route("/audit", showing(deeds.listed))],
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
        *_act(f"{there}/cancel", acting("cancel campaign", campaigns.cancel, to)),
    ]


def _act(path: str, endpoint: Endpoint) -> list[Route]:
    return [Route(path, endpoint, methods=["POST"])]


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await not_found(Request(scope, receive))(scope, receive, send)
