"""Live figures: a campaign's progress once a second, as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mailer.errors import MailerError
from mailer.operate import campaigns
from mailer.operate.campaigns import Status
from mailer.operate.timeline import timeline
from mailer.web.console.frame import HEADERS, fragment, refusal, settings_of
from mailer.web.console.words import says

EVERY: Final = 1.0
LASTS: Final = 600.0
"""Seconds after which a stream ends; the browser opens another one, and is asked again who it is."""

MOST: Final = 100
"""Streams that one process serves at once: each asks Redis once a second."""

_open: set[object] = set()


async def campaign(request: Request) -> Response:
    """The stream of one campaign, until it is final."""
    if len(_open) >= MOST:
        again = {"Retry-After": "30"}
        return refusal(request, 503, "Too many watch", "Load the page again for figures.", again)
    name = request.path_params["campaign"]
    try:
        await asyncio.to_thread(campaigns.status, settings_of(request), name)
    except MailerError as exc:
        return refusal(request, 404, "There is no such campaign", str(exc))
    headers = {**HEADERS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _figures(request, name), media_type="text/event-stream", headers=headers
    )


async def _figures(request: Request, name: str) -> AsyncIterator[str]:
    mark = object()
    _open.add(mark)
    sent = ""
    try:
        for _ in range(round(LASTS / EVERY)):
            try:
                status, text = await asyncio.to_thread(_figure, request, name)
            except MailerError:  # Redis is away: the browser comes again
                return
            yield ": lives\n\n" if text == sent else text
            sent = text
            if status.final:
                return
            await asyncio.sleep(EVERY)
    finally:
        _open.discard(mark)


def _figure(request: Request, name: str) -> tuple[Status, str]:
    settings = settings_of(request)
    status = campaigns.status(settings, name)
    over_time = timeline(settings, status)
    piece = fragment(request, "_progress.html", one=status, timeline=over_time)
    packed = json.dumps({"html": piece, "state": says(status), "final": status.final})
    return status, f"retry: 3000\ndata: {packed}\n\n"
