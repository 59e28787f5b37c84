"""What happened, between the ledger that tells it and the consumers that read it."""

from mailer.store.events.aside import Aside, SetAside
from mailer.store.events.missed import Gaps, Missed
from mailer.store.events.rewound import Rewinds, Rewound
from mailer.store.events.stream import HISTORY, LEASE, Backlog, EventStream, Reading

__all__ = [
    "HISTORY",
    "LEASE",
    "Aside",
    "Backlog",
    "EventStream",
    "Gaps",
    "Missed",
    "Reading",
    "Rewinds",
    "Rewound",
    "SetAside",
]
