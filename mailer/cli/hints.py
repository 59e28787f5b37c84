"""Commands that a sentence names, as they are to be typed next: with this command's global options."""

import re
from typing import Final

import click

from mailer.cli.group import NAMES
from mailer.cli.session import Session

# `run` and `init` make the place that these options name; sentences only speak of them.
_NAMED: Final = re.compile(
    rf"(?<![\w./-])mailer (?=(?:{'|'.join(sorted(NAMES - {'run', 'init'}))})\b)"
)


def pasteable(text: str, session: Session | None = None) -> str:
    """*text*, in which each ``mailer COMMAND`` can be pasted; *session* is the running command's."""
    if session is None:
        context = click.get_current_context(silent=True)
        session = context.find_object(Session) if context else None
    if session is None:
        return text
    words = session.command("")
    return _NAMED.sub(lambda _: words, text)
