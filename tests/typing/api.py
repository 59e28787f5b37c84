"""How the package is used, for the type checker alone: nothing here is run."""

from collections.abc import Iterator
from email.message import EmailMessage

from mailer import (
    Attachment,
    Campaign,
    Complaint,
    Receipt,
    Settings,
    Status,
    asend,
    configure,
    load,
    reload,
    send,
    send_mail,
    send_message,
)

settings: Settings = load()

campaign = Campaign(
    "spring-2026",
    template="newsletter",
    sender="Shop <news@shop.example>",
    account="primary",
    context={"season": "spring"},
    attachments=[Attachment.from_path("terms.pdf")],
    retry={"attempts": 5},
    on_uncertain="hold",
    settings=settings,
)


def rows() -> Iterator[dict[str, object]]:
    yield {"email": "ada@example.org", "name": "Ada"}


receipt: Receipt = campaign.enqueue(rows(), processes=2)
queued: int = receipt.queued
complaints: list[Complaint] = list(receipt.complaints)
message: EmailMessage = campaign.message({"email": "ada@example.org", "name": "Ada"})
progress: Status = campaign.status()
accepted: int = progress.outcomes["accepted"]
campaign.pause()
campaign.resume()
cancelled: int = campaign.cancel()
message_id: str = send("welcome", to="ada@example.org", context={"name": "Ada"})
again: str = send("welcome", to={"email": "ada@example.org", "name": "Ada"}, key="signup-42")
configure(settings)
reload()


async def in_a_loop() -> str:
    return await asend("welcome", to="ada@example.org", context={"name": "Ada"}, key="signup-42")


own: str = send_message(EmailMessage(), key="invoice-4711")
plain: str = send_mail("Hello", "A text.", "<p>A text.</p>", to=["ada@example.org"])
ours: Receipt = Campaign("ours").enqueue_messages([EmailMessage()])
