"""What came back, shown in Flower: a finished task for each campaign, whichever way it came in."""

from collections.abc import Callable, Mapping
from typing import Final
from uuid import NAMESPACE_OID, uuid5

from mailer.mail.event import CAME_BACK
from mailer.store.campaigns import Campaigns
from mailer.store.connection import Client, take_turn

EVERY: Final = 60.0
"""Seconds between two looks: with one task for each bounce, Flower's list would hold nothing else."""

DUTY: Final = "flower"
TASK: Final = "mailer.feedback"


class CameBack:
    """Shows the counts of each campaign that changed since this worker's last look.

    *show* is given a task's name, identifier, arguments, keywords and result.
    """

    def __init__(self, show: Callable[[str, str, str, str, str], object], client: Client) -> None:
        self._show = show
        self._client = client
        self._campaigns = Campaigns(client)
        self._shown: dict[str, str] = {}

    def sweep(self, now: float) -> None:
        """Look, if it is this worker's turn. Raises `LedgerUnavailableError`."""
        if not take_turn(self._client, DUTY, EVERY):
            return
        progresses = self._campaigns.progresses(self._campaigns.names(), now)
        found = {one.campaign: _words(one.came_back) for one in progresses}
        for name, words in found.items():
            if words and words != self._shown.get(name):
                # Another worker may show the same. It has the same identifier, and Flower shows one task.
                identifier = str(uuid5(NAMESPACE_OID, f"{name}\n{words}"))
                args, kwargs = f"({name}: what came back)", repr({"campaign": name})
                self._show(TASK, identifier, args, kwargs, words)
        self._shown = found


def _words(counts: Mapping[str, int]) -> str:
    told = [f"{counts[kind]} {CAME_BACK[kind]}" for kind in reversed(CAME_BACK) if kind in counts]
    return ", ".join(told)
