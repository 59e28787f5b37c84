"""Whoever leaves a list, by a link, a button or a mail: written down, and mailed no more."""

from functools import partial
from time import time
from typing import Final

from mailer.compose.unsubscribe import Unsubscribed
from mailer.errors import PayloadError
from mailer.mail.barring.dropping import AT_ONCE
from mailer.mail.barring.scopes import ALL, BULK
from mailer.mail.recipients import fingerprint
from mailer.store.campaigns import Campaigns
from mailer.store.feedback.records import Brake, Feedback, Noted, Returned

KIND: Final = "unsubscribe"
_NO_BRAKE: Final = Brake(None, None)


def leaving(campaigns: Campaigns, name: str) -> str:
    """Which mail somebody gets no more: of the campaign's list where Redis knows it, else all bulk."""
    try:
        mail = campaigns.policy(name).mail
    except PayloadError:  # a newer version's
        return BULK
    return mail if mail not in ("", ALL) else BULK


class Leaving:
    """Takes people off lists. What is written down is in Redis when a call returns."""

    def __init__(self, campaigns: Campaigns, feedback: Feedback) -> None:
        self._campaigns = campaigns
        self._feedback = feedback

    def scope(self, who: Unsubscribed) -> str:
        """Which mail *who* wants no more of."""
        return who.list_id or leaving(self._campaigns, who.campaign)

    def leave(self, who: Unsubscribed, source: str, scope: str) -> Noted:
        """Send *who* nothing more of *scope*; repeated, it changes nothing."""
        key = fingerprint(who.mailbox)
        one = Returned(
            kind=KIND, recipient=who.mailbox, at=time(), reason=KIND, source=source, proof=KIND
        )
        told = partial(self._feedback.told, who.campaign, key, one)
        noted = self._feedback.note(who.campaign, key, one, AT_ONCE, _NO_BRAKE, told, scope)
        if noted.answer == "new" and noted.dropped:
            return noted
        # A campaign that was forgotten, or somebody who came back and leaves again: the list decides.
        return self._feedback.note("", key, one, AT_ONCE, _NO_BRAKE, told, scope)
