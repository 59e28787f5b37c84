"""Whoever leaves a list, by a link, a button or a mail: written down, and mailed no more."""

from collections.abc import Sequence
from functools import partial
from time import monotonic, time
from typing import Final

from mailer.compose.unsubscribe import Unsubscribed
from mailer.errors import PayloadError
from mailer.mail.barring.dropping import AT_ONCE
from mailer.mail.barring.scopes import ALL, BULK
from mailer.mail.event import BACK_AGAIN, Event, Told, encode_came_back
from mailer.mail.recipients import fingerprint
from mailer.store.campaigns import Campaigns
from mailer.store.feedback.records import Brake, Feedback, Note, Noted, Returned

KIND: Final = "unsubscribe"
KEPT: Final = 10.0
"""Seconds for which the list of a campaign is kept: asking for it costs as much as writing down."""

_MOST_KEPT: Final = 1000
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
        self._scopes: dict[str, tuple[float, str]] = {}

    def scope(self, who: Unsubscribed) -> str:
        """Which mail *who* wants no more of."""
        if who.list_id:
            return who.list_id
        until, known = self._scopes.get(who.campaign, (0.0, ""))
        if monotonic() < until:
            return known
        if len(self._scopes) >= _MOST_KEPT:
            self._scopes.clear()
        found = leaving(self._campaigns, who.campaign)
        self._scopes[who.campaign] = monotonic() + KEPT, found
        return found

    def leave(self, who: Unsubscribed, source: str, scope: str) -> Noted:
        """Send *who* nothing more of *scope*; repeated, it changes nothing."""
        (noted,) = self._left([self._note(who, source, scope)])
        return noted

    def leave_all(self, several: Sequence[Unsubscribed], source: str) -> None:
        """Send each nothing more of the list that their mail was of: one round trip for all."""
        self._left([self._note(who, source, self.scope(who)) for who in several])

    def _left(self, notes: Sequence[Note]) -> list[Noted]:
        found = self._feedback.note_all(notes)
        for place, note in enumerate(notes):
            if not (found[place].answer == "new" and found[place].dropped):
                # A campaign that was forgotten, or who came back and leaves again: the list decides.
                found[place] = self._feedback.note(note.without_campaign())
        return found

    def _note(self, who: Unsubscribed, source: str, scope: str) -> Note:
        key = fingerprint(who.mailbox)
        one = Returned(
            kind=KIND, recipient=who.mailbox, at=time(), reason=KIND, source=source, proof=KIND
        )
        told = partial(self._feedback.told, who.campaign, key, one)
        return Note(who.campaign, key, one, AT_ONCE, _NO_BRAKE, told, scope)

    def told_back(self, who: Unsubscribed, source: str) -> Told:
        """What those who follow events are told when *who* takes that back."""
        key = fingerprint(who.mailbox)
        return encode_came_back(
            Event(
                who.campaign,
                self._feedback.place(who.campaign, key),
                BACK_AGAIN,
                time(),
                mailbox=who.mailbox,
                stage=source,
                key=key,
            )
        )
