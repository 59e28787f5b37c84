"""A worker's own figures for Prometheus: what servers replied, how long messages took, what was lost.

What the whole cluster shares (outcomes, queues, accounts) `mailer web` serves out of Redis; here is what
only the processes know that talk to servers. Import this only where a `CountsFolder` was made.
"""

import errno
import socket
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from time import time
from typing import Final
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server, values
from prometheus_client.core import Metric, SummaryMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from mailer.deliver.batch import Batch
from mailer.deliver.observer import Heard, Observer
from mailer.deliver.recorder import Report
from mailer.errors import ConfigError
from mailer.mail.status import Status
from mailer.smtp.reply import Reply, Stage
from mailer.smtp.submission import Fate
from mailer.store.ledger import PRIORITY

KNOWN_CODES: Final = frozenset((
    *(220, 221, 235, 250, 251, 252, 334, 354),
    *(421, 422, 431, 432, 441, 442, 446, 447, 449, 450, 451, 452, 454, 455, 458, 459, 471),
    *(500, 501, 502, 503, 504, 510, 511, 512, 513, 515, 517, 521, 523, 525, 530, 534, 535, 538),
    *(541, 550, 551, 552, 553, 554, 555, 556, 557, 570, 571),
))  # fmt: skip
"""Codes of RFCs, and those that servers are known to make up: these are labels of their own."""

NO_REPLY: Final = "none"
"""The code of a stage where no reply was read: the connection broke, or time was up."""

_WAITS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_SPANS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)

# Celery's command line imports Flower where that is installed, and with it prometheus_client, long before
# a worker knows that its processes are counted together: what the library chose then is chosen again.
values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call] # the library's

# Nowhere registered: each process writes to its files, and the main one reads them all.
_REPLIES: Final = Counter(
    "mailer_replies",
    "Replies of servers by command and code: of messages, and of sessions that could not be opened.",
    ("stage", "code", "account"),
    registry=None,
)
_SEND_TO_ACCEPTED: Final = Histogram(
    "mailer_send_to_accepted_seconds",
    "From a single message's being queued to its being accepted.",
    buckets=_WAITS,
    registry=None,
)
_BATCHES: Final = Histogram(
    "mailer_batch_seconds",
    "How long one work on a batch took.",
    ("account",),
    buckets=_SPANS,
    registry=None,
)
_LOST: Final = Counter(
    "mailer_lease_losses",
    "Batches that were another worker's before the work on them was over.",
    ("account",),
    registry=None,
)


class Metrics(Observer):
    """Counts what this process does."""

    def refused(self, account: str, stage: Stage, reply: Reply | None) -> None:
        """Count why a session could not be opened."""
        _REPLIES.labels(stage.value, _code(reply), account).inc()

    def heard(self, batch: Batch, messages: Sequence[Heard]) -> None:
        """Count replies, and how long single messages took."""
        account, now, single = batch.claim.account, time(), batch.claim.queue == PRIORITY
        tally: Tally[tuple[str, str]] = Tally()
        for one in messages:
            result = one.result
            # What was not sent has the reply of a session that could not be opened: counted once, there.
            if result.fate is not Fate.UNSENT and result.stage is not None:
                tally[result.stage.value, _code(result.reply)] += 1
            if single and batch.claim.made and one.outcome.status is Status.ACCEPTED:
                _SEND_TO_ACCEPTED.observe(now - batch.claim.made)
        for (stage, code), number in tally.items():
            _REPLIES.labels(stage, code, account).inc(number)

    def ended(self, report: Report, seconds: float) -> None:
        """Count how long it took."""
        _BATCHES.labels(report.account).observe(seconds)
        _LOST.labels(
            report.account
        )  # 0 until one is lost: Prometheus sees no growth in what was not there

    def lost(self, report: Report) -> None:
        """Count it."""
        _LOST.labels(report.account).inc()


class Sweeps(Collector):
    """How often and how long the worker's main process swept.

    Numbers of its own: a lock of prometheus_client's that this thread holds while the pool forks a child
    would be held in the child for ever.
    """

    def __init__(self) -> None:
        self.number, self.seconds = 0, 0.0

    def note(self, seconds: float) -> None:
        """A sweep took so long."""
        self.number += 1
        self.seconds += seconds

    def collect(self) -> Iterator[Metric]:
        """The one metric."""
        words = "Sweeps of this worker, and the seconds that they took."
        yield SummaryMetricFamily("mailer_sweep_seconds", words, self.number, self.seconds)


class MetricsServer:
    """Serves the figures of all of the worker's processes at ``/metrics`` of *address*."""

    def __init__(self, address: tuple[str, int], sweeps: Sweeps) -> None:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library's
        registry.register(sweeps)
        host, port = address
        self._server: WSGIServer | None = start_http_server(port, host, registry)[0]

    def leave_to_parent(self) -> None:
        """In a child: the socket is its parent's, and must not stay open when that one ends."""
        if self._server is not None:
            self._server.socket.close()
            self._server = None

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def check(address: tuple[str, int]) -> None:
    """Raise `ConfigError` where nothing can be served at *address*."""
    host, port = address
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(where)
    except OSError as exc:
        why = exc.strerror or type(exc).__name__
        hint = (
            "; each worker of a host needs a port of its own"
            if exc.errno == errno.EADDRINUSE
            else ""
        )
        raise ConfigError(f"metrics.listen: {host}:{port}: {why}{hint}") from exc


def _code(reply: Reply | None) -> str:
    """The code; of one that nobody knows its class alone, or a server could make hundreds of labels."""
    if reply is None:
        return NO_REPLY
    return str(reply.code) if reply.code in KNOWN_CODES else f"{reply.code // 100}xx"
