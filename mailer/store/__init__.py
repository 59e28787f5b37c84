"""What Redis knows: the ledger and all that workers and producers share.

`Store` is the way in: one client, and each part of the store made when it is first asked for.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from mailer.store.limit_rules import Rules

if TYPE_CHECKING:
    from mailer.store.alerts import Outbox
    from mailer.store.breaker import Breaker
    from mailer.store.campaigns import Campaigns
    from mailer.store.client import Client
    from mailer.store.dead_letters import DeadLetters
    from mailer.store.dispatch import Dispatch
    from mailer.store.events import EventStream
    from mailer.store.feedback.records import Feedback
    from mailer.store.ledger import Ledger
    from mailer.store.limits import Limits
    from mailer.store.permit_queue import PermitQueue
    from mailer.store.slots import Slots
    from mailer.store.suppression import Suppression
    from mailer.store.views.audit import Audit
    from mailer.store.views.dead_groups import DeadGroups
    from mailer.store.views.ever import Ever
    from mailer.store.views.payloads import Payloads
    from mailer.store.views.refused import Refused
    from mailer.store.waiting import Waiting

__all__ = ["Store"]

# Each part is imported when it is made: a command that looks at campaigns loads nothing of limits.


class Store:
    """All that one Redis holds; *rules* are the limits of accounts and domains, where they matter."""

    def __init__(self, client: Client, rules: Rules | None = None) -> None:
        self.client = client
        self._rules = rules or Rules()

    # Recipients and batches.

    @cached_property
    def campaigns(self) -> Campaigns:
        """The campaigns: their settings, states, and how far they are."""
        from mailer.store.campaigns import Campaigns  # noqa: PLC0415

        return Campaigns(self.client)

    @cached_property
    def ledger(self) -> Ledger:
        """What became of each recipient, and who may send now."""
        from mailer.store.ledger import Ledger  # noqa: PLC0415

        return Ledger(self.client)

    @cached_property
    def waiting(self) -> Waiting:
        """Batches that wait for a time or an event, and lost ones."""
        from mailer.store.waiting import Waiting  # noqa: PLC0415

        return Waiting(self.client)

    @cached_property
    def dispatch(self) -> Dispatch:
        """Whose batches go to the broker next."""
        from mailer.store.dispatch import Dispatch  # noqa: PLC0415

        return Dispatch(self.client)

    @cached_property
    def events(self) -> EventStream:
        """What happened, for those who follow it."""
        from mailer.store.events import EventStream  # noqa: PLC0415

        return EventStream(self.client)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """What needs a human."""
        from mailer.store.dead_letters import DeadLetters  # noqa: PLC0415

        return DeadLetters(self.client)

    @cached_property
    def dead_groups(self) -> DeadGroups:
        """What needs a human, counted."""
        from mailer.store.views.dead_groups import DeadGroups  # noqa: PLC0415

        return DeadGroups(self.client)

    @cached_property
    def ever(self) -> Ever:
        """How many recipients ever had which outcome."""
        from mailer.store.views.ever import Ever  # noqa: PLC0415

        return Ever(self.client)

    @cached_property
    def refused(self) -> Refused:
        """Who was not accepted, sampled."""
        from mailer.store.views.refused import Refused  # noqa: PLC0415

        return Refused(self.client)

    @cached_property
    def payloads(self) -> Payloads:
        """The bytes of messages that are still to be sent."""
        from mailer.store.views.payloads import Payloads  # noqa: PLC0415

        return Payloads(self.client)

    @cached_property
    def audit(self) -> Audit:
        """Who did what."""
        from mailer.store.views.audit import Audit  # noqa: PLC0415

        return Audit(self.client)

    @cached_property
    def suppression(self) -> Suppression:
        """Who never gets mail."""
        from mailer.store.suppression import Suppression  # noqa: PLC0415

        return Suppression(self.client)

    @cached_property
    def feedback(self) -> Feedback:
        """What came back."""
        from mailer.store.feedback.records import Feedback  # noqa: PLC0415

        return Feedback(self.client)

    # Accounts.

    @cached_property
    def breaker(self) -> Breaker:
        """Which accounts may log in."""
        from mailer.store.breaker import Breaker  # noqa: PLC0415

        return Breaker(self.client)

    @cached_property
    def limits(self) -> Limits:
        """How much may be sent now."""
        from mailer.store.limits import Limits  # noqa: PLC0415

        return Limits(self.client, self._rules)

    @cached_property
    def permit_queue(self) -> PermitQueue:
        """Batches that wait for permits."""
        from mailer.store.permit_queue import PermitQueue  # noqa: PLC0415

        return PermitQueue(self.client, self.limits)

    @cached_property
    def slots(self) -> Slots:
        """Connections that each process may have open."""
        from mailer.store.slots import Slots  # noqa: PLC0415

        return Slots(self.client)

    @cached_property
    def alerts(self) -> Outbox:
        """Events that somebody is still to be told of."""
        from mailer.store.alerts import Outbox  # noqa: PLC0415

        return Outbox(self.client)
