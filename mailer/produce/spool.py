"""How rows that can be read only once are read twice: the second time from a file."""

import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mailer.mail.recipients import BrokenRow

Row = Mapping[str, object] | BrokenRow


@contextmanager
def read_twice(rows: Iterable[Row]) -> Iterator[tuple[Iterable[Row], Callable[[], Iterable[Row]]]]:
    """Yield *rows*, and a call that returns them again; an iterator's rows are spooled to a file."""
    if iter(rows) is not rows:
        yield rows, lambda: rows
        return
    with tempfile.TemporaryFile() as spool:
        yield _spooling(rows, spool), lambda: _spooled(spool)


def _spooling(rows: Iterable[Row], spool: Any) -> Iterator[Row]:
    for row in rows:
        pickle.dump(row, spool, pickle.HIGHEST_PROTOCOL)
        yield row


def _spooled(spool: Any) -> Iterator[Row]:
    """The rows again. The file has no name, so that nobody else can have written into it."""
    spool.seek(0)
    while True:
        try:
            yield pickle.load(spool)  # noqa: S301 - this process wrote it
        except EOFError:
            return
