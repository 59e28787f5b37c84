"""The pytest plugin: `mailer_outbox` and `mailer_live`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mailer.testing import Live, Outbox


@pytest.fixture
def mailer_outbox() -> "Iterator[Outbox]":
    """What would have been sent, as a list of `EmailMessage`s; no Redis, no worker, no server."""
    from mailer.testing.messages import outbox  # noqa: PLC0415 - only who asks for it pays

    with outbox() as kept:
        yield kept


@pytest.fixture
def mailer_live(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Live]":
    """An embedded Redis, a real worker and a mail server that keeps what it gets."""
    from mailer.testing.live import Live  # noqa: PLC0415 - only who asks for it pays

    with Live(Path(tmp_path_factory.mktemp("mailer"))) as live:
        yield live
