"""What is known of one account: its server, its login, its limits."""

import ipaddress
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal, NamedTuple, Self, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from mailer.config.secrets import Command, Secret, SecretFile, Variable
from mailer.config.units import (
    Count,
    Counts,
    File,
    Flag,
    Host,
    Model,
    Names,
    Rates,
    Reset,
    Seconds,
    Wait,
    is_host,
    listed,
)


class Security(StrEnum):
    """How the connection is protected: the scheme of an account's URL."""

    STARTTLS = "smtp+starttls"
    TLS = "smtps"
    PLAIN = "smtp"


_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.PLAIN: 25}

Mechanism = Annotated[
    Literal["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER", "EXTERNAL"],
    BeforeValidator(lambda value: str(value).upper()),
]


class Endpoint(NamedTuple):
    """The parts of an account's URL."""

    security: Security
    host: str
    port: int
    username: str | None


def _endpoint(url: str) -> Endpoint:
    """The parts of *url*; errors repeat none of it, for it may hold a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        # Its text repeats what stands between brackets.
        raise ValueError("has a host in brackets that is no address") from None
    try:
        security = Security(parts.scheme)
    except ValueError:
        known = ", ".join(f"{scheme}://" for scheme in Security)
        raise ValueError(f"must begin with one of {known}") from None
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        # What stands before the @ may be the rest of a password: nothing of it is shown.
        raise ValueError(
            "has a /, ? or # before its @: in a user write %2F, %3F or %23; a password does not stand "
            "here, but in password_env, password_file or password_command"
        )
    if parts.password is not None:
        raise ValueError(
            "holds a password; move it to password_env, password_file or password_command"
        )
    if not parts.hostname:
        raise ValueError('names no host; write it as "smtp+starttls://user@smtp.example.com:587"')
    if not is_host(parts.hostname):
        raise ValueError('names a host that can be none; write it as "smtp.example.com"')
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("has something after host and port; options are keys of their own")
    username = unquote(parts.username) if parts.username else None
    return Endpoint(security, parts.hostname, _port(parts) or _PORTS[security], username)


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        raise ValueError("has a port that is no number between 0 and 65535") from None


def is_loopback(host: str) -> bool:
    """Whether *host* means this machine: ``localhost``, ``127.0.0.0/8`` or ``::1``."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Timeouts(Model):
    """Seconds to wait for the server, each an absolute deadline (RFC 5321 §4.5.3.2)."""

    resolve: Wait = 20.0
    connect: Wait = 30.0
    tls: Wait = 30.0
    greeting: Wait = 300.0
    ehlo: Wait = 300.0
    auth: Wait = 120.0
    mail: Wait = 300.0
    rcpt: Wait = 300.0
    data: Wait = 120.0
    block: Wait = 180.0
    final: Wait = 600.0
    quit: Wait = 5.0


class Dkim(Model):
    """A key that signs what this account sends (RFC 6376, 8463); read on workers only."""

    domain: str
    selector: str
    key_file: File


TITLE = "the title of the table"
"""Where `Settings` puts an account's name: no key of TOML's that anyone would write."""


_Place = TypeVar("_Place")
Hidden = Annotated[_Place | None, Field(repr=False)]
"""Where a secret lies; not shown, for it may be the secret itself, written to the wrong key."""


class Login(Model):
    """Who an account is and where its secrets lie."""

    name: Annotated[str, Field(alias=TITLE)]
    username: str | None = None
    mechanism: Mechanism | None = None
    password_env: Hidden[Variable] = None
    password_file: Hidden[SecretFile] = None
    password_command: Hidden[Command] = None
    token_env: Hidden[Variable] = None
    token_file: Hidden[SecretFile] = None
    token_command: Hidden[Command] = None
    token_url: str | None = None
    client_id: str | None = None
    client_secret_env: Hidden[Variable] = None
    client_secret_file: Hidden[SecretFile] = None
    client_secret_command: Hidden[Command] = None
    refresh_token_env: Hidden[Variable] = None
    refresh_token_file: Hidden[SecretFile] = None
    refresh_token_command: Hidden[Command] = None
    scope: str | None = None

    def secret(self, kind: str) -> Secret:
        """Where the secret of that *kind* lies: password, token, client_secret or refresh_token."""
        return Secret(
            f"accounts.{self.name}.{kind}",
            getattr(self, f"{kind}_env"),
            getattr(self, f"{kind}_file"),
            getattr(self, f"{kind}_command"),
            one_line=True,
        )

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that this account needs to log in."""
        kinds = ("password", "token", "client_secret", "refresh_token")
        return tuple(secret for kind in kinds if (secret := self.secret(kind)))

    def password(self) -> str:
        """The password, read now; raises `ConfigError` that names its key."""
        return self.secret("password").read()

    def token(self) -> str:
        """The OAuth access token as its command, file or variable gives it now."""
        return self.secret("token").read()

    @property
    def uses_oauth(self) -> bool:
        """Whether the account logs in with a token instead of a password."""
        return bool(self.secret("token") or self.token_url)

    @model_validator(mode="after")
    def _one_place_per_secret(self) -> Self:
        for kind in ("password", "token", "client_secret", "refresh_token"):
            keys = [f"{kind}_{way}" for way in ("env", "file", "command")]
            given = [key for key in keys if getattr(self, key)]
            if len(given) > 1:
                raise ValueError(f"{' and '.join(given)} are both given; keep one")
        if self.token_url and not (self.client_id and self.secret("refresh_token")):
            raise ValueError("token_url wants client_id and a refresh_token_env, _file or _command")
        if self.token_url and not self.token_url.startswith("https://"):
            raise ValueError("token_url must be an https:// address")
        return self


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, dict) else listed(value)


class Account(Login):
    """One submission login: `mailer.toml`'s ``[accounts.<name>]``.

    Limits hold over all workers together. Durations are seconds. *provider* selects reply rules and
    defaults to the preset's; *sender* is used where a campaign or a message names none.
    """

    url: str
    plaintext: Flag = False
    sender: str | None = None
    preset: str | None = None
    provider: str | None = None

    max_connections: Count = 10
    max_messages_per_connection: Count = 100
    max_connection_age: Seconds = 300.0
    max_idle: Seconds = 30.0
    rate: Rates = ()
    resets: Reset = "rolling"
    warmup: Counts = ()
    probe_every: Seconds | None = None

    tls_name: Host | None = None
    ca_file: File | None = None
    client_cert: File | None = None
    client_key: File | None = None
    local_hostname: str | None = None
    disable_extensions: Names = ()
    chunking: Flag = False
    chunking_window: Count = 8
    debug: Flag = False
    timeouts: Timeouts = Timeouts()
    dsn: Annotated[
        tuple[Literal["never", "success", "failure", "delay"], ...], BeforeValidator(listed)
    ] = ()
    dsn_return: Literal["headers", "full"] = "headers"
    dkim: Annotated[tuple[Dkim, ...], BeforeValidator(_one_or_many)] = ()

    @field_validator("url")
    @classmethod
    def _is_an_endpoint(cls, url: str) -> str:
        _endpoint(url)
        return url

    @cached_property
    def endpoint(self) -> Endpoint:
        """The parts of the URL."""
        return _endpoint(self.url)

    @property
    def security(self) -> Security:
        """How the connection is protected."""
        return self.endpoint.security

    @property
    def host(self) -> str:
        """The server's name, as its certificate must bear it."""
        return self.endpoint.host

    @property
    def port(self) -> int:
        """The server's port; the scheme's usual one where the URL has none."""
        return self.endpoint.port

    @property
    def user(self) -> str | None:
        """Who logs in: the key ``username`` or what the URL has before its ``@``."""
        return self.username or self.endpoint.username

    @property
    def rules(self) -> str | None:
        """Whose reply rules are asked first."""
        return self.provider or self.preset

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        host, of_url = self.endpoint.host, self.endpoint.username
        if self.security is Security.PLAIN and not self.plaintext and not is_loopback(host):
            raise ValueError(
                f"url: smtp:// would send mail and password unencrypted to {host}; "
                "use smtp+starttls:// or smtps://, or set plaintext = true"
            )
        if self.username and of_url and self.username != of_url:
            raise ValueError("username differs from the one in url; keep one")
        if self.secrets and not self.user:
            raise ValueError(
                "has a secret and no user; write url as scheme://user@host or set username"
            )
        if self.mechanism == "EXTERNAL" and not self.client_cert:
            raise ValueError('mechanism = "EXTERNAL" wants a client_cert')
        if self.user and not self.secrets and not self.client_cert:
            raise ValueError("has a user and no secret; set password_env, _file or _command")
        if self.client_key and not self.client_cert:
            raise ValueError("client_key is given without client_cert")
        if "never" in self.dsn and len(self.dsn) > 1:
            raise ValueError('dsn: "never" stands alone (RFC 3461 §4.1)')
        return self
