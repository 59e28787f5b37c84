"""What `mailer web` serves, where, to whom, and to which providers."""

from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mailer.config.passwords import is_hash
from mailer.config.secrets import Command, Secret, SecretFile, Variable
from mailer.config.units import File, Model, Names, Port, is_safe

Role = Literal["viewer", "operator"]


class User(Model):
    """Somebody who may see the console; an operator may also act. *password* is its hash."""

    password: Annotated[str, Field(repr=False)]
    role: Role = "viewer"

    @field_validator("password")
    @classmethod
    def _is_a_hash(cls, password: str) -> str:
        if not is_hash(password):  # the value is not repeated: it may be the password itself
            raise ValueError("must be a hash: make one with `mailer web hash`")
        return password


class Web(Model):
    """Where `mailer web` listens, where others reach it from outside, and who sees the console.

    People log in as one of *users*, or of those in *users_file* (a line each: ``name:role:hash``). Or a
    proxy has asked who they are, and says so in *trusted_header*: it is believed from *trusted_proxies*
    only. Of those that a proxy names, *operators* may act; ``*`` is all of them.
    """

    url: str | None = None
    host: str = "127.0.0.1"
    port: Port = 8025
    templates: File | None = None
    users: dict[str, User] = Field(default_factory=dict)
    users_file: File | None = None
    trusted_header: str | None = None
    trusted_proxies: Names = ()
    operators: Names = ()

    @property
    def asks_who(self) -> bool:
        """Whether there is a way to say who one is."""
        return bool(self.users or self.users_file or self.trusted_header)

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network)  # raises ValueError, which says what is wrong
        return networks

    @model_validator(mode="after")
    def _a_header_has_its_proxies(self) -> Self:
        if self.trusted_header and not self.trusted_proxies:
            raise ValueError(
                "trusted_header: anybody can send it; say in trusted_proxies from which networks "
                "it is believed"
            )
        if "*" in (self.users or {}) or any(":" in name or not name for name in self.users):
            raise ValueError("users: a name is not empty, not * and has no colon")
        return self

    @field_validator("url")
    @classmethod
    def _is_https(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not is_safe(url):
            raise ValueError("must begin with https:// (RFC 8058 §3.1); http:// only to localhost")
        return url.rstrip("/")


class Webhook(Model):
    """What a provider proves itself with at ``/hooks/<name>``; the table's name is the provider's.

    The secret is its signing key (SendGrid's public key), or ``user:password``. *topics* are the SNS
    topics of Amazon SES that are ours: it needs no secret.
    """

    secret_env: Variable | None = None
    secret_file: SecretFile | None = None
    secret_command: Command | None = None
    topics: Names = ()

    @property
    def key(self) -> Secret:
        """Where the key lies."""
        place = (self.secret_env, self.secret_file, self.secret_command)
        return Secret("webhooks.secret", *place)
