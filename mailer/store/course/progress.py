"""How far is a campaign, as plain values."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

from mailer.errors import PayloadError
from mailer.mail.policy import CampaignPolicy
from mailer.mail.status import Status
from mailer.store import keys
from mailer.store.connection import Client, reaching_redis
from mailer.store.reach import reading

_RATE_BUCKET: Final = 10
_RATE_WINDOW: Final = 60

_PAGE: Final = 100
"""Campaigns that are read in one round trip."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is.

    *outcomes* counts recipients by status word (``queued`` … ``dropped``) and adds up to *total*; one
    that is being transmitted counts as queued. *rate* is recipients a second that became final over
    the last minute, *time_left* the seconds until the open ones are final, None where unknown: what they
    take at that rate, and at least as long as the last of them waits. *start* is when it may begin, 0.0
    for at once. *says* is its state in words, such as ``waiting until 2026-05-01 08:00:00``, and *until*
    that time, 0.0 where it waits for none.
    """

    campaign: str
    state: str
    total: int
    outcomes: Mapping[str, int]
    rate: float
    time_left: float | None
    enqueued: bool
    created: float
    started: float | None
    active: float | None
    summary: Mapping[str, Any]
    why: str = ""
    """Why the campaign paused itself; empty where a person did it."""
    came_back: Mapping[str, int] = field(default_factory=dict)
    """Of how many something came back, by kind; ``permanent`` are those that bounced for good."""
    held: Mapping[str, str] = field(default_factory=dict)
    """Receivers to whom nothing more of it is sent for now, by domain, and why."""
    start: float = 0.0
    window: str = ""
    unheld: int = 0
    """How many are open and in no batch, where nothing of it moves: nobody will send to them."""
    says: str = ""
    until: float = 0.0

    @property
    def open(self) -> int:
        """How many recipients somebody still has to try."""
        return self.outcomes["queued"] + self.outcomes["deferred"]

    @property
    def final(self) -> bool:
        """Whether all rows are enqueued and none is open."""
        return self.enqueued and self.open == 0

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that the campaign names."""
        return tuple(name for name in str(self.summary.get("account") or "").split(", ") if name)

    def as_json(self) -> dict[str, Any]:
        """The progress as plain values, as ``mailer status --json`` prints it."""
        return {
            "campaign": self.campaign,
            "state": self.state,
            "says": self.says,
            "until": self.until or None,
            "why": self.why,
            "total": self.total,
            "outcomes": dict(self.outcomes),
            "came_back": dict(self.came_back),
            "held": dict(self.held),
            "rate": round(self.rate, 3),
            "time_left": None if self.time_left is None else round(self.time_left, 1),
            "enqueued": self.enqueued,
            "created": self.created,
            "start": self.start or None,
            "started": self.started,
            "active": self.active,
            **{key: self.summary.get(key) for key in ("template", "sender", "account")},
        }


def progresses(client: Client, names: Iterable[str], now: float) -> Iterator[Progress]:
    """How far each campaign is at *now*, streamed; those that are gone are left out."""
    last = int(now // _RATE_BUCKET)
    buckets = range(last - _RATE_WINDOW // _RATE_BUCKET, last + 1)
    left = iter(names)
    while page := list(islice(left, _PAGE)):
        pipe = client.pipeline(transaction=False)
        for name in page:
            pipe.hgetall(keys.campaign(name))
            pipe.hgetall(keys.counts(name))
            pipe.hgetall(keys.backs(name))
            pipe.hgetall(keys.stopped(name))
            pipe.mget([keys.rate(name, bucket) for bucket in buckets])
        with reaching_redis():
            found = iter(pipe.execute(raise_on_error=False))
            rows = [[_row(next(found), name) for _ in range(5)] for name in page]
        for name, (about, counts, backs, held, settled) in zip(page, rows, strict=True):
            if b"created" in about:
                since = buckets[0] * _RATE_BUCKET
                number = sum(reading.whole(one, "mailer:rate") for one in settled)
                one = _progress(name, about, _words(counts), _words(backs), (since, number, now))
                yield replace(one, held=_texts(held))


def _row(reply: Any, name: str) -> Any:
    return reading.of_type(reply, {}, f"a key of campaign {name}")


def _progress(
    name: str,
    about: Mapping[bytes, bytes],
    counts: Mapping[str, int],
    backs: Mapping[str, int],
    settled: tuple[float, int, float],
) -> Progress:
    since, number, now = settled
    outcomes = _outcomes(counts)
    place = keys.campaign(name)

    def moment(what: bytes) -> float:
        return reading.number(about.get(what), place)

    started = moment(b"started") or None
    rate = number / max(now - max(since, started or 0.0), 1.0)
    remaining = outcomes["queued"] + outcomes["deferred"]
    begins = moment(b"start")
    waits = max(begins, moment(b"latest")) - now
    return Progress(
        campaign=name,
        state=reading.text(about.get(b"state", b"")),
        total=sum(outcomes.values()),
        outcomes=outcomes,
        rate=rate if remaining else 0.0,
        time_left=_time_left(remaining, rate, waits),
        enqueued=about.get(b"enqueued") == b"1",
        created=moment(b"created"),
        started=started,
        active=moment(b"active") or None,
        summary=reading.table(about.get(b"summary"), place),
        why=reading.text(about.get(b"why", b"")),
        came_back=backs,
        start=begins,
        window=_window(about.get(b"policy", b"")),
    )


def _texts(found: Mapping[bytes, bytes]) -> dict[str, str]:
    return {reading.text(key): reading.text(value) for key, value in found.items()}


def _words(found: Mapping[bytes, bytes]) -> dict[str, int]:
    return {
        reading.text(key): reading.whole(value, "mailer:counts") for key, value in found.items()
    }


def _outcomes(counts: Mapping[str, int]) -> dict[str, int]:
    outcomes = {
        status.word: counts.get(status.value, 0)
        for status in Status
        if status is not Status.TRANSMITTING
    }
    outcomes["queued"] += counts.get(Status.TRANSMITTING.value, 0)
    return outcomes


def _time_left(remaining: int, rate: float, waits: float) -> float | None:
    """Seconds until *remaining* are final at that *rate*, and the last that *waits* has had its turn."""
    if not remaining:
        return 0.0
    if rate:
        return max(remaining / rate, waits)
    return waits if waits > 0 else None


def _window(policy: bytes) -> str:
    try:
        return CampaignPolicy.decode(policy).window or ""
    except PayloadError:
        return ""
