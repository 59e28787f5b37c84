"""Live figures: a campaign's progress once a second, as server-sent events.

Many tabs ask Redis once. Where a proxy keeps a stream back, a page asks for one figure at a time instead:
``?once=1``.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mailer.errors import MailerError
from mailer.operate import campaigns
from mailer.operate.timeline import timeline
from mailer.web.console.campaigns import idle
from mailer.web.console.frame import HEADERS, fragment, refusal, settings_of
from mailer.web.console.words import says

EVERY: Final = 1.0
LASTS: Final = 600.0
"""Seconds after which a stream ends; the browser opens another one, and is asked again who it is."""

MOST: Final = 100
"""Streams that one process serves at once."""

_SHARED: Final = 0.9 * EVERY
"""Seconds for which a figure holds for whoever else watches the same campaign."""

_HEADERS: Final = {
    **HEADERS,
    # A proxy shall neither pack what comes bit by bit (RFC 9111 section 5.2.2.6) nor keep it back.
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}
_LIVES: Final = ": lives\n\n"


class Streams:
    """The streams that one process serves, and the figures that they have in common."""

    def __init__(self) -> None:
        self.open = 0
        self._ends = asyncio.Event()
        self._figures: dict[str, tuple[float, asyncio.Task[str]]] = {}

    def end(self) -> None:
        """End each within a moment: the server stops."""
        self._ends.set()

    async def pause(self) -> bool:
        """Wait until the next figure is due; False where there is none to come."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ends.wait(), EVERY)
        return not self._ends.is_set()

    async def figure(self, request: Request, name: str) -> str:
        """How far the campaign is, as JSON; asked for once, however many want to know."""
        key = f"{request.scope.get('root_path', '')}\0{name}"
        at, asked = self._figures.get(key, (0.0, None))
        if asked is None or monotonic() > at + _SHARED:
            self._figures = {
                k: one for k, one in self._figures.items() if monotonic() < one[0] + LASTS
            }
            asked = asyncio.create_task(asyncio.to_thread(_figure, request, name))
            self._figures[key] = monotonic(), asked
        # Whoever leaves shall not take the figure away from the others.
        return await asyncio.shield(asked)


async def campaign(request: Request) -> Response:
    """The stream of one campaign, until it is final."""
    streams: Streams = request.app.state.streams
    name = request.path_params["campaign"]
    try:
        first = await streams.figure(request, name)
    except MailerError as exc:
        return refusal(request, 404, "There is no such campaign", str(exc))
    if request.query_params.get("once"):
        return Response(first, media_type="application/json", headers=_HEADERS)
    if streams.open >= MOST:
        again = {"Retry-After": "30"}
        return refusal(request, 503, "Too many watch", "Load the page again for figures.", again)
    told = _told(request, name, streams)
    return StreamingResponse(told, media_type="text/event-stream", headers=_HEADERS)


async def _told(request: Request, name: str, streams: Streams) -> AsyncIterator[str]:
    sent, until = "", monotonic() + LASTS
    streams.open += 1
    try:
        while monotonic() < until:
            try:
                figure = await streams.figure(request, name)
            except MailerError:  # Redis is away: the browser comes again
                return
            yield _LIVES if figure == sent else f"retry: 3000\ndata: {figure}\n\n"
            sent = figure
            if json.loads(figure)["final"] or not await streams.pause():
                return
    finally:
        streams.open -= 1


def _figure(request: Request, name: str) -> str:
    settings = settings_of(request)
    status = campaigns.status(settings, name)
    over_time = timeline(settings, status)
    piece = fragment(
        request, "_progress.html", one=status, timeline=over_time, idle=idle(settings, status)
    )
    return json.dumps({"html": piece, "state": says(status), "final": status.final})
