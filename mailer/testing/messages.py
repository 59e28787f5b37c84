"""What would have been sent, as messages to look at."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Final, NamedTuple, cast

from mailer.mail.payload import decode
from mailer.queues.connections import instead
from mailer.testing.memory import MemoryLinks

_READING: Final = policy.default


class Envelope(NamedTuple):
    """Whom a message goes to, and whom it comes back to; without angle brackets."""

    reverse_path: str
    forward_path: str


class SentMessage(EmailMessage):
    """A message as its recipient would get it.

    *envelope* is its reverse-path and forward-path. *campaign* is the id that it is counted under
    (``send.welcome`` for `send`), *account* the login that would have sent it, and *context* what its
    template was rendered with: the variables for all below the row's own fields.
    """

    envelope: Envelope
    campaign: str
    account: str
    context: Mapping[str, object]

    @property
    def text(self) -> str:
        """The text part; empty where there is none."""
        return self._body("plain")

    @property
    def html(self) -> str:
        """The HTML part; empty where there is none."""
        return self._body("html")

    def _body(self, kind: Any) -> str:
        part = self.get_body((kind,))
        return "" if part is None else str(part.get_content())


class Outbox(list[SentMessage]):
    """The messages in the order in which they were queued."""

    def to(self, mailbox: str) -> list[SentMessage]:
        """Those that go to *mailbox*."""
        return [one for one in self if one.envelope.forward_path == mailbox]


@contextmanager
def outbox() -> Iterator[Outbox]:
    """Keep what this process sends in the block, and send nothing.

    Rows, templates, keys and campaigns are checked as the real ones are, and the same errors are raised.
    """
    kept = Outbox()
    batches: dict[str, list[SentMessage]] = {}

    def arrived(ref: str, account: str, payload: bytes) -> None:
        for entry in decode(payload):
            # Lines end as Python writes them: what is compared with is written in Python.
            content = entry.message.joined(links.shared).replace(b"\r\n", b"\n")
            message = cast(
                "SentMessage", message_from_bytes(content, _class=SentMessage, policy=_READING)
            )
            message.envelope = Envelope(entry.message.reverse_path, entry.message.forward_path)
            message.campaign, message.account = ref.rpartition(":")[0], account
            message.context = {}
            batches.setdefault(ref, []).append(message)
            kept.append(message)

    def noted(ref: str, contexts: Sequence[Mapping[str, object]]) -> None:
        for message, context in zip(batches.get(ref, []), contexts, strict=False):
            message.context = dict(context)

    links = MemoryLinks(arrived, noted)
    with instead(links):
        yield kept
