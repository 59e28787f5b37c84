"""The whole configuration as one frozen value."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import quote

from pydantic import (
    Field,
    GetPydanticSchema,
    PrivateAttr,
    field_validator,
    model_validator,
)
from pydantic_core import core_schema

from mailer.config.account import TITLE, Account
from mailer.config.events import Events
from mailer.config.feedback import Feedback, Unsubscribe
from mailer.config.secrets import Command, Secret, SecretFile, Variable
from mailer.config.telemetry import Log, Metrics, Traces
from mailer.config.units import (
    Count,
    Factor,
    File,
    Flag,
    Model,
    Names,
    Rates,
    Seconds,
    Share,
    Tables,
    split_address,
)
from mailer.config.web import Web, Webhook
from mailer.errors import ConfigError
from mailer.mail.policy import Retry

_REDIS = ("redis://", "rediss://", "unix://", "redis+socket://", "sentinel://", "sentinels://")
DEFAULT_REDIS = "redis://localhost:6379/0"


class RetryTable(Model):
    """``[retry]`` as it stands in the file; read, it is a `mailer.mail.policy.Retry`, which says more."""

    first_delay: Seconds = 60.0
    factor: Factor = 2.0
    max_delay: Seconds = 4 * 3600.0
    jitter: Share = 0.2
    attempts: Count = 20
    give_up_after: Seconds = 2 * 86400.0

    def as_retry(self) -> Retry:
        """The value that everybody else works with."""
        return Retry(**self.model_dump())


CheckedRetry = Annotated[
    Retry,
    GetPydanticSchema(
        lambda _kind, schema_of: core_schema.no_info_after_validator_function(
            lambda table: table.as_retry() if isinstance(table, RetryTable) else table,
            schema_of(RetryTable),
        )
    ),
]
"""A `Retry` that was checked as a `RetryTable`."""


class Worker(Model):
    """How workers share batches: leases, sweeps, and patience with what kills them.

    A batch is *lease* seconds its worker's, renewed while it lives; each worker looks every
    *sweep_every* seconds for what is due or orphaned; a batch that nobody has claimed
    *requeue_after* seconds after it was queued is queued again. A worker that is to stop awaits
    the replies to what it has transmitted for *grace* seconds. What no living worker could do for
    *unable_after* seconds (an account that none of them knows) goes to the dead letters. *ready_file* is
    touched by every sweep: who waits for the worker sees that it works.
    """

    lease: Seconds = 15.0
    sweep_every: Seconds = 3.0
    requeue_after: Seconds = 20.0
    poison_after: Count = 3
    grace: Seconds = 20.0
    unable_after: Seconds = 300.0
    ready_file: File | None = None


class Send(Model):
    """How single messages are sent, by `mailer.send` and its kin.

    A *key* that was given is known for *remember_keys* seconds. With *reload_templates* a template is
    looked at again when one of its files has changed.
    """

    remember_keys: Seconds = 7 * 86400.0
    reload_templates: Flag = True


class Alerts(Model):
    """Who is told when an account stops or starts, or *dead_letters* pile up: once per event.

    *hook* is ``package.module:function`` or ``package.module.function``; *command* is run without a
    shell, with the event as JSON on its standard input.
    """

    hook: str | None = None
    command: Command | None = None
    dead_letters: Count | None = None


class History(Model):
    """Where it is kept what became of every message, and for how long; see `mailer.history`.

    *url* is ``sqlite:///FILE`` or ``postgresql://…``. What happened more than *keep* seconds ago goes.
    While the database is away, events wait in Redis: *max_backlog* messages at most, then sending slows.
    """

    url: Annotated[str | None, Field(repr=False)] = None
    keep: Seconds = 2 * 365 * 86400.0
    max_backlog: Count = 1_000_000


class Retention(Model):
    """How long Redis keeps what is over.

    A campaign leaves Redis *ledger* seconds after its last recipient was final. What servers said of
    recipients who were not accepted goes after *replies* seconds. Never while somebody is open or dead.
    """

    ledger: Seconds = 30 * 86400.0
    replies: Seconds = 30 * 86400.0


class Domain(Model):
    """Limits towards the recipients of one domain, or together of all those of *group*."""

    rate: Rates = ()
    connections: Count | None = None
    group: Names = ()


def _redis_url(url: str | None) -> str | None:
    if url is not None and not url.startswith(_REDIS):
        raise ValueError(f"must begin with one of {', '.join(_REDIS)}")
    if url is not None and not _is_whole(url):
        # Read as it stands, a part of the password would be taken for host or port, and be shown.
        raise ValueError(
            "has a port that is no number, or a /, ?, # or [ in its password: "
            "write %2F, %3F, %23 or %5B"
        )
    return url


def _is_whole(url: str) -> bool:
    """Whether the password, if any, ends before the host and the port is a number."""
    try:
        parts = split_address(url)
        _ = parts.scheme in ("sentinel", "sentinels") or parts.port
    except ValueError:
        return False
    query = "" if parts.scheme == "unix" else parts.query
    return "@" not in f"{parts.path}{query}{parts.fragment}"


class Settings(Model):
    """Everything that `mailer.toml` and the environment say. See `docs/configuration.md`."""

    redis: Annotated[str, Field(repr=False)] = DEFAULT_REDIS
    redis_password_env: Variable | None = None
    redis_password_file: SecretFile | None = None
    redis_password_command: Command | None = None
    broker: Annotated[str | None, Field(repr=False)] = None
    templates: File = Path("templates")
    sender: str | None = None
    batch_size: Annotated[Count, Field(le=10_000)] = 500
    max_backlog: Count | None = None
    list_id: str | None = None
    accounts: dict[str, Account] = Field(default_factory=dict)
    domains: dict[str, Domain] = Field(default_factory=dict)
    retry: CheckedRetry = Retry()
    worker: Worker = Worker()
    send: Send = Send()
    unsubscribe: Unsubscribe | None = None
    feedback: Feedback = Feedback()
    alerts: Alerts = Alerts()
    history: History = History()
    retention: Retention = Retention()
    events: Events = Events()
    log: Log = Log()
    metrics: Metrics = Metrics()
    traces: Traces = Traces()
    web: Web = Web()
    webhooks: dict[str, Webhook] = Field(default_factory=dict)
    rules: Tables = ()

    _file: Path | None = PrivateAttr(default=None)
    _looked_in: Path | None = PrivateAttr(default=None)
    _url: tuple[str, str] | None = PrivateAttr(default=None)
    _domains: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def file(self) -> Path | None:
        """The file that this was read from; None when there was none."""
        return self._file

    @property
    def unfound(self) -> str | None:
        """That no file was found, and where; None where there is one, or none was looked for."""
        return f"there is no mailer.toml in {self._looked_in}" if self._looked_in else None

    @property
    def guesses_redis(self) -> bool:
        """Whether no file was found and nobody said where Redis is, so that the default is tried."""
        return self._looked_in is not None and "redis" not in self.model_fields_set

    @property
    def follows(self) -> bool:
        """Whether what happens to messages is told to somebody: the history, the application."""
        return self.history.url is not None or bool(self.events.ways)

    @property
    def tells_rows(self) -> bool:
        """Whether somebody is told of the rows that are queued, too."""
        return self.history.url is not None or (
            bool(self.events.ways) and "queued" in self.events.kinds
        )

    @property
    def broker_url(self) -> str:
        """Where Celery's queues are: the broker, or Redis itself."""
        return self.broker or self.redis_url

    @property
    def redis_url(self) -> str:
        """The address of Redis with its password, which is read once; raises `ConfigError`."""
        if self._url is None or self._url[0] != self.redis:
            self._url = (self.redis, self._with_password())
        return self._url[1]

    def _with_password(self) -> str:
        secret = Secret(
            "redis_password",
            self.redis_password_env,
            self.redis_password_file,
            self.redis_password_command,
            one_line=True,
        )
        if not secret:
            return self.redis
        scheme, _, rest = self.redis.partition("://")
        login, at, place = rest.partition("/")[0].rpartition("@")
        user = login.partition(":")[0]
        after = rest[len(login + at + place) :]
        return f"{scheme}://{user}:{quote(secret.read(), safe='')}@{place}{after}"

    def account(self, name: str) -> Account:
        """The account of that *name*; raises `ConfigError` that says which there are."""
        if name in self.accounts:
            return self.accounts[name]
        if self.unfound and not self.accounts:
            raise ConfigError(
                f"{self.unfound}, and so no account {name!r}: go to the file's folder, or name the "
                "file with MAILER_CONFIG"
            )
        place = self._file.name if self._file else "the configuration"
        near = difflib.get_close_matches(name, self.accounts, 1)
        if near:
            hint = f"did you mean {near[0]!r}?"
        elif self.accounts:
            hint = f"it has {', '.join(sorted(self.accounts))}"
        else:
            hint = f"add a table [accounts.{name}] with a url"
        raise ConfigError(f"{place} has no account {name!r}; {hint}")

    def domain(self, mailbox_domain: str) -> tuple[str, Domain] | None:
        """The name and limits that hold for recipients of *mailbox_domain*, or None."""
        name = self._domains.get(mailbox_domain.lower())
        return None if name is None else (name, self.domains[name])

    def unsubscribe_url(self) -> str | None:
        """The pattern of the link in bulk mail: one's own page, or the one that `mailer web` serves."""
        if self.unsubscribe and self.unsubscribe.url:
            return self.unsubscribe.url
        if self.web.url and self.signing_key():
            return f"{self.web.url}/u/{{token}}"
        return None

    def signing_key(self) -> str | None:
        """The key that messages are signed with now: tokens, return paths, Message-IDs."""
        if self.unsubscribe and self.unsubscribe.key:
            return self.unsubscribe.secret()
        return self.feedback.key.read() if self.feedback.key else None

    def reading_keys(self) -> tuple[str, ...]:
        """Every key under which something may have been sent, the newest first."""
        keys = [self.signing_key()]
        keys += [self.feedback.key.read()] if self.feedback.key else []
        keys += self.feedback.previous.read().splitlines() if self.feedback.previous else []
        return tuple(dict.fromkeys(key for key in keys if key))

    def secrets(self) -> tuple[Secret, ...]:
        """Where every secret lies that a worker needs."""
        found = [secret for account in self.accounts.values() for secret in account.secrets]
        return (*found, self.events.key) if self.events.webhook else tuple(found)

    @field_validator("redis")
    @classmethod
    def _is_redis(cls, url: str) -> str | None:
        return _redis_url(url)

    @field_validator("broker")
    @classmethod
    def _is_a_broker(cls, url: str | None) -> str | None:
        if url is not None and "://" not in url:
            raise ValueError("must be a broker URL of Celery's, such as amqp://user@host//")
        return url

    @field_validator("accounts", mode="before")
    @classmethod
    def _accounts_know_their_names(cls, tables: Any) -> Any:
        if not isinstance(tables, dict):
            return tables
        return {
            name: {TITLE: name, **table} if isinstance(table, dict) else table
            for name, table in tables.items()
        }

    @model_validator(mode="after")
    def _a_domain_has_one_limit(self) -> Self:
        for name, limits in self.domains.items():
            for domain in limits.group or (name,):
                other = self._domains.setdefault(domain.lower(), name)
                if other != name:
                    raise ValueError(f"domains.{name}: {domain} is in {other} already; keep one")
        return self
