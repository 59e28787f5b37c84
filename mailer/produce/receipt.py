"""What `enqueue` did with each row: counts, and every row that was not queued, with its reason."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

KINDS: Final = ("already_queued", "duplicate", "skipped", "suppressed", "invalid")

LEFT_OUT: Final = {
    "n": "skipped",
    "d": "duplicate",
    "k": "already_queued",
    "c": "already_queued",
    "s": "suppressed",
}
"""The kind of a row that is not queued, by the letter that the ledger answered for it."""

_REASONS: Final = {
    "already_queued": "queued by an earlier run",
    "duplicate": "the same recipient stands in an earlier row",
    "skipped": "left out because of what became of it in another campaign",
    "suppressed": "on the suppression list",
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One row that was not queued. *row* is its number, from 1; *kind* is one of `KINDS`."""

    row: int
    kind: str
    reason: str


@dataclass(slots=True)
class Receipt:
    """What became of the rows of one `enqueue`.

    The counts add up to the rows read. Rows that were not queued are kept as numbers (eight octets
    each) and named by `complaints`; only invalid ones keep a reason of their own.
    """

    campaign: str
    queued: int = 0
    _rows: "dict[str, array[int]]" = field(
        default_factory=lambda: {kind: array("Q") for kind in KINDS}, repr=False
    )
    _reasons: dict[int, str] = field(default_factory=dict, repr=False)
    notes: dict[int, str] = field(default_factory=dict, repr=False)
    """Rows that were queued with something changed in them, by number, and what was changed."""

    @property
    def already_queued(self) -> int:
        """Recipients that an earlier run had queued."""
        return len(self._rows["already_queued"])

    @property
    def duplicate(self) -> int:
        """Rows whose recipient stands in an earlier row of the same list."""
        return len(self._rows["duplicate"])

    @property
    def skipped(self) -> int:
        """Recipients who are in `enqueue`'s *skip*, or not in its *only*."""
        return len(self._rows["skipped"])

    @property
    def suppressed(self) -> int:
        """Recipients on the suppression list."""
        return len(self._rows["suppressed"])

    @property
    def invalid(self) -> int:
        """Rows without a usable address, and rows for which the message could not be made."""
        return len(self._rows["invalid"])

    @property
    def rows(self) -> int:
        """All rows read."""
        return self.queued + sum(len(rows) for rows in self._rows.values())

    @property
    def complaints(self) -> Iterator[Complaint]:
        """Every row that was not queued, in the order of the list."""
        numbered = [(row, kind) for kind, rows in self._rows.items() for row in rows]
        for row, kind in sorted(numbered):
            yield Complaint(row, kind, _REASONS.get(kind) or self._reasons[row])

    def leave_out(self, row: int, kind: str, reason: str = "") -> None:
        """Note that *row* was not queued."""
        self._rows[kind].append(row)
        if kind not in _REASONS:
            self._reasons[row] = reason

    def as_json(self) -> dict[str, Any]:
        """The counts as plain values."""
        counts = {kind: getattr(self, kind) for kind in KINDS}
        return {"campaign": self.campaign, "queued": self.queued, **counts}
