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
