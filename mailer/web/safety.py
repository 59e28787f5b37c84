"""What holds for every request: a bounded body, bounded time, and headers that forbid everything else."""

import asyncio
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY: Final = 1024 * 1024
"""Octets: what providers' webhooks send at most."""

SLOWEST_BODY: Final = 10.0
"""Seconds within which a body must have come."""

HEADERS: Final = {
    # Pages are made here from here: no script, no foreign style, no frame, nothing fetched.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # a token stands in the address
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}


_FIELDS: Final = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class _TooLargeError(Exception):
    """The body goes on beyond `LARGEST_BODY`."""


class _GoneError(Exception):
    """The client hung up before its body was whole."""


class Safety:
    """ASGI middleware that reads the body, within bounds, before the application sees the request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: refuse it by its size or slowness, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = list(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                headers += [field for field in _FIELDS if field[0] not in there]
            await send(message)

        try:
            async with asyncio.timeout(SLOWEST_BODY):
                body = await _whole_body(scope, receive)
        except _TooLargeError:
            refusal = PlainTextResponse("too large\n", 413, {"Connection": "close"})
            await refusal(scope, receive, answer)
        except TimeoutError:
            refusal = PlainTextResponse("too slow\n", 408, {"Connection": "close"})
            await refusal(scope, receive, answer)
        except _GoneError:
            return  # nobody hears an answer; and half of a body may say something else than the whole
        else:
            await self._app(scope, _replayed(body, receive), answer)


async def _whole_body(scope: Scope, receive: Receive) -> bytes:
    named = (value for name, value in scope["headers"] if name == b"content-length")
    announced = next(named, b"")
    if announced.isdigit() and (len(announced) > 9 or int(announced) > LARGEST_BODY):
        raise _TooLargeError
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise _GoneError
        part = message.get("body", b"")
        size += len(part)
        if size > LARGEST_BODY:
            raise _TooLargeError
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives *body* once, and then what the connection gives."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
