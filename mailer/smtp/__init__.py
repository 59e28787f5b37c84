"""Submission of mail to a server: pooled, pipelined, multiplexed, and never out of step.

This package knows the protocol and nothing else: no campaigns, no queue, no database. The caller
passes submissions to a `Driver` and gets exactly one `Result` for each; a `Journal` hears of each
message before it is sent, a `Gate` is asked before each login.
"""

from mailer.smtp.driver import Driver, Gate, Journal
from mailer.smtp.reply import Reply, ReplyParser, Stage
from mailer.smtp.rules import Action, Judgement, Rule, judge
from mailer.smtp.settings import Dsn, Security, Server, Timeouts
from mailer.smtp.submission import Fate, Result, Submission

__all__ = [
    # Sending
    "Driver",
    "Gate",
    "Journal",
    # What goes in
    "Dsn",
    "Security",
    "Server",
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
