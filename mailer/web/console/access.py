"""Who asks, and whether they may see the console: a login, a trusted proxy's word, or loopback alone."""

import asyncio
import binascii
import re
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from math import ceil
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mailer.config import Role, Settings, User
from mailer.mail.foreign import one_line
from mailer.web.console.frame import refusal
from mailer.web.console.people import Guesses, People

_ASKED_AT_ONCE: Final = 20
"""Passwords that wait to be looked at; each costs 50 ms, and whoever guesses shall not queue more."""

_LONGEST_LOGIN: Final = 2_000
_LOOPBACK: Final = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_THREADS: Final = ThreadPoolExecutor(2, thread_name_prefix="mailer-login")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who may see the console."""

    name: str
    role: Role

    @property
    def may_act(self) -> bool:
        """Whether they may also do something."""
        return self.role == "operator"


@dataclass(frozen=True, slots=True)
class Denied:
    """Why nobody is let in: a status, words, and headers that go with it."""

    status: int
    title: str
    words: str
    headers: dict[str, str]


class Gate:
    """Says who asks. With *open_console*, whoever reaches this machine's loopback may do everything."""

    def __init__(self, settings: Settings, *, open_console: bool = False) -> None:
        web = settings.web
        self._web = web
        self._open = open_console and not web.asks_who
        self._people = People(web)
        self._guesses = Guesses()
        self._asked = 0
        self._networks = [ip_network(network) for network in web.trusted_proxies]

    async def visitor(self, scope: Scope) -> Visitor | Denied:
        """Who sends the request, or why it is not answered."""
        headers = Headers(scope=scope)
        if self._open:
            return _alone(headers)
        if not self._web.asks_who:
            return _switched_off()
        peer = _peer(scope)
        has_users = bool(self._web.users or self._web.users_file)
        if self._web.trusted_header and (self._is_trusted(peer) or not has_users):
            return self._introduced(headers, peer)
        return await self._logged_in(headers.get("authorization", ""), peer)

    async def _logged_in(self, login: str, peer: str) -> Visitor | Denied:
        name, password = _name_and_password(login)
        if not name:
            return _who_is_it()
        if self._people.is_proven(name, password):
            user = self._people.named(name)
        else:
            sources = (f"from {peer}", f"for {name}")
            wait = self._guesses.wait(*sources)
            if wait > 0 or self._asked >= _ASKED_AT_ONCE:
                return _slower(max(wait, 1.0))
            # Counted before it is looked at: many at once are many guesses.
            self._guesses.wrong(*sources)
            user = await self._proven(name, password)
            if user is not None:
                self._guesses.right(*sources)
        return Visitor(one_line(name, 100), user.role) if user else _who_is_it()

    async def _proven(self, name: str, password: str) -> User | None:
        self._asked += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(_THREADS, self._people.prove, name, password)
        finally:
            self._asked -= 1

    def _introduced(self, headers: Headers, peer: str) -> Visitor | Denied:
        """Whom the proxy names; nobody where it is none of the trusted ones, or names two."""
        named = headers.getlist(self._web.trusted_header or "")
        if not self._is_trusted(peer) or len(named) != 1 or not named[0].strip():
            return Denied(
                403,
                "Who are you?",
                "The console is reached through a proxy that says who asks. This request did not "
                "come from it, or does not say who sends it.",
                {},
            )
        name = one_line(named[0].strip(), 100)
        everybody = "*" in self._web.operators
        role: Role = "operator" if everybody or name in self._web.operators else "viewer"
        return Visitor(name, role)

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self._networks)


class Access:
    """ASGI middleware that lets nobody in whom the gate does not know."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on with its visitor."""
        found = await self._gate.visitor(scope)
        if isinstance(found, Denied):
            request = Request(scope, receive)
            answer = refusal(request, found.status, found.title, found.words, found.headers)
            await answer(scope, receive, send)
            return
        state = {**scope.get("state", {}), "visitor": found}
        await self._app({**scope, "state": state}, receive, send)


def _alone(headers: Headers) -> Visitor | Denied:
    # A site may name this machine by a domain of its own (DNS rebinding): then Host is not ours.
    if _LOOPBACK.fullmatch(headers.get("host", "")):
        return Visitor("this machine", "operator")
    return Denied(
        403,
        "Only from this machine",
        "This console is open for this machine alone: call it 127.0.0.1 or localhost.",
        {},
    )


def _switched_off() -> Denied:
    return Denied(
        404,
        "The console is switched off",
        "Nobody is configured who may see it. Add [web] users, users_file or trusted_header to "
        "mailer.toml (docs/web.md); to look at it on your own machine only: "
        "mailer web --open-console",
        {},
    )


def _who_is_it() -> Denied:
    asked = {"WWW-Authenticate": 'Basic realm="mailer", charset="UTF-8"'}
    return Denied(401, "Please log in", "A name and a password of [web] users are wanted.", asked)


def _slower(wait: float) -> Denied:
    again = {"Retry-After": str(ceil(wait))}
    return Denied(429, "Too many wrong passwords", f"Try again in {ceil(wait)} seconds.", again)


def _peer(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


def _name_and_password(login: str) -> tuple[str, str]:
    """Both out of an Authorization header (RFC 7617); empty where it is none."""
    scheme, _, encoded = login[:_LONGEST_LOGIN].partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        text = b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    name, _, password = text.partition(":")
    return name, password
