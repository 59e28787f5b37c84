"""Why recipients of a campaign were not accepted, by what the server said: for a page, not for a list."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

from mailer.config import Settings
from mailer.mail.recipients import fingerprint
from mailer.mail.routing import Routes
from mailer.mail.said import Said, without_addresses
from mailer.mail.status import Status
from mailer.queues.connections import Producer
from mailer.store.campaigns import Failure
from mailer.store.course.progress import Progress

SAMPLE: Final = 1000
"""Recipients that are looked at: with it a share is known to within three hundredths."""

# What differs from reply to reply: queue ids, addresses of hosts, numbers of an incident.
_PARTICULAR: Final = re.compile(
    r"\b(?:\d{1,3}(?:\.\d{1,3}){3}|(?=[\w-]*\d)[\w-]{8,}|[0-9A-F]{6,}|\d{5,})\b"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Recipients of one *outcome* of whom a server said the same: about how many."""

    outcome: str
    said: Said
    recipients: int


@dataclass(frozen=True, slots=True)
class Refusals:
    """Those not accepted: what was said of them, their domains and the accounts that they go through.

    Drawn from *looked_at* of *total* recipients; where that is fewer, numbers are what it comes to.
    """

    total: int
    looked_at: int
    said: tuple[Refusal, ...]
    domains: tuple[tuple[str, int], ...]
    accounts: tuple[tuple[str, int], ...]

    @property
    def whole(self) -> bool:
        """Whether all were looked at."""
        return self.looked_at >= self.total


def refusals(settings: Settings, campaign: Progress) -> Refusals:
    """Group those of the campaign who were not accepted. Looks at `SAMPLE` of them."""
    producer = Producer(settings)
    sample = producer.store.refused.sample(campaign.campaign, SAMPLE)
    failures = [one for one in sample.failures if one.status is not Status.ACCEPTED]
    said: Counter[tuple[str, Said]] = Counter()
    domains: Counter[str] = Counter()
    for one in failures:
        said[one.status.word, _alike(one)] += 1
        domains[_domain(one)] += 1
    scale = sample.total / max(len(sample.failures), 1)

    def about(counter: Counter[str]) -> tuple[tuple[str, int], ...]:
        return tuple((key, round(number * scale)) for key, number in counter.most_common(12))

    return Refusals(
        total=sample.total,
        looked_at=len(sample.failures),
        said=tuple(
            Refusal(outcome, words, round(number * scale))
            for (outcome, words), number in said.most_common(25)
        ),
        domains=about(domains),
        accounts=about(_accounts(producer, campaign, failures)),
    )


def _alike(one: Failure) -> Said:
    """What was said, without what differs from recipient to recipient."""
    text = _PARTICULAR.sub("…", without_addresses(one.detail.text))
    return replace(one.detail.said, text=text[:300], attempts=0)


def _domain(one: Failure) -> str:
    return one.detail.mailbox.rpartition("@")[2].lower() or "unknown"


def _accounts(producer: Producer, campaign: Progress, failures: list[Failure]) -> Counter[str]:
    """Through which account each goes: the one that its campaign routes it to."""
    routes = producer.campaigns.policy(campaign.campaign).routes
    if routes is None:
        only = str(campaign.summary.get("account", ""))
        return Counter({only: len(failures)} if failures else {})
    return Counter(_route(routes, one) for one in failures)


def _route(routes: Routes, one: Failure) -> str:
    return routes.route(fingerprint(one.detail.mailbox), _domain(one))
