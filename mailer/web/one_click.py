"""A provider's one click (RFC 8058), which comes by thousands: answered before anything else looks at it.

What is asked for in the plainest way, a POST with the body that RFC 8058 names or with none, needs no
router, no form and no page. Anything else goes on to `mailer.web.unsubscribe`, which does the same.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailer.compose.unsubscribe import Unsubscribed
from mailer.errors import MailerError
from mailer.feedback.unsubscribing import Unsubscribing
from mailer.web.together import Together

PRESSED: Final = b"List-Unsubscribe=One-Click"
SOURCE: Final = "one-click"
_PATH: Final = "/u/"
_DONE: Final = (200, b"unsubscribed\n")
_FOREIGN: Final = (404, b"this link is not one of ours\n")
_PLAIN: Final = (b"content-type", b"text/plain; charset=utf-8")


class _Click(NamedTuple):
    unsubscribing: Unsubscribing
    token: str


class OneClick:
    """ASGI middleware inside `mailer.web.safety.Safety`: the body is whole when it is asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._together = Together("mailer-one-click", _taken_off)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one click; hand on everything else."""
        token = _token(scope)
        if not token:
            await self._app(scope, receive, send)
            return
        message = await receive()
        if message["type"] != "http.request" or message["body"] not in (PRESSED, b""):
            await self._app(scope, _again(message, receive), send)
            return
        try:
            was_ours = await self._together.call(_Click(scope["app"].state.unsubscribing, token))
        except MailerError:  # nothing was written down: a provider tries again
            await _answer(send, 503, b"not now\n", (b"retry-after", b"60"))
        else:
            await _answer(send, *(_DONE if was_ours else _FOREIGN))


def _token(scope: Scope) -> str:
    """The token that a plain POST names; empty for everything else."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return ""
    path: str = scope["path"]
    root = scope.get("root_path") or ""  # under a path of one's own application
    if root:
        path = path.removeprefix(root)
    return path[len(_PATH) :] if path.startswith(_PATH) and "/" not in path[len(_PATH) :] else ""


def _taken_off(clicks: Sequence[_Click]) -> list[bool]:
    """Take off all whose tokens are ours, in one round trip; whether each was."""
    found = [click.unsubscribing.read(click.token) for click in clicks]
    by_whom: dict[Unsubscribing, list[Unsubscribed]] = {}
    for click, who in zip(clicks, found, strict=True):
        if who:
            by_whom.setdefault(click.unsubscribing, []).append(who)
    for unsubscribing, several in by_whom.items():
        unsubscribing.take_off_all(several, SOURCE)
    return [who is not None for who in found]


async def _answer(send: Send, status: int, body: bytes, *fields: tuple[bytes, bytes]) -> None:
    headers = [_PLAIN, (b"content-length", b"%d" % len(body)), *fields]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _again(first: Message, receive: Receive) -> Receive:
    """A `receive` that gives *first* once more, and then what the connection gives."""
    given: list[Message] = [first]

    async def replay() -> Message:
        return given.pop() if given else await receive()

    return replay
