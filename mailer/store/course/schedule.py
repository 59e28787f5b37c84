"""When a campaign begins: its start is moved, and what already waits moves with it.

The start stands with the campaign and holds for every batch: what is enqueued later waits for it, too,
and `claim.lua` gives no batch away before. So a move that was interrupted harms no batch: the start in
the campaign counts.
"""

from collections.abc import Iterator
from typing import Final

from mailer.errors import CampaignChangedError, CampaignNotFoundError, InputError
from mailer.store.connection import Client, load

STEP: Final = 200
"""Batches that one script call moves at most."""


class Schedule:
    """The scripts of moving a campaign's start as a method."""

    def __init__(self, client: Client) -> None:
        self._schedule = load(client, "schedule")
        self._reschedule = load(client, "reschedule")

    def move(self, name: str, now: float, start: float) -> Iterator[tuple[str, str]]:
        """Let the campaign begin at *start*; yields queue and ref of each batch to publish now.

        Raises `CampaignNotFoundError`; `CampaignChangedError` for a cancelled one; `InputError` where
        nobody is open any more.
        """
        what, *rest = self._schedule(name, now, start)
        if what == b"gone":
            raise CampaignNotFoundError(f"no campaign {name!r}; `mailer status` lists them")
        if what == b"cancelled":
            raise CampaignChangedError(f"campaign {name!r} was cancelled, and stays so")
        if what == b"final":
            raise InputError(f"campaign {name!r} is over: nobody of it waits to be sent to")
        before, last = rest[0], int(rest[1])
        for first in range(1, last + 1, STEP):
            until = min(first + STEP - 1, last)
            flat = self._reschedule(name, now, start, before, first, until)
            for queue, ref in zip(flat[::2], flat[1::2], strict=True):
                yield queue.decode(), ref.decode()
