"""The permits of what is being sent: given back as replies are read, not when the last one is.

A permit counts from the moment it is taken until the window's length after its message has ended. In
windows of seconds, those that wait for the last reply of a batch would cost a good part of the rate.
"""

from collections.abc import Set as AbstractSet
from time import monotonic
from typing import Final

from mailer.store.limits import Grant, Limits

EVERY: Final = 0.02
"""Seconds between two calls: what a message may count longer than it must."""


class Permit:
    """One grant on its way. *offsets* are the batch's messages that were asked for, in that order."""

    def __init__(self, limits: Limits, grant: Grant, offsets: list[int]) -> None:
        self._limits = limits
        self._grant = grant
        self._offsets = offsets
        self._told = monotonic()

    def note(self, sent: AbstractSet[int]) -> None:
        """Replies were read to the messages at the offsets *sent*."""
        if self._grant.brief and monotonic() >= self._told + EVERY:
            self._grant = self._limits.give_back(self._grant, flying=self._without(sent))
            self._told = monotonic()

    def close(self, sent: AbstractSet[int]) -> None:
        """Nothing is in flight any more: what is not among *sent* was not sent."""
        self._limits.give_back(self._grant, unused=self._without(sent))

    def _without(self, sent: AbstractSet[int]) -> list[int]:
        return [index for index in self._grant.granted if self._offsets[index] not in sent]
