"""What came back of campaigns: how many, of whom, and what proved nothing."""

from collections.abc import Iterator, Mapping

from mailer.config import Settings
from mailer.queues.connections import Producer
from mailer.store.feedback.records import Brake, Feedback, Returned

__all__ = ["Returned", "brake", "returned", "unknown"]


def returned(settings: Settings, campaign: str) -> Iterator[Returned]:
    """Everything that came back of *campaign*, in no order."""
    return Feedback(Producer(settings).client).returned(campaign)


def unknown(settings: Settings) -> list[tuple[float, Mapping[str, object]]]:
    """What came back and proved nothing, each with its time, the newest first."""
    return Feedback(Producer(settings).client).unknown()


def brake(settings: Settings) -> Brake:
    """When a campaign pauses itself, as the configuration says."""
    wanted = settings.feedback.pause_at
    return Brake(wanted.bounces, wanted.complaints, wanted.after)
