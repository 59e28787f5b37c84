"""Submission of mail to a server: pooled, pipelined, multiplexed, and never out of step.

This package knows the protocol and nothing else: no campaigns, no queue, no database. The caller
passes submissions to a `Driver` and gets exactly one `Result` for each; a `Journal` is told of each
message before it is sent, a `Gate` is asked before each login.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mailer.smtp.interfaces import Gate, Journal, Proceed
from mailer.smtp.reply import Reply, ReplyParser, Stage
from mailer.smtp.rules import Action, Judgement, Rule, judge
from mailer.smtp.settings import Dsn, Security, Server, Timeouts
from mailer.smtp.submission import Fate, Result, Submission

if TYPE_CHECKING:
    from mailer.smtp.check import AccountCheck, try_account
    from mailer.smtp.driver import Driver
    from mailer.smtp.wire import Skeleton

__all__ = [  # noqa: RUF022  # a table of contents
    # Sending
    "Driver",
    "Gate",
    "Journal",
    "Proceed",
    "AccountCheck",
    "try_account",
    # What goes in
    "Dsn",
    "Security",
    "Server",
    "Skeleton",
    "Submission",
    "Timeouts",
    # What comes out
    "Fate",
    "Result",
    # What servers say, and what follows from it
    "Action",
    "Judgement",
    "Reply",
    "ReplyParser",
    "Rule",
    "Stage",
    "judge",
]

# Imported on first use: whoever judges replies, or only says what an account is, opens no sockets.
_HOMES = {
    "Driver": "mailer.smtp.driver",
    "Skeleton": "mailer.smtp.wire",
    "AccountCheck": "mailer.smtp.check",
    "try_account": "mailer.smtp.check",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mailer.smtp' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
