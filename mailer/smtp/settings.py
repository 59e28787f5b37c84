"""How one account's submission server is reached, and how it may be used.

Plain values without behaviour: whoever reads a configuration makes a `Server` and hands it to a
`mailer.smtp.driver.Driver`. Secrets are callables, asked at login and never stored; `repr` shows
neither them nor the login name. All durations are seconds as floats.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from mailer.smtp.reply import Stage
from mailer.smtp.rules import Rule


class Security(Enum):
    """How a session is protected."""

    STARTTLS = "starttls"
    """Plain greeting, then STARTTLS (RFC 3207); a server without it is not used."""
    TLS = "tls"
    """TLS from the first byte (RFC 8314)."""
    PLAIN = "plain"
    """No encryption: for a server on this machine, or where the configuration says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long each wait may last: RFC 5321 section 4.5.3.2, where it says anything.

    Each is an absolute deadline for the whole reply, so a server that trickles bytes gains no time.
    """

    resolve: float = 20.0
    connect: float = 30.0
    tls: float = 30.0
    greeting: float = 300.0
    ehlo: float = 300.0
    auth: float = 120.0
    mail: float = 300.0
    rcpt: float = 300.0
    data: float = 120.0
    block: float = 180.0
    """How long a write may make no progress."""
    final: float = 600.0
    """After the final dot. A shorter wait makes duplicates (section 4.5.3.2.6)."""
    quit: float = 5.0
    grace: float = 60.0
    """After the caller said stop: how long replies to written final dots are still awaited."""
    patience: float = 10.0
    """How long a driver without any session waits to be admitted before it gives up."""

    def of(self, stage: Stage) -> float:
        """How long the reply to *stage* may take."""
        return {
            Stage.CONNECT: self.greeting,
            Stage.AUTH: self.auth,
            Stage.MAIL: self.mail,
            Stage.RCPT: self.rcpt,
            Stage.DATA: self.data,
            Stage.FINAL: self.final,
        }.get(stage, self.ehlo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dsn:
    """Which delivery status notifications to ask for (RFC 3461), where the server offers DSN."""

    notify: tuple[str, ...] = ("FAILURE",)
    """`FAILURE`, `DELAY`, `SUCCESS`, or `NEVER` alone."""
    ret: str | None = "HDRS"
    """`HDRS` or `FULL`: what of the message a failure report brings back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One account's submission server and how to use it."""

    name: str
    """The account's name, for messages and logs."""
    host: str
    port: int
    security: Security = Security.STARTTLS
    username: str | None = field(default=None, repr=False)
    password: Callable[[], str] | None = field(default=None, repr=False)
    """Asked at every login, in a thread beside the driver's: it may block, say on a command."""
    token: Callable[[bool], str] | None = field(default=None, repr=False)
    """OAuth access token; called with True after the server refused the last one."""
    mechanism: str | None = None
    """The SASL mechanism to use; None takes the best that the server offers."""
    tls_name: str | None = None
    """The name that the server's certificate must bear; None means *host*."""
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = field(default=None, repr=False)
    local_hostname: str | None = None
    """What EHLO says; None says the address literal of this end of the connection."""
    max_connections: int = 10
    max_messages_per_connection: int = 100
    max_age: float = 300.0
    max_idle: float = 30.0
    chunking: bool = False
    """Use BDAT where CHUNKING is offered: more messages in flight, more of unknown fate if cut."""
    chunking_window: int = 8
    disable_extensions: frozenset[str] = frozenset()
    """EHLO keywords to overlook, such as `PIPELINING`."""
    debug: bool = False
    """Log the whole dialogue at DEBUG, without credentials and content."""
    provider: str | None = None
    """Whose reply rules come first; an unknown name means the general rules."""
    timeouts: Timeouts = field(default_factory=Timeouts, repr=False)
    dsn: Dsn | None = None
    rules: tuple[Rule, ...] = field(default=(), repr=False)
    """The user's own reply rules, tried before all others; see `mailer.smtp.rules.parse`."""

    @property
    def address(self) -> str:
        """Host and port as a message shows them."""
        return f"{self.host}:{self.port}"
