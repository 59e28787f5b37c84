"""What a worker writes into its log: a line for each batch, and at DEBUG a line for each message.

The lines go where Celery's go; the host keeps and rotates them. Recipients' addresses, and what servers
say about them, are in the lines at DEBUG only.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from time import time
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor

from mailer.config import Settings
from mailer.config.telemetry import Log
from mailer.deliver.batch import Batch
from mailer.deliver.observer import Heard, Observer
from mailer.deliver.recorder import Report
from mailer.mail.foreign import one_line
from mailer.mail.said import without_addresses
from mailer.mail.status import Status

log = logging.getLogger("mailer.batches")
message_log = logging.getLogger("mailer.messages")

FIELDS: Final = (
    "campaign",
    "batch",
    "account",
    "seconds",
    "failure",
    *(status.word for status in Status),
    "message_id",
    "to",
    "relay",
    "delay",
    "dsn",
    "status",
    "reply",
)
"""The fields of a line besides its text, in the formats that have fields."""

_LONGEST: Final = 10_000  # characters of a line's text: a traceback is long


def use_format(logger: logging.Logger, chosen: Log) -> None:
    """Have the handlers of *logger* write as *chosen*; ``text`` leaves them as Celery made them."""
    if chosen.format == "text":
        return
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _renderer(chosen.format),
        ],
        foreign_pre_chain=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(allow=FIELDS),
            structlog.processors.CallsiteParameterAdder(
                {structlog.processors.CallsiteParameter.PROCESS}
            ),
            structlog.processors.format_exc_info,
            _cleaned,
        ],
    )
    for handler in logger.handlers:
        handler.setFormatter(formatter)


def _renderer(name: str) -> Processor:
    if name == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.processors.LogfmtRenderer(
        key_order=["time", "level", "logger", "process", "event"], drop_missing=True
    )


def _cleaned(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """Escape what a terminal would obey, and lone surrogates, which some JSON parsers refuse."""
    return {
        key: one_line(value, _LONGEST) if isinstance(value, str) else value
        for key, value in line.items()
    }


@dataclass(frozen=True, slots=True)
class Logs(Observer):
    """Logs what is delivered with *settings*."""

    settings: Settings

    def ended(self, report: Report, seconds: float) -> None:
        """One line at INFO: campaign, batch, account, counts, seconds."""
        campaign, _, number = report.ref.rpartition(":")
        why = without_addresses(report.said.reply) if report.failure else ""
        log.info(
            "batch %s of %s through %s: %s in %.2f s%s",
            number,
            campaign,
            report.account,
            str(report) or "nothing to do",
            seconds,
            f"; {report.failure}: {why}" if report.failure else "",
            extra={
                "campaign": campaign,
                "batch": int(number),
                "account": report.account,
                "seconds": round(seconds, 3),
                **report.counts,
                **({"failure": report.failure, "reply": why} if report.failure else {}),
            },
        )

    def heard(self, batch: Batch, messages: Sequence[Heard]) -> None:
        """One line at DEBUG for each message, with the fields of a mail server's log."""
        if not message_log.isEnabledFor(logging.DEBUG):
            return
        relay, now = self._relay(batch.claim.account), time()
        for one in messages:
            fields = self._fields(batch, one, relay, now)
            words = ", ".join(f"{key}={one_line(str(value))}" for key, value in fields.items())
            message_log.debug("%s", words, extra=fields)

    def _relay(self, account: str) -> str:
        server = self.settings.account(account)
        return f"{server.host}:{server.port}"

    @staticmethod
    def _fields(batch: Batch, one: Heard, relay: str, now: float) -> dict[str, object]:
        message, reply = batch.entries[one.offset].message, one.result.reply
        made = batch.claim.made
        return {
            "campaign": batch.claim.campaign,
            "message_id": message.message_id,
            "to": message.forward_path,
            "relay": relay,
            "account": batch.claim.account,
            **({"delay": round(now - made, 3)} if made else {}),
            "dsn": (reply.enhanced if reply else None) or "",
            "status": one.outcome.status.word,
            "reply": f"{reply.code} {reply.text}" if reply else one.result.rule,
        }
