"""How Redis is reached: the one door to it, with its errors translated.

Every Lua script lies beside the module that calls it, under the same name where it can; `load` puts
``prelude.lua`` (key names, moving a status) before it. Scripts are written so that running one twice
with the same arguments changes nothing more: the client repeats a call whose reply was lost.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, cast
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from mailer.errors import ConfigError, LedgerUnavailableError
from mailer.store import keys
from mailer.store.client import Client
from mailer.store.direct import Direct

__all__ = ["Client", "connect", "load", "reaching_redis"]

ATTEMPTS: Final = 3
"""How often a call is repeated when the connection breaks, within about two seconds."""

_BACKOFF: Final = ExponentialBackoff(cap=1.0, base=0.1)

SOCKET_TIMEOUT: Final = 10.0
"""Seconds until a Redis that does not answer counts as unreachable."""

_DIRECT: Final[WeakKeyDictionary[Client, Direct]] = WeakKeyDictionary()


class _Insistent(Retry):
    """Repeats a call until Redis answers, or until *go_on*, asked after each few attempts, says no."""

    def __init__(self, go_on: Callable[[], bool]) -> None:
        errors = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)
        super().__init__(_BACKOFF, ATTEMPTS, (*errors, redis.exceptions.ReadOnlyError))
        self._go_on = go_on

    def __deepcopy__(self, _memo: object) -> "_Insistent":
        return self  # each connection copies its own; there is nothing in it to keep apart

    def call_with_retry(self, *args: Any, **options: Any) -> Any:
        while True:
            try:
                return super().call_with_retry(*args, **options)
            except self._supported_errors:
                if not self._go_on():
                    raise


def connect(url: str, go_on: Callable[[], bool] | None = None) -> Client:
    """Open a client for *url*: ``redis://``, ``rediss://`` or ``sentinel://host[:port],…/service[/db]``.

    Nothing is sent until the first command. Calls are repeated for about two seconds when Redis does not
    answer; with *go_on*, for as long as that returns true. Raises `ConfigError` for another scheme.
    """
    options: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "socket_keepalive": True,
        "health_check_interval": 30,
        "retry": _Insistent(go_on) if go_on else Retry(_BACKOFF, ATTEMPTS),
        "protocol": 2,
    }
    scheme = urlsplit(url).scheme
    if scheme in ("redis", "rediss", "unix"):
        return cast("Client", redis.Redis.from_url(url, **options))
    if scheme == "sentinel":
        return _through_sentinel(url, options)
    raise ConfigError(
        f"redis: {scheme or 'no scheme'}: expected redis://, rediss://, unix:// or sentinel://"
    )


def _through_sentinel(url: str, options: dict[str, Any]) -> Client:
    parts = urlsplit(url)
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ConfigError(
            "redis: a sentinel:// address ends in /service, as in sentinel://a,b/main"
        )
    hosts = []
    for address in parts.netloc.rpartition("@")[2].split(","):
        host, _, port = address.partition(":")
        hosts.append((host, int(port or 26379)))
    credentials = {"username": parts.username, "password": parts.password}
    sentinel = Sentinel(  # type: ignore[no-untyped-call] # redis-py is half typed
        hosts, socket_timeout=SOCKET_TIMEOUT
    )
    return cast(
        "Client",
        sentinel.master_for(  # type: ignore[no-untyped-call] # redis-py is half typed
            service, db=int(database or 0), **options, **{k: v for k, v in credentials.items() if v}
        ),
    )


def load(client: Client, *names: str) -> Callable[..., Any]:
    """Return a script as a callable ``(*args) -> reply`` that translates errors.

    It is the last of *names*, each ``<name>.lua``; those before it hold functions that it shares.
    """
    folder = files("mailer.store")
    texts = [(folder / f"{name}.lua").read_text("utf-8") for name in ("prelude", *names)]
    text = "".join(texts)
    digest = sha1(text.encode(), usedforsecurity=False).hexdigest().encode()
    script = client.register_script(text)
    direct = _DIRECT.setdefault(client, Direct(client))

    def call(*args: Any) -> Any:
        with reaching_redis():
            try:
                return direct.call(digest, args)
            except redis.RedisError:  # the client knows what to do: load it, reconnect, or say so
                return script(keys=[], args=args)

    return call


def answers(client: Client) -> None:
    """Ask Redis for a sign of life. Raises `LedgerUnavailableError` where there is none."""
    with reaching_redis():
        client.ping()


def take_turn(client: Client, duty: str, seconds: float) -> bool:
    """Whether this process may do the *duty* now; for so many *seconds*, no other may."""
    with reaching_redis():
        taken = client.set(keys.lock(duty), "1", nx=True, px=int(seconds * 1000))
    return bool(taken)


@contextmanager
def reaching_redis() -> Iterator[None]:
    """Turn the client's connection errors into `LedgerUnavailableError`, in words for people."""
    try:
        yield
    except redis.exceptions.AuthenticationError as exc:
        raise LedgerUnavailableError(f"Redis refused the login: {exc}") from exc
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as exc:
        raise LedgerUnavailableError(f"Redis cannot be reached: {exc}") from exc
    except (redis.exceptions.BusyLoadingError, redis.exceptions.ReadOnlyError) as exc:
        raise LedgerUnavailableError(f"Redis does not take commands yet: {exc}") from exc
    except redis.exceptions.OutOfMemoryError as exc:
        raise LedgerUnavailableError(
            "Redis is full (maxmemory, noeviction): add memory, or enqueue with --max-backlog"
        ) from exc
