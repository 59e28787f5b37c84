"""How workers fetch what comes back: one worker at a time, in a thread of its main process."""

import logging
import threading
from typing import TYPE_CHECKING, Final

from mailer.config import Settings
from mailer.store.connection import Client, take_turn

if TYPE_CHECKING:
    from mailer.feedback.polling import Polling
    from mailer.feedback.returns import Tally

log = logging.getLogger(__name__)

DUTY: Final = "feedback"


class MailboxReader(threading.Thread):
    """Fetches every ``feedback.poll_every`` seconds until `stop`; the cluster's workers take turns.

    A turn lasts for that time. If fetching takes longer, another worker may begin beside it. That does no
    harm: what came back is written down once.
    """

    def __init__(self, settings: Settings, client: Client, polling: "Polling") -> None:
        super().__init__(name="mailer-mailboxes", daemon=True)
        self._every = settings.feedback.poll_every
        self._client = client
        self._polling = polling
        self._ended = threading.Event()

    def run(self) -> None:
        """Fetch until `stop`."""
        self._polling.follow(self._every, self._ended, self._is_mine, self._heard)

    def stop(self) -> None:
        """Ask the thread to end."""
        self._ended.set()

    def _is_mine(self) -> bool:
        return take_turn(self._client, DUTY, self._every)

    @staticmethod
    def _heard(tally: "Tally") -> None:
        kinds = ", ".join(f"{number} {kind}" for kind, number in tally.kinds.most_common())
        log.info(
            "came back: %s (messages: %d, about ours: %d, new: %d)",
            kinds,
            tally.messages,
            tally.matched,
            tally.new,
        )
        for campaign, why in tally.paused.items():
            log.warning("campaign %s paused itself: %s", campaign, why)


def polling(settings: Settings) -> "Polling | None":
    """What workers fetch with; None where no mailbox is configured, or ``workers_poll`` is off.

    Raises `ConfigError` for a mailbox that cannot be used.
    """
    configured = settings.feedback
    if not configured.workers_poll or not (
        configured.imap or configured.pop3 or configured.maildir
    ):
        return None
    # Imported only here: the rules of what bounces mean take a while to load.
    from mailer.feedback.polling import Polling  # noqa: PLC0415

    return Polling(settings)
