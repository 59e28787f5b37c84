"""A composer whose template runs in the process behind the fence; it is used as any other."""

import weakref
from itertools import count
from queue import Empty, SimpleQueue
from typing import Final

from mailer.compose.composer import Composer
from mailer.compose.design import Design
from mailer.compose.fenced.fence import FENCE, EndedError, RestartedError
from mailer.compose.fenced.inside import Facts
from mailer.compose.headers import Headers
from mailer.errors import TemplateError
from mailer.mail.message import Message
from mailer.mail.recipients import Recipient

_MOST_DEATHS: Final = 3
"""Rows for which the process may end; then the template is run for no other row."""

_numbers: Final = count()
_gone: Final[SimpleQueue[int]] = SimpleQueue()


def composer_of(design: Design, like: Composer | None = None) -> Composer:
    """What composes the messages of *design*: a `Fenced` composer if its template is not trusted."""
    return Composer(design, like) if design.trusted else Fenced(design, like)


class Fenced(Composer):
    """Composes as `Composer` does; the template is read, compiled and run in another process.

    *number* identifies it in that process; *generation* is the process that it was loaded in last.
    """

    def __init__(self, design: Design, like: Composer | None = None) -> None:
        self.design = design
        self.headers = Headers(design)
        self._like = like if isinstance(like, Fenced) else None
        self.number = next(_numbers)
        self.generation = 0
        self._deaths = 0
        facts = self.load()
        self.digest, self.shared = facts.digest, facts.shared
        self.files, self.has_text = facts.files, facts.has_text
        weakref.finalize(self, _gone.put, self.number)

    def _compose(self, recipient: Recipient) -> Message:
        message = self._ask("compose", recipient)
        assert isinstance(message, Message)
        return message

    def _check(self, recipient: Recipient) -> None:
        self._ask("check", recipient)

    def _ask(self, what: str, recipient: Recipient) -> object:
        if self._deaths >= _MOST_DEATHS:
            raise TemplateError(
                f"the template took more than it may for {_MOST_DEATHS} rows, and is run for no other"
            )
        while True:
            try:
                return FENCE.ask(self.generation, what, self.number, recipient)
            except RestartedError:  # a row before, or another template, ended the last process
                self.load()
            except EndedError:
                self._deaths += 1
                raise

    def load(self) -> Facts:
        """Have the template compiled in the second process; a new one is started if need be."""
        generation, like = FENCE.start(), None
        if self._like is not None:
            if self._like.generation != generation:
                self._like.load()
            generation, like = self._like.generation, self._like.number
        try:
            FENCE.ask(generation, "drop", _all_gone())
            facts = FENCE.ask(generation, "load", self.number, self.design, like)
        except RestartedError:
            return self.load()
        assert isinstance(facts, Facts)
        self.generation = generation
        return facts


def _all_gone() -> tuple[int, ...]:
    found = []
    while True:
        try:
            found.append(_gone.get_nowait())
        except Empty:
            return tuple(found)
