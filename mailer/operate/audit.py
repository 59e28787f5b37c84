"""Who did what in the console: written down, logged, shown."""

import logging
from collections.abc import Sequence

from mailer.config import Settings
from mailer.mail.foreign import one_line
from mailer.mail.said import without_addresses
from mailer.queues.connections import Producer
from mailer.store.views.audit import Deed, form_key

__all__ = ["Deed", "key_of_forms", "newest", "note"]

log = logging.getLogger("mailer.audit")


def note(settings: Settings, deed: Deed) -> None:
    """Write *deed* down in Redis, and in the log ``mailer.audit``, there without addresses."""
    words = (deed.who, deed.what, deed.about, deed.result)
    who, what, about, result = (one_line(word, 300) for word in words)
    level = logging.INFO if deed.ok else logging.WARNING
    log.log(level, "%s: %s %s: %s", who, what, *map(without_addresses, (about, result)))
    Producer(settings).store.audit.note(Deed(who, what, about, result, deed.ok))


def newest(settings: Settings, number: int, before: str = "") -> Sequence[Deed]:
    """The newest deeds, at most *number*; with *before*, those before that place."""
    return list(Producer(settings).store.audit.newest(number, before))


def key_of_forms(settings: Settings) -> bytes:
    """What all processes that serve the console sign its forms with."""
    return form_key(Producer(settings).client)
