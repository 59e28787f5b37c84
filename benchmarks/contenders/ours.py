"""This project as a producer uses it: `Campaign.enqueue`; workers run beside it."""

from typing import Any

import letters
from orders import serve

from mailer import Attachment, Campaign, load
from mailer.queues.application import PREFIX, application

_SETTINGS = load()
_APP = application(_SETTINGS.broker_url)


def enqueue(
    kind: str, count: int, run: str, *, check: bool = True, processes: int = 1
) -> dict[str, Any]:
    attachments = ()
    if kind == "attachment":
        attachments = (Attachment.from_bytes(letters.catalogue(), letters.ATTACHMENT),)
    campaign = Campaign(
        run,
        template=letters.template_of(kind),
        sender=letters.SENDER,
        attachments=attachments,
        settings=_SETTINGS,
    )
    receipt = campaign.enqueue(list(letters.rows(count)), check=check, processes=processes)
    return {"queued": receipt.queued}


def hold() -> bool:
    """Have the workers take no more from the bulk queue."""
    return bool(_APP.control.cancel_consumer(PREFIX + "bulk", reply=True, limit=1, timeout=10))


def release() -> bool:
    return bool(_APP.control.add_consumer(PREFIX + "bulk", reply=True, limit=1, timeout=10))


def is_up() -> bool:
    return bool(_APP.control.ping(limit=1, timeout=1))


serve(enqueue=enqueue, hold=hold, release=release, is_up=is_up)
