"""What a Redis address says: how the server is reached, by whom, and which database.

One reading for both halves, the ledger's client (`mailer.store.connection`) and Celery's queues
(`mailer.queues.broker`): what one verifies, the other verifies too. The forms, as documented in
``docs/redis.md``::

    redis://[user:password@]host[:6379][/database]
    rediss://…                                   the same over TLS, the certificate verified
    unix://[user:password@]/path/to/socket[?db=database]
    sentinel://[user:password@]host[:26379][,host[:26379]…]/service[/database]
    sentinels://…                                the same over TLS, to the Sentinels and to Redis
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from mailer.config.units import split_address
from mailer.errors import ConfigError

FORMS: Final = "redis://, rediss://, unix://, sentinel:// or sentinels://"

_TLS_OPTIONS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is. *nodes* are the server, or the Sentinels where there is a *service*.

    *path* is a Unix socket's. *files* are the ``ssl_…`` options: where certificates and keys lie.
    """

    nodes: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    database: int = 0
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    files: Mapping[str, str] = field(default_factory=dict)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)

    @property
    def login(self) -> dict[str, str]:
        """User and password for Redis, those that there are."""
        found = {"username": self.username, "password": self.password}
        return {key: value for key, value in found.items() if value}

    @property
    def sentinel_login(self) -> dict[str, str]:
        """User and password for the Sentinels, those that there are."""
        found = {"username": self.sentinel_username, "password": self.sentinel_password}
        return {key: value for key, value in found.items() if value}

    @property
    def tls_options(self) -> dict[str, Any]:
        """What redis-py wants to know of TLS: the certificate and its name are always verified."""
        if not self.tls:
            return {}
        return {"ssl_cert_reqs": "required", "ssl_check_hostname": True, **self.files}

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read *url*. Raises `ConfigError` that says what is wrong and repeats no password."""
        parts = split_address(url)
        if parts.scheme in ("redis+cluster", "rediss+cluster", "redis-cluster"):
            raise ConfigError(CLUSTER)
        if parts.scheme not in ("redis", "rediss", "unix", "redis+socket", "sentinel", "sentinels"):
            raise ConfigError(f"redis: {parts.scheme or 'no scheme'}: expected {FORMS}")
        login, _, rest = parts.netloc.rpartition("@")
        username, _, password = login.partition(":")
        options = _options(parts)
        common: dict[str, Any] = {
            "username": unquote(username) or None,
            "password": unquote(password) or None,
            "tls": parts.scheme in ("rediss", "sentinels"),
            "files": {key: options[key] for key in _TLS_OPTIONS if key in options},
        }
        if parts.scheme in ("unix", "redis+socket"):
            if not parts.path:
                raise ConfigError(
                    "redis: unix:// names no socket, as in unix:///run/redis/redis.sock"
                )
            number = options.get("db") or options.get("virtual_host") or "0"
            return cls(path=unquote(parts.path), database=_database(number), **common)
        if parts.scheme.startswith("sentinel"):
            service, _, number = parts.path.strip("/").partition("/")
            if not service:
                raise ConfigError(
                    "redis: a sentinel:// address ends in /service, as in sentinel://a,b/main"
                )
            nodes = tuple(_node(text, 26379) for text in rest.split(","))
            common |= {key: options[key] for key in _SENTINEL_OPTIONS if key in options}
            return cls(nodes, service=service, database=_database(number), **common)
        number = options.get("db") or parts.path.strip("/")
        return cls((_node(rest, 6379),), database=_database(number), **common)


CLUSTER: Final = (
    "redis: Redis Cluster is not supported: a campaign's keys must lie in one server; "
    "name one Redis, or a sentinel:// address for failover"
)


_VERIFIED: Final = {
    "ssl_cert_reqs": ("required", "cert_required"),
    "ssl_check_hostname": ("true", "1", "yes", "y", "t", "on"),
}
"""Options that say whether a server is who it says, and what they may say."""


def _options(parts: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(parts.query))
    for name, verified in _VERIFIED.items():
        if options.pop(name, verified[0]).lower() not in verified:
            raise ConfigError(
                f"redis: {name}: a certificate and its name are always verified; "
                "name the authority that signed it with ssl_ca_certs=/path"
            )
    known = {"db", "virtual_host", *_TLS_OPTIONS, *_SENTINEL_OPTIONS}
    for key in options:
        if key not in known:
            raise ConfigError(f"redis: {key}: no such option; there are {', '.join(sorted(known))}")
    return options


def _node(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        number = parts.port or port
    except ValueError:
        raise ConfigError(f"redis: {text.rpartition(':')[2]!r} is no port") from None
    return parts.hostname or "localhost", number


def _database(text: str) -> int:
    if text and not text.isdigit():
        raise ConfigError(f"redis: the database is a number, not {text!r}")
    return int(text or 0)
