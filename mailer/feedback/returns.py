"""What comes back is matched with its message, and written down: recorded first, acknowledged after.

Only what proves by a token that it is about a message of ours is acted on. Everything else is counted
and kept to be looked at: anybody can write a bounce.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from time import monotonic, time
from typing import Final

from mailer.config import Settings
from mailer.feedback.leaving import Leaving, leaving
from mailer.feedback.reader import read
from mailer.feedback.report import Kind, Report
from mailer.feedback.tokens import Match, Tokens
from mailer.mail.barring.dropping import DEFAULT, Dropping, Policy, dropping
from mailer.mail.barring.scopes import ALL
from mailer.mail.recipients import fingerprint
from mailer.operate.feedback import brake
from mailer.queues.connections import Producer
from mailer.store.campaigns import Campaigns
from mailer.store.connection import Client
from mailer.store.feedback.records import Brake, Feedback, Note, Returned

RELOAD: Final = 10.0
"""Seconds for which the list of campaigns is kept: a bounce takes longer than a campaign to be known."""

_ACTS: Final = frozenset({Kind.BOUNCE, Kind.COMPLAINT, Kind.UNSUBSCRIBE})


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one report: its *match*, None where it proved nothing, and what was written."""

    report: Report
    match: Match | None
    answer: str = ""
    dropped: bool = False
    paused: str = ""
    held: str = ""


@dataclass(slots=True)
class Tally:
    """How many reports of each kind, how many of them matched, new, and dropped a recipient."""

    messages: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    matched: int = 0
    new: int = 0
    dropped: int = 0
    paused: dict[str, str] = field(default_factory=dict)
    held: list[tuple[str, str]] = field(default_factory=list)

    def add(self, taken: Sequence[Taken]) -> None:
        """Count what one message brought."""
        self.messages += 1
        for one in taken:
            self.kinds[one.report.kind.value] += 1
            self.matched += one.match is not None
            self.new += one.answer in ("new", "worse")
            self.dropped += one.dropped
            if one.match and one.paused:
                self.paused[one.match.campaign] = one.paused
            if one.match and one.held:
                self.held.append((one.match.campaign, one.held))


class Returns:
    """Takes what comes back. *secrets* are all keys that something may have been sent under."""

    def __init__(
        self,
        client: Client,
        secrets: Sequence[str],
        brake: Brake,
        *,
        policy: Policy = DEFAULT,
        clock: Callable[[], float] = time,
    ) -> None:
        self._campaigns = Campaigns(client)
        self._feedback = Feedback(client)
        self._leaving = Leaving(self._campaigns, self._feedback)
        self._secrets = secrets
        self._brake = brake
        self._policy = policy
        self._clock = clock
        self._known: Tokens | None = None
        self._until = 0.0

    def take(self, octets: bytes, source: str, envelope: Sequence[str] = ()) -> list[Taken]:
        """Read a message and write down what it says; when this returns, it may be acknowledged.

        *envelope* are the addresses that it was delivered to. Repeated, it changes nothing. Raises
        `LedgerUnavailableError` when nothing could be written.
        """
        taken = [self.note(report, source) for report in read(octets, envelope)]
        if any(one.match is None for one in taken):
            self._feedback.keep(_summary(taken, octets, source), self._clock())
        return taken

    def note(self, report: Report, source: str) -> Taken:
        """Write one report down, with all that follows from it."""
        match = self.match(report)
        if report.kind is Kind.UNSUBSCRIBE and (who := self.tokens().leaver(report)):
            noted = self._leaving.leave(who, source, self._leaving.scope(who))
            left = Match(who.campaign, fingerprint(who.mailbox), report.kind.value)
            return Taken(report, left, noted.answer, noted.dropped)
        if match is None or report.kind is Kind.UNKNOWN:
            return Taken(report, None)
        rule = rule_for(report, self._policy)
        one = _record(report, match, source, self._clock())
        told = partial(self._feedback.told, match.campaign, match.key, one, _message_id(report))
        scope = leaving(self._campaigns, match.campaign) if report.kind is Kind.UNSUBSCRIBE else ALL
        noted = self._feedback.note(
            Note(match.campaign, match.key, one, rule, self._brake, told, scope)
        )
        return Taken(report, match, noted.answer, noted.dropped, noted.paused, noted.held)

    def match(self, report: Report) -> Match | None:
        """The message that *report* proves to be about."""
        return self.tokens().find(report)

    def expects(self, mailbox: str) -> bool:
        """Whether what is delivered to *mailbox* may be ours: it holds a token of ours, or none at all.

        Complaints come to an address without one. Raises `LedgerUnavailableError`.
        """
        if "+" not in mailbox.rpartition("@")[0]:
            return True
        if self.tokens().address(mailbox):
            return True
        # A bounce may come within a second of its campaign's beginning: refused, it would be lost.
        self._known = None
        return self.tokens().address(mailbox) is not None

    def tokens(self) -> Tokens:
        """What reads the proofs, for the campaigns that there are by now."""
        if self._known is None or monotonic() > self._until:
            self._known = Tokens(self._secrets, self._campaigns.names())
            self._until = monotonic() + RELOAD
        return self._known


def returns_of(settings: Settings) -> Returns:
    """What takes in what comes back, as the configuration says. Raises `ConfigError`."""
    return Returns(
        Producer(settings).client,
        settings.reading_keys(),
        brake(settings),
        policy=settings.feedback.dropping,
    )


def rule_for(report: Report, policy: Policy) -> Dropping | None:
    """What *policy* does about the recipient of *report*, once it has proved to be about our message."""
    if report.kind not in _ACTS or not policy:
        return None
    reason = report.reason.value if report.reason else None
    return dropping(report.kind.value, reason, permanent=report.permanent is True, policy=policy)


def _record(report: Report, match: Match, source: str, now: float) -> Returned:
    # A report behind a forwarding names an address that we never wrote to: it is not put on any list.
    named = report.recipient or ""
    ours = named if named and fingerprint(named) == match.key else ""
    return Returned(
        kind=report.kind.value,
        recipient=ours,
        at=now,
        status=report.status or "",
        code=report.reply_code or 0,
        reason=report.reason.value if report.reason else "",
        permanent=report.permanent is True,
        said=report.diagnostic[:200],
        source=source,
        proof=match.proof,
    )


def _message_id(report: Report) -> str:
    """The Message-ID that the report gives back; our ENVID is the same (`mailer.deliver.content`)."""
    for given in (report.trace.message_id, report.trace.envelope_id):
        if given and "@" in given:
            return f"<{given.strip('<>')}>"
    return ""


def _summary(taken: Sequence[Taken], octets: bytes, source: str) -> Mapping[str, object]:
    """What is shown of a message that proved nothing; the same message gives the same."""
    first = next(one.report for one in taken if one.match is None)
    return {
        "id": blake2b(octets, digest_size=8).hexdigest(),
        "source": source,
        "kind": first.kind.value,
        "recipient": first.recipient or "",
        "reason": first.reason.value if first.reason else "",
        "said": first.diagnostic[:200],
        "head": octets[:2000].decode("utf-8", "replace"),
    }
