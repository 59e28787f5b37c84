"""How the receipt of an `enqueue` is shown."""

import json
from itertools import islice

from mailer.cli.output import as_json, on_terminal, say
from mailer.errors import InputError
from mailer.mail.counts import count
from mailer.produce.receipt import Receipt

_WORDS = (
    ("already_queued", "queued by an earlier run"),
    ("duplicate", "named in an earlier row"),
    ("skipped", "skipped for another campaign"),
    ("suppressed", "on the suppression list"),
    ("invalid", "invalid"),
)
_SHOWN = 10


def show(receipt: Receipt, *, json_: bool, verb: str = "queued") -> None:
    """Print what was queued, and each row that was not with its reason.

    On a terminal the first rows only; `--json` prints the counts and all complaints.
    """
    if json_:
        complaints = [
            {"row": one.row, "kind": one.kind, "reason": one.reason} for one in receipt.complaints
        ]
        notes = [{"row": row, "note": note} for row, note in receipt.notes.items()]
        as_json({**receipt.as_json(), "complaints": complaints, "notes": notes})
        return
    left_out = [(getattr(receipt, kind), words) for kind, words in _WORDS]
    counts = ", ".join(f"{count(number)} {words}" for number, words in left_out if number)
    say(
        f"{receipt.campaign}: {count(receipt.queued)} {verb}"
        + (f"; not: {counts}" if counts else "")
        + ("" if receipt.rows else ": the list has no rows")
    )
    told = (one for one in receipt.complaints if one.kind != "already_queued")
    for one in islice(told, _SHOWN if on_terminal() else None):
        say(f"  row {one.row}: {_reason(one.kind, one.reason)}")
    if next(told, None):
        say("  … (all of them: --json, or in a pipe)")
    for row, note in islice(receipt.notes.items(), _SHOWN if on_terminal() else None):
        say(f"  row {row}: {note}")


def verdict(receipt: Receipt) -> None:
    """Raise `InputError` for a list of which nobody gets anything, because nothing in it is right."""
    if receipt.invalid and not receipt.queued and not receipt.already_queued:
        raise InputError(f"{receipt.campaign}: no row of the list can be queued")


def _reason(kind: str, reason: str) -> str:
    return reason if kind != "invalid" else f"invalid: {reason}"


def line(receipt: Receipt) -> str:
    """The counts as one line of JSON."""
    return json.dumps(receipt.as_json())
