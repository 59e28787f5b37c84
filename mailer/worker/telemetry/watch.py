"""The observers of a worker's deliveries, made once by its main process and inherited by its children."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.config import Settings
from mailer.deliver.batch import Batch
from mailer.deliver.observer import Heard, Observer
from mailer.deliver.recorder import Report
from mailer.errors import ConfigError
from mailer.queues.traces import tracer
from mailer.smtp.reply import Reply, Stage
from mailer.worker.telemetry.counts_folder import CountsFolder
from mailer.worker.telemetry.logs import Logs, use_format

if TYPE_CHECKING:
    from mailer.worker.telemetry.metrics import MetricsServer, Sweeps

log = logging.getLogger(__name__)


class Watch(Observer):
    """All observers. If one of them raises, that is logged once; the batch and the others go on.

    Raises `ConfigError` if figures are to be served and cannot be.
    """

    def __init__(self, settings: Settings) -> None:
        self._observers: list[Observer] = [Logs(settings)]
        self._settings = settings
        self._folder: CountsFolder | None = None
        self._sweeps: Sweeps | None = None
        self._server: MetricsServer | None = None
        self._failed: set[str] = set()
        self._ready = settings.worker.ready_file
        if settings.metrics.address:
            self._count(settings.metrics.address)
        # There may be a tracer without an endpoint in mailer.toml: the application may have set one up.
        if tracer(settings.traces) is not None:
            from mailer.worker.telemetry.spans import Spans  # noqa: PLC0415 - an extra

            self._observers.append(Spans(settings))

    def _count(self, address: tuple[str, int]) -> None:
        self._folder = CountsFolder()
        try:
            # Not before the folder is made: prometheus_client looks for it when it is imported.
            from mailer.worker.telemetry import metrics  # noqa: PLC0415
        except ModuleNotFoundError as exc:
            self._folder.remove()
            raise ConfigError(
                f"metrics.listen wants {exc.name}: pip install 'celery-mailer[metrics]'"
            ) from None
        metrics.check(address)
        self._sweeps = metrics.Sweeps()
        self._observers.append(metrics.Metrics())

    # The life of the worker.

    def use_format(self, logger: logging.Logger) -> None:
        """Have *logger*, as Celery set it up, write in the format that is configured."""
        use_format(logger, self._settings.log)

    def serve(self) -> None:
        """Serve the figures, from the main process, once the pool is there."""
        address = self._settings.metrics.address
        if self._sweeps is not None and address:
            from mailer.worker.telemetry.metrics import MetricsServer  # noqa: PLC0415

            self._server = MetricsServer(address, self._sweeps)

    def in_child(self) -> None:
        """A child of the pool begins."""
        if self._server is not None:
            self._server.leave_to_parent()

    def swept(self, seconds: float) -> None:
        """A sweep is over: count it, and touch ``worker.ready_file``, which shows that it works."""
        if self._sweeps is not None:
            self._sweeps.note(seconds)
        if self._ready is not None:
            self._say_ready(self._ready)

    def end(self) -> None:
        """The main process ends."""
        if self._server is not None:
            self._server.close()
        if self._folder is not None:
            self._folder.remove()
        if self._ready is not None:
            self._ready.unlink(missing_ok=True)

    def _say_ready(self, file: Path) -> None:
        try:
            file.touch()
        except OSError as exc:
            if str(file) not in self._failed:
                self._failed.add(str(file))
                log.warning("worker.ready_file: %s: %s", file, exc.strerror)

    # What is passed on to each observer.

    def refused(self, account: str, stage: Stage, reply: Reply | None) -> None:
        """Pass it on."""
        self._each(lambda one: one.refused(account, stage, reply))

    def began(self, batch: Batch) -> None:
        """Pass it on."""
        self._each(lambda one: one.began(batch))

    def started(self, batch: Batch, offsets: Sequence[int]) -> None:
        """Pass it on."""
        self._each(lambda one: one.started(batch, offsets))

    def heard(self, batch: Batch, messages: Sequence[Heard]) -> None:
        """Pass it on."""
        self._each(lambda one: one.heard(batch, messages))

    def ended(self, report: Report, seconds: float) -> None:
        """Pass it on."""
        self._each(lambda one: one.ended(report, seconds))

    def lost(self, report: Report) -> None:
        """Pass it on."""
        self._each(lambda one: one.lost(report))

    def close(self) -> None:
        """Pass it on."""
        self._each(lambda one: one.close())

    def _each(self, tell: Callable[[Observer], None]) -> None:
        for one in self._observers:
            try:
                tell(one)
            except Exception:  # such as a full disk under the counts: mail goes on
                if type(one).__name__ not in self._failed:
                    self._failed.add(type(one).__name__)
                    log.exception("%s cannot look on; mail goes on", type(one).__name__)
