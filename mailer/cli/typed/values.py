"""What on a command line can never be right, whatever the world is like: told as wrong usage.

What depends on the world (a file, the configuration, a campaign that is not there) ends with 1; a word
that no world could make right ends with 2.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from mailer.errors import InputError
from mailer.mail.recipients import Rejected, parse


@contextmanager
def given(hint: str | None = None) -> Iterator[None]:
    """Where the block refuses its input, the command line is wrong: the option or argument *hint*."""
    try:
        yield
    except InputError as error:
        if hint is None:
            raise click.UsageError(str(error)) from error
        raise click.BadParameter(str(error), param_hint=hint) from error


def mailbox(text: str, hint: str) -> str:
    """*text*, which is one address; else the argument or option *hint* is wrong."""
    one = parse({"email": text}, 1)
    if isinstance(one, Rejected):
        raise click.BadParameter(f"{text!r} is no address: {one.reason}", param_hint=hint)
    return text
