"""``/metrics``: the figures in Prometheus's format, by the names that dashboards and alerts use.

No label holds an address or free text: outcomes, reasons and limits are words of ours, accounts those
of the configuration.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mailer.errors import MailerError
from mailer.operate.accounts import BREAKER_STATES
from mailer.operate.figures import Figures, figures

_BY_OUTCOME: Final = ("outcome", "account")
_BY_KIND: Final = ("kind", "account")
_BY_STATE: Final = ("account", "state")
_BY_RESULT: Final = ("account", "result")
_BY_WINDOW: Final = ("account", "window")
_OLDEST: Final = "Age of the oldest task message that no worker has taken."
_LAG: Final = "Age of the oldest event that a consumer has not taken."
_ASIDE: Final = "Deliveries of events that the application did not take."
_MISSED: Final = "Recipients told of in events that left Redis before a consumer had read them."
_FORGOTTEN: Final = "Recipients of whom the history knows what a Redis that was restored does not."
_SWEPT: Final = "When a worker last looked for lost batches."
_RUNNING: Final = "1 where the account may be used, 0 where it is stopped."
_STATE: Final = "1 for the state in which the account's breaker is, 0 for the others."
_USED: Final = "Share of a limit that is used now."


async def metrics(request: Request) -> Response:
    """Answer with the figures of now. 503 where Redis cannot be asked: such a scrape counts as failed."""
    settings = request.app.state.settings
    try:
        found = await run_in_threadpool(figures, settings)
    except MailerError:
        return Response("the figures cannot be had: see /readyz\n", 503)
    return Response(exposition(found), media_type=CONTENT_TYPE_LATEST)


def exposition(found: Figures) -> bytes:
    """Write *found* as Prometheus reads it."""
    registry = CollectorRegistry()
    registry.register(_Collector(found))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, found: Figures) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """Every metric, each with its samples."""
        found = self._found
        messages = CounterMetricFamily(
            "mailer_messages",
            "Recipients by outcome, as the ledger counts them.",
            labels=_BY_OUTCOME,
        )
        for labels, number in found.messages.items():
            messages.add_metric(labels, number)
        yield messages
        came_back = CounterMetricFamily(
            "mailer_feedback", "Recipients of whom something came back.", labels=_BY_KIND
        )
        for labels, number in found.came_back.items():
            came_back.add_metric(labels, number)
        yield came_back
        for name, words, label, values in (
            ("recipients", "Recipients by where they stand.", "state", found.recipients),
            ("dead_letters", "Messages in the dead letters.", "reason", found.dead_letters),
            ("oldest_queued_seconds", _OLDEST, "queue", found.oldest_queued),
            ("queued_batches", "Batches that wait for a worker.", "queue", found.queue_lengths),
            ("connections", "Open SMTP connections.", "account", found.connections),
            ("events_lag_seconds", _LAG, "consumer", found.lags),
            ("events_set_aside", _ASIDE, "consumer", found.set_aside),
            ("events_missed", _MISSED, "consumer", found.missed),
        ):
            yield _gauge(f"mailer_{name}", words, label, values)
        yield from self._accounts()
        yield GaugeMetricFamily("mailer_ledger_forgotten", _FORGOTTEN, found.forgotten)
        yield GaugeMetricFamily("mailer_last_sweep_timestamp_seconds", _SWEPT, found.swept)

    def _accounts(self) -> Iterator[Metric]:
        running = GaugeMetricFamily("mailer_account_running", _RUNNING, labels=("account",))
        states = GaugeMetricFamily("mailer_account_state", _STATE, labels=_BY_STATE)
        logins = CounterMetricFamily("mailer_logins", "Logins by result.", labels=_BY_RESULT)
        used = GaugeMetricFamily("mailer_limit_used_ratio", _USED, labels=_BY_WINDOW)
        for one in self._found.accounts:
            running.add_metric((one.name,), float(one.running))
            for state in BREAKER_STATES:
                states.add_metric((one.name, state), float(one.state.state == state))
            logins.add_metric((one.name, "ok"), one.state.logins_ok)
            logins.add_metric((one.name, "failed"), one.state.logins_failed)
            for use in one.usage:
                if use.allowed:
                    used.add_metric((one.name, use.limit), use.used / use.allowed)
        yield from (running, states, logins, used)


def _gauge(name: str, words: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family
