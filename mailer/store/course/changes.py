"""What is another now than it was when a campaign was enqueued first, in words."""

from collections.abc import Iterator, Mapping
from time import localtime, strftime
from typing import Any, Final

from mailer.errors import CampaignChangedError
from mailer.mail.counts import plural
from mailer.mail.policy import CampaignPolicy
from mailer.store.client import Client
from mailer.store.events.rewound import Rewinds
from mailer.store.events.stream import HISTORY

_SHOWN: Final = ("account", "sender", "template", "reply_to")
"""Settings whose values are short, and no secret."""

SAME: Final = 1.0
"""Seconds by which two starts may differ and be the same."""


def what_changed(
    name: str,
    before: tuple[Mapping[str, Any], CampaignPolicy],
    now: tuple[Mapping[str, Any], CampaignPolicy],
) -> str:
    """Say that summary or policy are others now than *before*, and what to do; "" where none is."""
    differing = [*_settings(before[0], now[0]), *_treatment(before[1], now[1])]
    return told(name, ", ".join(differing)) if differing else ""


def told(name: str, what: str) -> str:
    """Say that *what* is another, and what to do about it."""
    return (
        f"campaign {name!r} was enqueued before with another {what}: give it another name, "
        "or accept the change for the recipients not yet queued (accept_changes, --accept-changes)"
    )


def another_start(name: str, holds: float, wanted: float) -> str:
    """Say that the campaign begins when it was said first; "" where *wanted* is no other time."""
    if not wanted or abs(holds - wanted) < SAME:
        return ""
    begins = f"begins at {_moment(holds)}" if holds else "was to begin at once"
    return (
        f"campaign {name!r} {begins}, as it was said first: leave the time out, or move the campaign: "
        f'mailer schedule {name} --at "{_moment(wanted)}"'
    )


def forgotten(name: str, at: float) -> str:
    """Say that a campaign of this name is over and forgotten, and what to do."""
    return (
        f"campaign {name!r} was sent, and forgotten on {_moment(at)}: who has got it is not known any "
        "more. Give it another name; or, if everybody on the list is to get it again, accept that "
        "(accept_changes, --accept-changes)"
    )


def refuse_restored(client: Client, name: str) -> None:
    """Raise `CampaignChangedError` where Redis, restored from a backup, knows less than the history."""
    older = Rewinds(client, HISTORY).seen()
    if older is None or name not in older.campaigns:
        return
    number = older.campaigns[name]
    who = plural(number, "recipient")
    raise CampaignChangedError(
        f"of {who} of campaign {name!r} the history knows what became, and Redis, which is older, does "
        "not: they would get it again. Enqueue it under another name, with "
        f"--skip-accepted-of {name} (skip=); or accept that (accept_changes, --accept-changes). "
        "mailer events list says more"
    )


def _settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            shown = key in _SHOWN and before.get(key) and now.get(key)
            yield f"{key} ({before[key]}, not {now[key]})" if shown else key


def _treatment(before: CampaignPolicy, now: CampaignPolicy) -> Iterator[str]:
    # `stamps` is not the campaign's wish: it tells which version queued it.
    for key in ("resend", "retry", "window", "weight", "routes"):
        if getattr(before, key) != getattr(now, key):
            yield {"resend": "on_uncertain", "routes": "share of its accounts"}.get(key, key)


def _moment(at: float) -> str:
    return strftime("%Y-%m-%d %H:%M:%S", localtime(at))
