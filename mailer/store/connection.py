"""How Redis is reached: the one door to it, with its errors translated.

Every Lua script lies beside the module that calls it, under the same name where it can; `load` puts
``prelude.lua`` (key names, moving a status) before it. Scripts are written so that running one twice
with the same arguments changes nothing more: a call whose reply was lost is repeated.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from mailer.errors import (
    ForeignRecordError,
    LedgerUnavailableError,
    RedisRefusesError,
    RedisSilentError,
)
from mailer.store import keys
from mailer.store.client import Client
from mailer.store.reach.address import Address
from mailer.store.reach.attempts import Attempts
from mailer.store.reach.direct import Direct
from mailer.store.reach.foreign import is_foreign
from mailer.store.reach.refusal import refusal, words
from mailer.store.reach.sentinel import ANSWER, FollowingConnection, FollowingTlsConnection

__all__ = [
    "SOCKET_TIMEOUT",
    "Client",
    "asking",
    "asking_sentinels",
    "connect",
    "load",
    "load_many",
    "reaching_redis",
    "serves",
    "take_turn",
]

SOCKET_TIMEOUT: Final = 10.0
"""Seconds until a Redis that does not answer a worker counts as unreachable."""

PEOPLE_WAIT: Final = 2.5
"""The same where somebody waits for the call. With one more attempt they wait five seconds."""

SILENT: Final = (
    "Redis cannot be reached: connections to it are taken, and nothing is answered: it stands still, has "
    "too much to do, or something between does not let it through"
)

FOREIGN: Final = "a key in Redis holds what mailer did not write there (WRONGTYPE)"

_CALLED: Final = re.compile(r"\bredis\.p?call\(('[A-Z]+')")
"""How a script calls a command."""
_PIECE: Final = re.compile(r"^(?=local )", re.MULTILINE)
_NAME: Final = re.compile(r"local (?:function )?(\w+)")
_WORD: Final = re.compile(r"\w+")

_DIRECT: Final[WeakKeyDictionary[Client, Direct]] = WeakKeyDictionary()


def connect(url: str, go_on: Callable[[], bool] | None = None) -> Client:
    """Open a client for *url*, any of the forms that `mailer.store.reach.address` lists.

    Nothing is sent until the first command. Calls are repeated for some seconds when Redis does not
    answer; with *go_on*, for as long as that returns true. Raises `ConfigError` for what is no address.
    """
    address = Address.parse(url)
    timeout = SOCKET_TIMEOUT if go_on else PEOPLE_WAIT
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "health_check_interval": 30,
        "retry": Attempts(go_on, between=bool(address.service)),
        "protocol": 2,
        "db": address.database,
        **address.login,
    }
    if address.path:
        return cast("Client", redis.Redis(unix_socket_path=address.path, **options))
    options |= {"socket_connect_timeout": timeout, "socket_keepalive": True}
    if address.service:
        return _through_sentinel(address, options)
    host, port = address.nodes[0]
    return cast(
        "Client",
        redis.Redis(host=host, port=port, ssl=address.tls, **address.tls_options, **options),
    )


def _through_sentinel(address: Address, options: dict[str, Any]) -> Client:
    sentinel = Sentinel(  # type: ignore[no-untyped-call] # redis-py is half typed
        address.nodes, sentinel_kwargs=asking_sentinels(address)
    )
    kind = FollowingTlsConnection if address.tls else FollowingConnection
    return cast(
        "Client",
        sentinel.master_for(  # type: ignore[no-untyped-call] # redis-py is half typed
            address.service, connection_class=kind, **address.tls_options, **options
        ),
    )


def asking_sentinels(address: Address) -> dict[str, Any]:
    """How the Sentinels of *address* are asked: with their own login, in haste, verified."""
    asking: dict[str, Any] = {
        "socket_timeout": ANSWER,
        "socket_connect_timeout": ANSWER,
        "retry": Retry(NoBackoff(), 0),  # the next one is asked instead
        **address.sentinel_login,
    }
    return asking | {"ssl": True, **address.tls_options} if address.tls else asking


def load(client: Client, *names: str) -> Callable[..., Any]:
    """Return a script as a callable ``(*args) -> reply`` that translates errors.

    It is the last of *names*, each ``<name>.lua``; those before it hold functions that it shares.
    """
    call_all = load_many(client, *names)

    def call(*args: Any) -> Any:
        (reply,) = call_all((args,))
        return reply

    return call


def load_many(client: Client, *names: str) -> Callable[[Sequence[Sequence[object]]], list[Any]]:
    """Return a script as a callable that runs it for each of several lists of arguments at once."""
    text, digest = whole_script(*names)
    direct, repeated = _cheaply(client)

    def attempt(calls: Sequence[Sequence[object]]) -> list[Any]:
        try:
            return direct.call_all(digest, calls)
        except redis.exceptions.NoScriptError:
            client.script_load(text)
            return direct.call_all(digest, calls)

    def call_all(calls: Sequence[Sequence[object]]) -> list[Any]:
        return cast("list[Any]", repeated(lambda: attempt(calls)))

    return call_all


@cache
def whole_script(*names: str) -> tuple[str, bytes]:
    """The text of a script, with what it uses of all that it shares, and the digest for it in Redis.

    Before anything else it asks whether all its commands are allowed, those of what it shares too.
    """
    folder = files("mailer.store")
    *shared, own = ((folder / f"{name}.lua").read_text("utf-8") for name in ("prelude", *names))
    used = _used("".join(shared), f"refusal_of {own}")
    commands = ",".join(sorted(set(_CALLED.findall(used + own))))
    asked = (
        f"do local refused = refusal_of({{{commands}}}) if refused then return refused end end\n"
    )
    text = f"{used}{asked}{own}"
    return text, sha1(text.encode(), usedforsecurity=False).hexdigest().encode()


def _used(shared: str, own: str) -> str:
    """What *own* uses of *shared*, whose pieces begin with ``local``: each call makes all anew."""
    kept: list[str] = []
    words = set(_WORD.findall(own))
    # From the end: a piece uses only what stands before it.
    for piece in reversed(_PIECE.split(shared)):
        name = _NAME.match(piece)
        if name is None or name[1] in words:
            kept.append(piece)
            words.update(_WORD.findall(piece))
    return "".join(reversed(kept))


def asking(client: Client) -> Callable[..., Any]:
    """Return what asks Redis a command that changes nothing, ``(*command) -> reply``, as `load` calls.

    For what is asked with every batch: the client's own way costs twice as much. Replies are as
    Redis writes them; a hash is one list of fields and values.
    """
    direct, repeated = _cheaply(client)
    return lambda *command: repeated(lambda: direct.ask(command))


def _cheaply(client: Client) -> tuple[Direct, Callable[[Callable[[], Any]], Any]]:
    """The connections that *client* has for it, and what repeats a call as the client would."""
    direct = _DIRECT.setdefault(client, Direct(client.connection_pool))
    retry = client.connection_pool.connection_kwargs.get("retry") or Attempts()

    def repeated(call: Callable[[], Any]) -> Any:
        with reaching_redis():
            return retry.call_with_retry(call, lambda _error: None)

    return direct, repeated


def serves(client: Client) -> None:
    """Raise `LedgerUnavailableError` unless Redis answers, takes writes, and allows what scripts do."""
    load(client, "serves")()


def take_turn(client: Client, duty: str, seconds: float) -> bool:
    """Whether this process may do the *duty* now; for so many *seconds*, no other may."""
    with reaching_redis():
        taken = client.set(keys.lock(duty), "1", nx=True, px=int(seconds * 1000))
    return bool(taken)


@contextmanager
def reaching_redis() -> Iterator[None]:
    """Turn what the client raises into errors of ours, in words for people."""
    try:
        yield
    except redis.RedisError as exc:
        if why := refusal(exc):
            raise RedisRefusesError(f"{why} ({words(exc)})") from exc
        if isinstance(exc, redis.TimeoutError):
            raise RedisSilentError(SILENT) from exc
        if isinstance(exc, redis.ConnectionError):
            raise LedgerUnavailableError(f"Redis cannot be reached: {words(exc)}") from exc
        if is_foreign(exc):
            raise ForeignRecordError(FOREIGN) from exc
        raise
