"""A worker's spans for OpenTelemetry: one for each work on a batch, and in it one for each message.

There is no address in them, and nothing that servers say but the code: traces go to other companies.
"""

from collections.abc import Sequence
from time import time_ns
from typing import Final

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context

from mailer.config import Settings
from mailer.deliver.batch import Batch
from mailer.deliver.observer import Heard, Observer
from mailer.deliver.recorder import Report
from mailer.mail.status import Status
from mailer.queues.traces import flush, links, tracer

_FINE: Final = (Status.ACCEPTED, Status.SUPPRESSED, Status.CANCELLED)


class Spans(Observer):
    """Makes the spans of one process; only one thread works on a batch at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._batches: dict[str, Span] = {}
        self._begun: dict[tuple[str, int], int] = {}

    @property
    def _tracer(self) -> Tracer | None:
        return tracer(self._settings.traces)

    def began(self, batch: Batch) -> None:
        """The span of a batch begins; it links to the one in which the batch was queued."""
        made, claim = self._tracer, batch.claim
        if made is None:
            return
        server = self._settings.account(claim.account)
        self._batches[claim.ref] = made.start_span(
            "mailer.deliver",
            kind=SpanKind.CONSUMER,
            links=links(claim.trace),
            attributes={
                "mailer.campaign": claim.campaign,
                "mailer.batch": claim.ref,
                "mailer.account": claim.account,
                "mailer.queue": claim.queue,
                "server.address": server.host,
                "server.port": server.port,
            },
        )

    def started(self, batch: Batch, offsets: Sequence[int]) -> None:
        """Note when the content of these messages is about to be written."""
        span = self._batches.get(batch.claim.ref)
        if span is not None and span.is_recording():
            now = time_ns()
            for offset in offsets:
                self._begun[batch.claim.ref, offset] = now

    def heard(self, batch: Batch, messages: Sequence[Heard]) -> None:
        """One span for each message that a server has heard of."""
        parent, made, now = self._batches.get(batch.claim.ref), self._tracer, time_ns()
        if parent is None or made is None or not parent.is_recording():
            return
        context = set_span_in_context(parent)
        for one in messages:
            result, word = one.result, one.outcome.status.word
            begun = self._begun.pop((batch.claim.ref, one.offset), now)
            span = made.start_span(
                "mailer.transaction",
                context,
                kind=SpanKind.CLIENT,
                start_time=begun,
                attributes={
                    "mailer.outcome": word,
                    "mailer.message_id": batch.entries[one.offset].message.message_id,
                    "smtp.stage": result.stage.value if result.stage else "",
                    "smtp.reply.code": result.reply.code if result.reply else 0,
                },
            )
            if one.outcome.status not in _FINE:
                span.set_status(StatusCode.ERROR, word)
            span.end(now)

    def ended(self, report: Report, seconds: float) -> None:
        """The span of the batch ends, with what became of its recipients."""
        span = self._batches.pop(report.ref, None)
        for key in [key for key in self._begun if key[0] == report.ref]:
            del self._begun[key]
        if span is None:
            return
        for word, number in report.counts.items():
            span.set_attribute(f"mailer.{word}", number)
        span.set_attribute("mailer.seconds", seconds)
        if report.failure:
            span.set_status(StatusCode.ERROR, report.failure)
        span.end()

    def lost(self, report: Report) -> None:
        """The batch was taken by another worker: its span is an error."""
        span = self._batches.get(report.ref)
        if span is not None:
            span.set_status(StatusCode.ERROR, "the lease was lost")

    def close(self) -> None:
        """The process ends: send what is not sent yet."""
        flush(self._settings.traces)
