"""Taking somebody off the list who presses the link in a mail of ours, and putting them back.

The token in the link says who and out of which campaign; nobody can make one. What is pressed is in Redis
when this returns: the next message, also of a campaign that is being sent, is not sent any more.
"""

from collections.abc import Sequence
from contextlib import suppress

from mailer.compose.unsubscribe import TokenSigner, Unsubscribed
from mailer.config import Settings
from mailer.errors import InputError
from mailer.feedback.leaving import KIND, Leaving
from mailer.mail.barring.scopes import ALL, BULK
from mailer.mail.recipients import fingerprint
from mailer.queues.connections import Producer
from mailer.store.feedback.records import Feedback
from mailer.store.suppression import Suppression


class Unsubscribing:
    """Reads tokens under every key of *settings*, and keeps the suppression list by them."""

    def __init__(self, settings: Settings) -> None:
        self._signers = [TokenSigner(key) for key in settings.reading_keys()]
        self._names = settings.unsubscribe.lists if settings.unsubscribe else {}
        producer = Producer(settings)
        self._campaigns = producer.campaigns
        self._leaving = Leaving(producer.campaigns, Feedback(producer.client))
        self._suppression = Suppression(producer.client)

    def read(self, token: str) -> Unsubscribed | None:
        """Who *token* is about; None where it is not one of ours."""
        for signer in self._signers:
            with suppress(InputError):
                return signer.read(token)
        return None

    def sender(self, who: Unsubscribed) -> str:
        """The sender of the campaign; empty for one that Redis has forgotten."""
        return self._campaigns.sender(who.campaign)

    def list_name(self, who: Unsubscribed) -> str:
        """The name of the list that it is about, or its List-ID; empty where there is none."""
        scope = self._leaving.scope(who)
        return "" if scope == BULK else self._names.get(scope, scope)

    def is_off(self, who: Unsubscribed) -> bool:
        """Whether nothing of the kind is sent to them."""
        return self._suppression.among([fingerprint(who.mailbox)], self._leaving.scope(who))[0]

    def take_off(self, who: Unsubscribed, source: str, *, of_all: bool = False) -> None:
        """Send them nothing more of the list, or *of_all* lists; repeated, it changes nothing.

        Where the campaign has no List-ID, it is all lists. What is no bulk mail still goes to them.
        """
        self._leaving.leave(who, source, BULK if of_all else self._leaving.scope(who))

    def take_off_all(self, several: Sequence[Unsubscribed], source: str) -> None:
        """Send each nothing more of the list that their mail was of: one round trip for all."""
        self._leaving.leave_all(several, source)

    def put_back(self, who: Unsubscribed, source: str) -> None:
        """Undo it: only what they asked for themselves, never a bounce or a complaint."""
        told = self._leaving.told_back(who, source)
        # All that stands in the way of this list: an older version's entries are for all mail.
        for scope in {self._leaving.scope(who), BULK, ALL}:
            # Told with the first that is taken away: with every one it is the same event.
            self._suppression.remove([fingerprint(who.mailbox)], scope, KIND, told)
