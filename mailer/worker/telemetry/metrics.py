"""A worker's own figures for Prometheus: what servers replied, how long messages took, what was lost.

`mailer web` serves what the whole cluster shares (outcomes, queues, accounts), out of Redis. Here are the
figures that only the processes that talk to servers know. Import this only after a `CountsFolder` was
made: prometheus_client looks for it when it is imported.
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
"""Codes of RFCs, and those that servers are known to make up. Each of these is a label."""

NO_REPLY: Final = "none"
"""The label of a stage where no reply was read: the connection broke, or the time was over."""

# Upper bounds of the histograms' buckets, in seconds.
_WAITS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_SPANS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)

# Celery's command line imports Flower where that is installed, and with it prometheus_client, before a
# worker has made a `CountsFolder`. Then the library has chosen to count in memory: choose files instead.
values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call] # the library's

# Not registered: each process writes to its files, and the main process reads all files.
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
        """Count the reply by which a session could not be opened."""
        _REPLIES.labels(stage.value, _code(reply), account).inc()

    def heard(self, batch: Batch, messages: Sequence[Heard]) -> None:
        """Count replies, and how long single messages took."""
        account, now, single = batch.claim.account, time(), batch.claim.queue == PRIORITY
        tally: Tally[tuple[str, str]] = Tally()
        for one in messages:
            result = one.result
            # A message that was not sent has the reply of its session's opening: `refused` counts that,
            # once.
            if result.fate is not Fate.UNSENT and result.stage is not None:
                tally[result.stage.value, _code(result.reply)] += 1
            if single and batch.claim.made and one.outcome.status is Status.ACCEPTED:
                _SEND_TO_ACCEPTED.observe(now - batch.claim.made)
        for (stage, code), number in tally.items():
            _REPLIES.labels(stage, code, account).inc(number)

    def ended(self, report: Report, seconds: float) -> None:
        """Count how long it took."""
        _BATCHES.labels(report.account).observe(seconds)
        # Shown as 0 before one is lost: Prometheus sees no increase where there was no value before.
        _LOST.labels(report.account)

    def lost(self, report: Report) -> None:
        """Count a batch that another worker has taken."""
        _LOST.labels(report.account).inc()


class Sweeps(Collector):
    """How often and how long the worker's main process swept.

    It counts without prometheus_client: that would take a lock, and if the pool forked a child meanwhile,
    the lock would be held in the child for ever.
    """

    def __init__(self) -> None:
        self.number, self.seconds = 0, 0.0

    def note(self, seconds: float) -> None:
        """Count a sweep that took so many seconds."""
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
        """In a child: close the parent's socket, or the port stays in use when the parent has ended."""
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
    """The label of a reply's code: an unknown one is its class (``4xx``), as each label costs memory."""
    if reply is None:
        return NO_REPLY
    return str(reply.code) if reply.code in KNOWN_CODES else f"{reply.code // 100}xx"
