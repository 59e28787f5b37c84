"""What would become of a list if it were enqueued: every row rendered, nothing sent, nothing written.

It does as `Campaign.enqueue` does: the same rows are left out for the same reasons, and what that refuses
is refused here in the same words. If Redis is away, a warning says so, and rows that are queued already
or suppressed count as queued.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from time import time
from typing import Any

from mailer.errors import InputError, InvalidRowsError, LedgerUnavailableError
from mailer.mail.recipients import Recipient, Rejected, parse
from mailer.operate.recipients import Recipients
from mailer.produce.batching import LOOK, chunks
from mailer.produce.campaign import Campaign
from mailer.produce.enqueue import Plan
from mailer.produce.faults import Faults, rows_differ
from mailer.produce.receipt import LEFT_OUT, Receipt
from mailer.produce.spool import Row
from mailer.queues.connections import Producer

log = logging.getLogger("mailer.produce")


def rehearse(  # noqa: PLR0913 - the keywords of `enqueue`
    campaign: Campaign,
    rows: Iterable[Row],
    progress: Callable[[int], object] = lambda _: None,
    *,
    check: bool = True,
    skip_faulty: bool = False,
    accept_changes: bool = False,
    skip: Recipients | None = None,
    only: Recipients | None = None,
) -> Receipt:
    """The receipt that *rows* would get; *progress* is called with numbers of rows, as they are read.

    Raises what `Campaign.enqueue` would: `InvalidRowsError` for rows that cannot be rendered, unless
    *skip_faulty* or not *check*, `CampaignChangedError`, and `TemplateError`.
    """
    composer = campaign.composer  # first: a template that cannot be read is to be mended first
    how: dict[str, Any] = {
        "check": check,
        "skip_faulty": skip_faulty,
        "accept_changes": accept_changes,
    }
    plan: Plan | None = None
    refuse: Callable[[], int] | None = None
    try:
        plan, refuse = campaign.rehearsal(**how, skip=skip, only=only)
    except LedgerUnavailableError as exc:
        log.warning("%s; who was queued before, or is suppressed, is not known", exc)
    made = _Rehearsal(campaign, composer.check, plan, strict=check and not skip_faulty)
    size = min(LOOK, plan.batch_size) if plan else LOOK
    for chunk in chunks(rows, size):
        made.take(chunk)
        progress(len(chunk))
    if made.faults and made.strict:
        raise InvalidRowsError(made.faults.told("nothing would be queued"))
    if made.changed and check and not accept_changes:
        raise rows_differ(campaign.name, made.changed, "nothing would be queued")
    if refuse:
        refuse()
    return made.receipt


class _Rehearsal:
    """One dry run: what was read until now."""

    def __init__(
        self,
        campaign: Campaign,
        check: Callable[[Recipient], object],
        plan: Plan | None,
        *,
        strict: bool,
    ) -> None:
        self.receipt = Receipt(campaign.name)
        self.faults = Faults()
        self.changed: list[int] = []
        self.strict = strict
        self._check = check
        self._plan = plan
        self._ledger = Producer(campaign.settings).ledger
        self._under_way: set[bytes] = set()

    def take(self, chunk: Sequence[tuple[int, Row]]) -> None:
        """Read some rows, each by its number."""
        found = []
        for number, row in chunk:
            one = parse(row, number)
            if isinstance(one, Rejected):
                self.receipt.leave_out(number, one.kind, one.reason)
                continue
            fault = self._fault(one) if self.strict else ""
            if fault:
                self.faults.add(fault)
            if one.key in self._under_way:
                self.receipt.leave_out(number, "duplicate")
                continue
            self._under_way.add(one.key)
            if one.note:
                self.receipt.notes[number] = one.note
            found.append(one)
        for one, answer in zip(found, self._answers(found), strict=True):
            self._settle(one, answer)

    def _settle(self, one: Recipient, answer: str) -> None:
        if answer == "n" and (self._plan is None or self._plan.wants(one)):
            fault = self._fault(one) if not self.strict else ""
            if fault:
                self.receipt.leave_out(one.row, "invalid", fault)
            else:
                self.receipt.queued += 1
            return
        if answer == "c":
            self.changed.append(one.row)
        # As `enqueue` does: a later row of the same recipient is a duplicate only if this one was taken.
        if answer not in "kc":
            self._under_way.discard(one.key)
        self.receipt.leave_out(one.row, LEFT_OUT[answer])

    def _answers(self, found: Sequence[Recipient]) -> str:
        if self._plan is None:
            return "n" * len(found)
        return self._ledger.reserve(self._plan.campaign, 0, found, self._plan.mail, time())

    def _fault(self, one: Recipient) -> str:
        try:
            self._check(one)
        except InputError as exc:
            return str(exc)
        return ""
