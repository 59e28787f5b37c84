"""How recipients get off a list, and how what comes back finds its message."""

import re
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from mailer.config.policy import CheckedPolicy
from mailer.config.secrets import Command, Secret, SecretFile, Variable
from mailer.config.units import Count, File, Flag, Model, Seconds, is_host
from mailer.mail.barring.dropping import DEFAULT, Policy
from mailer.mail.barring.scopes import list_of


class Unsubscribe(Model):
    """How recipients of bulk mail get off the list; see `mailer.compose.unsubscribe`.

    *url* and *mailto* are patterns: ``{token}`` is a signed proof of whose they are, ``{field}`` a field
    of the row. The token's key is read by producers. *one_click* is RFC 8058's promise that the URL
    takes a bare POST. *lists* are names for people, by List-ID.
    """

    url: str | None = None
    mailto: str | None = None
    one_click: Flag = True
    lists: dict[str, str] = Field(default_factory=dict)
    secret_env: Variable | None = None
    secret_file: SecretFile | None = None
    secret_command: Command | None = None

    @property
    def key(self) -> Secret:
        """Where the key lies that signs the tokens."""
        place = (self.secret_env, self.secret_file, self.secret_command)
        return Secret("unsubscribe.secret", *place)

    def secret(self) -> str | None:
        """The key that signs the tokens, read now; None where none is configured."""
        return self.key.read() if self.key else None

    @field_validator("lists")
    @classmethod
    def _named_by_list_id(cls, lists: dict[str, str]) -> dict[str, str]:
        for field in lists:
            if not list_of(field):
                raise ValueError(
                    f"{field!r} is no List-ID: write it as the messages have it, news.shop.example"
                )
        return {list_of(field): name for field, name in lists.items()}

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        patterns = [pattern for pattern in (self.url, self.mailto) if pattern]
        if self.url and self.one_click and not self.url.startswith("https://"):
            raise ValueError(
                "url: one-click wants https:// (RFC 8058 §3.1); change it, or set one_click = false"
            )
        if not self.key and any("{token}" in pattern for pattern in patterns):
            raise ValueError("{token} wants a key: set secret_env, secret_file or secret_command")
        return self


# A dot-atom: each message gets an address of its own made from it.
_LOCAL: Final = re.compile(r"[^\s()<>\[\]:;@\\,\"]{1,64}")
_SHARE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,15})?)\s*(%?)")


def _percentage(value: object) -> object:
    """A share: ``"8%"``, or a number up to 1."""
    if isinstance(value, str) and (found := _SHARE.fullmatch(value.strip())):
        return float(found[1]) / (100 if found[2] else 1)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ValueError(f'must be a share such as "8%" or 0.08, got {value!r}')


Percentage = Annotated[float, BeforeValidator(_percentage), Field(gt=0, le=1)]


class PauseAt(Model):
    """At which shares of its accepted recipients a campaign pauses itself, once *after* are accepted."""

    bounces: Percentage | None = 0.05
    complaints: Percentage | None = 0.003
    after: Count = 200


class Feedback(Model):
    """How what comes back finds its message, and what is made of it; see `docs/feedback.md`.

    *return_path* is the mailbox that bounces go to; with a secret, each message has an address of its
    own made from it. *previous_secret* holds secrets of before, one a line: what was sent under them is
    still understood. *imap*, *pop3* and *maildir* are where workers look *poll_every* so many seconds, if
    *workers_poll*, and `mailer feedback poll`; with *delete* a mailbox on a server is emptied of what was
    recorded. *lmtp* is where `mailer feedback serve` listens. *policy* says who is mailed no more, by a
    bounce's reason; without *suppress* nobody is.
    """

    return_path: str | None = None
    secret_env: Variable | None = None
    secret_file: SecretFile | None = None
    secret_command: Command | None = None
    previous_secret_env: Variable | None = None
    previous_secret_file: SecretFile | None = None
    previous_secret_command: Command | None = None
    imap: str | None = None
    pop3: str | None = None
    password_env: Variable | None = None
    password_file: SecretFile | None = None
    password_command: Command | None = None
    maildir: File | None = None
    workers_poll: Flag = True
    poll_every: Seconds = 60.0
    delete: Flag = False
    lmtp: str = "127.0.0.1:2424"
    suppress: Flag = True
    policy: CheckedPolicy = Field(default_factory=lambda: dict(DEFAULT))
    pause_at: PauseAt = PauseAt()

    @property
    def dropping(self) -> Policy:
        """Who is mailed no more, by what came back; empty for nobody."""
        return self.policy if self.suppress else {}

    @property
    def key(self) -> Secret:
        """Where the key lies that signs return paths."""
        place = (self.secret_env, self.secret_file, self.secret_command)
        return Secret("feedback.secret", *place)

    @property
    def password(self) -> Secret:
        """Where the password of the IMAP mailbox lies."""
        place = (self.password_env, self.password_file, self.password_command)
        return Secret("feedback.password", *place, one_line=True)

    @property
    def previous(self) -> Secret:
        """Where the keys of before lie."""
        place = (self.previous_secret_env, self.previous_secret_file, self.previous_secret_command)
        return Secret("feedback.previous_secret", *place)

    @field_validator("return_path")
    @classmethod
    def _is_a_mailbox(cls, mailbox: str | None) -> str | None:
        local, at, domain = (mailbox or "").partition("@")
        if mailbox is not None and not (at and _LOCAL.fullmatch(local) and is_host(domain)):
            raise ValueError("must be a mailbox, such as bounces@mail.shop.example")
        return mailbox
