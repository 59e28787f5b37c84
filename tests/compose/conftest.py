"""What the tests of composing share: templates written on the spot, and composers of them."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from mailer.compose import Composer, Design, Unsubscribe, composer_of
from mailer.mail.recipients import Recipient, parse

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "campaign": "spring-2026",
    "template": "t",
    "sender": "Shop <news@shop.example>",
    "date": datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
}
NEWSLETTER = {
    **SETTINGS,
    "template": "newsletter",
    "templates_path": ROOT / "templates",
    "context": {"season": "spring"},
    "sender": "Käthe Lindenhof <news@shop.example>",
    "unsubscribe": Unsubscribe("https://shop.example/u/{token}"),
    "secret": "not a secret",
    "list_id": "Lindenhof news <news.shop.example>",
    "feedback_id": "spring:news:shop",
}

MakeComposer = Callable[..., Composer]


def row(number: int = 1, **fields: Any) -> Recipient:
    """A recipient; fields that are not given are Ada's."""
    recipient = parse({"email": "ada@example.org", "name": "Ada", **fields}, number)
    assert isinstance(recipient, Recipient), recipient
    return recipient


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write *files* below *root*; a bare name belongs to the template ``t``."""
    for name, content in files.items():
        path = root / name if "/" in name else root / "t" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def read(content: bytes) -> EmailMessage:
    """Read a message as the stdlib does."""
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def bytes_of(composer: Composer, recipient: Recipient) -> bytes:
    """The bytes that leave."""
    return composer.compose(recipient).joined(composer.shared)


def assert_equal(left: EmailMessage, right: EmailMessage) -> None:
    """Two messages say the same: every header, every part, every octet of content."""
    assert left.items() == right.items()
    for one, other in zip(left.walk(), right.walk(), strict=True):
        assert one.items() == other.items()
        if not one.is_multipart():
            assert one.get_content() == other.get_content()


@pytest.fixture
def make(tmp_path: Path) -> MakeComposer:
    """Make a composer of template files: ``make({"subject.txt": …}, bulk=False)``."""

    def make_composer(files: Mapping[str, str | bytes], **settings: Any) -> Composer:
        files = {"subject.txt": "Hello", **files}
        root = write(tmp_path / "templates", files)
        return composer_of(Design(templates_path=root, **{**SETTINGS, **settings}))

    return make_composer


@pytest.fixture(scope="session")
def newsletter() -> Composer:
    """The example newsletter."""
    return Composer(Design(**NEWSLETTER))
