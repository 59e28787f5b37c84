"""For the tests of those who send: an outbox without Redis, and the whole way on one machine.

``pip install celery-mailer`` brings a pytest plugin with the fixtures `mailer_outbox` and `mailer_live`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailer.testing.live import Live
    from mailer.testing.messages import Outbox, SentMessage, outbox

__all__ = ["Live", "Outbox", "SentMessage", "outbox"]

# pytest loads the plugin in every project: what it does not use must cost nothing.
_HOMES = {
    "Live": "mailer.testing.live",
    "Outbox": "mailer.testing.messages",
    "SentMessage": "mailer.testing.messages",
    "outbox": "mailer.testing.messages",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'mailer.testing' has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)
