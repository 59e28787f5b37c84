"""The first recipients' messages, sent to somebody who tests, outside the campaign."""

from collections.abc import Iterable
from email.message import EmailMessage
from itertools import islice

from mailer.config import Settings
from mailer.errors import InputError
from mailer.mail.rows import BrokenRow
from mailer.produce.campaign import Campaign
from mailer.produce.messages import send_message
from mailer.produce.spool import Row

KIND = "test"
"""Such messages are counted in the campaign ``send.test``."""

# Headers that are removed or replaced. Who tests must not unsubscribe the recipient by a click, and the
# recipient's own message must not have the same Message-ID.
_LEFT_OUT = ("List-Unsubscribe", "List-Unsubscribe-Post", "Message-ID", "To", "Subject")


def send_trial(
    campaign: Campaign, rows: Iterable[Row], number: int, to: str, settings: Settings
) -> list[str]:
    """Send the messages of the first *number* of *rows* to the mailbox *to*; returns their Message-IDs.

    Their Subject begins with ``[Test]``; in the campaign nothing changes, and it can be done again.
    Raises `InputError` for a row that names nobody, or where there are no rows.
    """
    made = [_marked(campaign, row, to) for row in islice(rows, number)]
    if not made:
        raise InputError("the list has no rows: there is nothing to test")
    return [
        send_message(one, to_addrs=to, account=campaign.accounts[0], kind=KIND, settings=settings)
        for one in made
    ]


def _marked(campaign: Campaign, row: Row, to: str) -> EmailMessage:
    if isinstance(row, BrokenRow):
        raise InputError(row.reason)
    message = campaign.message(row)
    subject = str(message["Subject"] or "")
    for name in _LEFT_OUT:
        del message[name]
    message["Subject"] = f"[Test] {subject}"
    message["To"] = to
    return message
