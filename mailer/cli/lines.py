"""How a complaint is written: broken between words, the commands that it names ready to be pasted."""

import re
import shutil
import sys
import textwrap
from typing import Final

import click

from mailer.cli.group import NAMES
from mailer.cli.session import Session

_NARROWEST: Final = 20
"""Columns below which words are too often longer than a line: the terminal breaks as it likes."""

# `run` and `init` make the place that these options name; sentences only speak of them.
_NAMED: Final = re.compile(
    rf"(?<![\w./-])mailer (?=(?:{'|'.join(sorted(NAMES - {'run', 'init'}))})\b)"
)


def broken(text: str) -> str:
    """*text* as standard error shows it: at a terminal in lines between words, else one line as it is."""
    if not sys.stderr.isatty():
        return text
    width = shutil.get_terminal_size().columns
    if width < _NARROWEST or len(text) <= width:
        return text
    return textwrap.fill(
        text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
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
