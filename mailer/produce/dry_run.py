"""What would become of a list if it were enqueued: every row rendered, nothing sent, no Redis.

Rows that an earlier run queued, or that are suppressed, only the ledger knows: they count as queued
here. All else is as `Campaign.enqueue` has it: the same rows are left out for the same reasons, and what
it refuses is refused here in the same words.
"""

from collections.abc import Callable, Iterable

from mailer.errors import InputError, InvalidRowsError
from mailer.mail.recipients import Rejected, parse
from mailer.produce.campaign import Campaign
from mailer.produce.faults import Faults
from mailer.produce.receipt import Receipt
from mailer.produce.spool import Row

_STEP = 100


def rehearse(
    campaign: Campaign,
    rows: Iterable[Row],
    progress: Callable[[int], object] = lambda _: None,
    *,
    skip_faulty: bool = False,
) -> Receipt:
    """The receipt that *rows* would get; *progress* is told numbers of rows done.

    Raises `InvalidRowsError` for rows that cannot be rendered, unless *skip_faulty*, and
    `TemplateError` for a campaign that cannot be made.
    """
    composer = campaign.composer
    receipt = Receipt(campaign.name)
    faults = Faults()
    seen: set[bytes] = set()
    for number, row in enumerate(rows, start=1):
        if number % _STEP == 0:
            progress(_STEP)
        one = parse(row, number)
        if isinstance(one, Rejected):
            receipt.leave_out(number, one.kind, one.reason)
            continue
        duplicate = one.key in seen
        seen.add(one.key)
        if duplicate and skip_faulty:
            receipt.leave_out(number, "duplicate")
            continue
        try:
            composer.check(one)
        except InputError as exc:
            faults.add(str(exc))
            receipt.leave_out(number, "invalid", str(exc))
            continue
        if duplicate:
            receipt.leave_out(number, "duplicate")
            continue
        receipt.queued += 1
        if one.note:
            receipt.notes[number] = one.note
    if faults and not skip_faulty:
        raise InvalidRowsError(faults.told("nothing would be queued"))
    return receipt
