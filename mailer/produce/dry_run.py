"""What would become of a list if it were enqueued: every row rendered, nothing sent, no Redis.

Rows that an earlier run queued, or that are suppressed, only the ledger knows: they count as queued
here.
"""

from collections.abc import Callable, Iterable

from mailer.errors import InputError
from mailer.mail.recipients import Rejected, parse
from mailer.produce.campaign import Campaign
from mailer.produce.enqueue import Row
from mailer.produce.receipt import Receipt

_STEP = 100


def rehearse(
    campaign: Campaign, rows: Iterable[Row], progress: Callable[[int], object] = lambda _: None
) -> Receipt:
    """The receipt that *rows* would get; *progress* is told numbers of rows done."""
    receipt = Receipt(campaign.name)
    seen: set[bytes] = set()
    for number, row in enumerate(rows, start=1):
        one = parse(row, number)
        if isinstance(one, Rejected):
            receipt.leave_out(number, one.kind, one.reason)
        elif one.key in seen:
            receipt.leave_out(number, "duplicate")
        else:
            try:
                campaign.composer.check(one)
            except InputError as exc:
                receipt.leave_out(number, "invalid", str(exc))
                continue
            seen.add(one.key)
            receipt.queued += 1
        if number % _STEP == 0:
            progress(_STEP)
    return receipt
