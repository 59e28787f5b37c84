"""Who is told what becomes of messages: the application, in three ways."""

from collections.abc import Mapping
from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator

from mailer.config.secrets import Command, Secret, SecretFile, Variable
from mailer.config.units import Count, File, Model, Names, Seconds, Wait, is_safe

KINDS: Final = (
    "queued",
    "deferred",
    "accepted",
    "rejected",
    "uncertain",
    "suppressed",
    "cancelled",
    "dead",
    "dropped",
    "auto_reply",
    "reported",
    "delayed",
    "delivered",
    "bounced",
    "unsubscribed",
    "resubscribed",
    "complained",
)
"""What an application can ask for: what becomes of a recipient, and what comes back later."""

TOLD: Final = (
    "accepted",
    "rejected",
    "dead",
    "bounced",
    "complained",
    "unsubscribed",
    "resubscribed",
)


class Events(Model):
    """What the application is told, and how; see `docs/events.md`.

    *hook* is a Python function, *webhook* an address that events are posted to, *task* a Celery task of
    the application's own, sent through *broker* to *queue*. Each delivery has at most *batch* events and
    takes at most *time_limit* seconds. What could not be told for *give_up_after* seconds is set aside.
    """

    hook: str | None = None
    webhook: str | None = None
    task: str | None = None
    secret_env: Variable | None = None
    secret_file: SecretFile | None = None
    secret_command: Command | None = None
    ca_file: File | None = None
    broker: Annotated[str | None, Field(repr=False)] = None
    queue: str = "celery"
    kinds: Names = TOLD
    batch: Annotated[Count, Field(le=1_000)] = 100
    time_limit: Wait = 30.0
    give_up_after: Seconds = 86400.0
    max_backlog: Count = 1_000_000

    @property
    def ways(self) -> Mapping[str, str]:
        """The ways that are configured, each with where it leads."""
        ways = {"hook": self.hook, "webhook": self.webhook, "task": self.task}
        return {name: target for name, target in ways.items() if target}

    @property
    def key(self) -> Secret:
        """Where the key lies that deliveries to the webhook are signed with."""
        return Secret("events.secret", self.secret_env, self.secret_file, self.secret_command)

    @field_validator("kinds")
    @classmethod
    def _are_known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no such kind; known are {', '.join(KINDS)}")
        return kinds

    @field_validator("hook", "task")
    @classmethod
    def _is_a_name(cls, path: str | None) -> str | None:
        if path is not None and not all(
            part.isidentifier() for part in path.replace(":", ".").split(".")
        ):
            raise ValueError("must be a name, such as shop.mail:on_event")
        return path

    @field_validator("webhook")
    @classmethod
    def _is_safe(cls, url: str | None) -> str | None:
        if url is None:
            return None
        host = url.partition("://")[2].partition("/")[0]
        if "@" in host:
            raise ValueError("must have no login in it: deliveries are signed (secret_file)")
        if not is_safe(url):
            raise ValueError("must begin with https://; http:// only to localhost")
        return url

    @model_validator(mode="after")
    def _is_signed(self) -> Self:
        if self.webhook and not self.key:
            raise ValueError("webhook wants a key: set secret_env, secret_file or secret_command")
        return self
