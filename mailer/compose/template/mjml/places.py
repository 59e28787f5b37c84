"""Which file and line each line of MJML came from, once all files are included."""

from collections.abc import Sequence

Place = tuple[str, int]
"""A file's path and a line of it, from 1."""


class Places:
    """Where each line of a text came from."""

    def __init__(self, lines: Sequence[Place]) -> None:
        self._lines = lines

    def of(self, line: int) -> Place:
        """Return where *line*, counted from 1, came from."""
        return self._lines[min(max(line, 1), len(self._lines)) - 1]

    def said(self, line: int) -> str:
        """Return the same in words: ``body.mjml:3``."""
        return "{}:{}".format(*self.of(line))

    @property
    def file(self) -> str:
        """The path of the file that includes the others."""
        return self._lines[0][0]
