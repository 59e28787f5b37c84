"""The figures of all campaigns, accounts and queues together: what a dashboard shows and alerts watch."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import time

from mailer.config import Settings
from mailer.mail.status import OPEN, Status
from mailer.operate.accounts import AccountOffice, Standing
from mailer.queues.connections import Producer
from mailer.store.dead_letters import REASONS
from mailer.store.events import HISTORY, Aside, Gaps, Rewinds

SEVERAL = "several"
"""The account of a campaign that sends through more than one."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts at one moment.

    *recipients* by status word, over all campaigns. *messages* are all that ever got an outcome, by
    status word and account, the one that their campaign names. *dead_letters* counts recipients by
    reason.
    *oldest_queued* and *queue_lengths* are by queue: seconds, and batches. *connections* by account.
    *came_back* are recipients by kind and account; ``permanent`` are those bounces that are for good.
    *lags* are seconds by consumer of events, *set_aside* the deliveries that it did not take, *missed*
    the recipients told of in events that left Redis before it had read them, *forgotten* those of whom
    the history knows what Redis, restored from a backup, does not.
    """

    recipients: Mapping[str, int]
    messages: Mapping[tuple[str, str], int]
    dead_letters: Mapping[str, int]
    oldest_queued: Mapping[str, float]
    queue_lengths: Mapping[str, int]
    connections: Mapping[str, int]
    accounts: tuple[Standing, ...]
    swept: float
    came_back: Mapping[tuple[str, str], int] = field(default_factory=dict)
    lags: Mapping[str, float] = field(default_factory=dict)
    set_aside: Mapping[str, int] = field(default_factory=dict)
    missed: Mapping[str, int] = field(default_factory=dict)
    forgotten: int = 0


def figures(settings: Settings) -> Figures:
    """Gather the figures; one round trip for all campaigns, a few more for the rest."""
    store, now = Producer(settings).store, time()
    counted = store.ever.counted()
    dead = Counter(dict.fromkeys(REASONS, 0))
    groups = store.dead_groups.all(now)
    for group in groups:
        dead[group.reason] += group.messages
    older = Rewinds(store.client, HISTORY).seen()
    standings = tuple(AccountOffice(settings).standings(groups))
    return Figures(
        recipients=counted.now,
        messages=_labelled({**_zeros(standings), **counted.outcomes}),
        dead_letters=dead,
        oldest_queued=store.waiting.oldest(now),
        queue_lengths=store.waiting.lengths(),
        connections={one.name: one.connections for one in standings},
        accounts=standings,
        swept=store.waiting.swept(),
        came_back=_labelled(counted.came_back),
        lags={one.consumer: one.age for one in store.events.backlogs(now)},
        set_aside=Aside(store.client).counts(),
        missed={one.consumer: one.recipients for one in Gaps(store.client).all()},
        forgotten=older.recipients if older else 0,
    )


def _zeros(accounts: Iterable[Standing]) -> dict[tuple[str, str], int]:
    """No message of each outcome: Prometheus sees no growth in what was not there before."""
    final = [one.word for one in Status if one not in OPEN]
    return {(word, one.name): 0 for one in accounts for word in final}


def _labelled(counts: Mapping[tuple[str, str], int]) -> Counter[tuple[str, str]]:
    """The counts, with one label for all campaigns that share their recipients out."""
    found: Counter[tuple[str, str]] = Counter()
    for (what, account), number in counts.items():
        found[what, SEVERAL if ", " in account else account] += number
    return found
