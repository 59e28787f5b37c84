"""Bars while something is under way: on a terminal only, so that pipes and logs stay clean."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

Columns = tuple[SpinnerColumn, TextColumn, BarColumn, MofNCompleteColumn, TimeRemainingColumn]


class ListBar:
    """One bar in *progress* for a list: how many rows are checked, and then how many are queued."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._checked = 0
        self._queued = 0
        self.bar = progress.add_task("reading", total=None)

    def checked(self, number: int) -> None:
        """So many more rows are checked."""
        self._checked += number
        self._progress.update(self.bar, description="checking", completed=self._checked)

    def queued(self, number: int) -> None:
        """So many more rows are queued, or left out: of as many as were checked, if any were."""
        if not self._queued:
            self._progress.reset(self.bar, description="queueing", total=self._checked or None)
        self._queued += number
        self._progress.update(self.bar, completed=self._queued)


@contextmanager
def bars() -> Iterator[Progress]:
    """A display of bars on standard error; invisible where that is no terminal."""
    columns: Columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    visible = sys.stderr.isatty()
    with Progress(
        *columns, console=Console(stderr=True), disable=not visible, transient=True
    ) as progress:
        yield progress
