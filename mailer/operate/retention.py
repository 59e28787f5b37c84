"""What is forgotten of what is over: by a person, or by a worker as ``[retention]`` says."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import time

from mailer.config import Settings
from mailer.errors import CampaignNotFoundError, InputError
from mailer.mail.counts import plural
from mailer.operate.history import opened
from mailer.queues.connections import Producer
from mailer.store.retention.forgetting import Forgetting, Forgotten

__all__ = ["Gone", "forget", "forget_older"]


@dataclass(frozen=True, slots=True)
class Gone:
    """A campaign that is forgotten now. *messages* is how many the history has forgotten of it."""

    campaign: str
    messages: int = 0


def forget(settings: Settings, names: Sequence[str], *, history: bool = False) -> Iterator[Gone]:
    """Forget these campaigns in Redis, and in the *history*; yields each once it is gone.

    Raises `InputError` for one of which somebody is open or in the dead letters, or that who follows
    events has not read whole; `CampaignNotFoundError` for one that nobody knows.
    """
    forgetting, now = Forgetting(Producer(settings).client), time()
    for name in names:
        found = forgetting.forget(name, now, now)
        if why := _said(name, found):
            raise InputError(why)
        messages = _in_history(settings, name) if history else 0
        if found.what != "done" and not messages:
            raise CampaignNotFoundError(f"no campaign {name!r}; `mailer status --all` lists them")
        yield Gone(name, messages)


def forget_older(settings: Settings, age: float, *, history: bool = False) -> Iterator[Gone]:
    """Forget every campaign that was over *age* seconds ago; what cannot be forgotten yet is left.

    In the *history* also those that Redis has forgotten before.
    """
    producer, now = Producer(settings), time()
    forgetting = Forgetting(producer.client)
    for name in [*forgetting.unfinished(), *forgetting.candidates(now - age)]:
        if forgetting.forget(name, now, now - age).what == "done":
            yield Gone(name, _in_history(settings, name) if history else 0)
    if history:
        with closing(opened(settings)) as opened_history:
            known = set(producer.campaigns.names())
            for name in opened_history.over(now - age):
                if name not in known:
                    yield Gone(name, opened_history.forget(name))


def _said(name: str, found: Forgotten) -> str:
    """Why the campaign was not forgotten, and what to do; "" where it was, or is not there."""
    who = plural(found.number, "recipient")
    match found.what:
        case "open":
            return (
                f"campaign {name!r} still has {who} open: wait until they are "
                f"final, or cancel it first: mailer cancel {name}"
            )
        case "dead":
            return (
                f"campaign {name!r} has {who} in the dead letters: "
                f"mailer dead replay, or mailer dead purge, with --campaign {name}"
            )
        case "unread":
            return (
                f"{found.reader} has not read yet what became of {found.number:,} messages, and some "
                f"may be of campaign {name!r}: try again when it has"
            )
        case "missed":
            return (
                f"{found.reader} missed what became of {found.number:,} messages, and some may be of "
                f"campaign {name!r}: mailer history mend puts in what the ledger knows"
            )
        case "enqueueing":
            return f"campaign {name!r} is being enqueued: wait until that has ended"
        case _:
            return ""


def _in_history(settings: Settings, name: str) -> int:
    with closing(opened(settings)) as history:
        return history.forget(name)
