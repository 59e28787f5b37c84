"""What is wrong with the rows of a list, in a text that can be read.

A fault of the template or the campaign is found in every row: it is told once, with the number of rows
that have it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mailer.errors import CampaignChangedError

_SHOWN: Final = 10
_ROW: Final = re.compile(r" \(row (\d+)\)\Z")


@dataclass(slots=True)
class Faults:
    """Faults, counted by their text; of a list of millions only the first ten texts are kept."""

    total: int = 0
    _first: dict[str, tuple[str, int]] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Note a fault; *text* ends in the number of its row, in parentheses."""
        self.total += 1
        what = _ROW.sub("", text)
        if what in self._first:
            said, count = self._first[what]
            self._first[what] = (said, count + 1)
        elif len(self._first) < _SHOWN:
            self._first[what] = (text, 1)

    def __bool__(self) -> bool:
        return self.total > 0

    def told(self, end: str) -> str:
        """Return a line for each fault, in the order of the rows, and *end* in parentheses."""
        lines = [
            text if count == 1 else f"{text}, and in {count - 1:,} more"
            for text, count in sorted(self._first.values(), key=_row)
        ]
        rest = self.total - sum(count for _, count in self._first.values())
        if rest:
            lines.append(f"and {rest:,} more")
        return "\n".join(lines) + f" ({end})"


def _row(first: tuple[str, int]) -> int:
    named = _ROW.search(first[0])
    return int(named[1]) if named else 0


def rows_differ(campaign: str, changed: Sequence[int], end: str) -> CampaignChangedError:
    """The error that names the *changed* rows: they differ from those queued for the same recipients."""
    named = ", ".join(f"row {row}" for row in changed[:_SHOWN])
    more = len(changed) - _SHOWN
    rest = f", and {more} more" if more > 0 else ""
    return CampaignChangedError(
        f"campaign {campaign!r}: rows differ from what was queued for the same "
        f"recipients: {named}{rest} ({end}); give it another name, or accept the change for "
        "recipients not yet queued (accept_changes, --accept-changes)"
    )
