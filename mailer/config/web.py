"""What `mailer web` serves, where, and to which providers."""

from typing import Annotated

from pydantic import Field, field_validator

from mailer.config.secrets import Command, Secret, SecretFile, Variable
from mailer.config.units import File, Model, Names


class Web(Model):
    """Where `mailer web` listens, and where recipients and providers reach it from outside."""

    url: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8025
    templates: File | None = None

    @field_validator("url")
    @classmethod
    def _is_https(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not url.startswith(("https://", "http://localhost", "http://127.0.0.1")):
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
