"""Who gets no mail, why, until when, and which mail that is: the suppression list in Python.

    from mailer import suppression

    suppression.add("ada@example.org", reason="asked by phone", scope="bulk")
    for entry in suppression.entries(): …

*scope* is ``all`` mail, ``bulk`` mail (receipts by `mailer.send` still go), or a List-ID. Times of
entries are seconds since the epoch.
"""

from mailer.operate.barring.suppression import (
    Imported,
    Suppressed,
    add,
    entries,
    export,
    find,
    load,
    remove,
)

__all__ = ["Imported", "Suppressed", "add", "entries", "export", "find", "load", "remove"]
