"""May this account, towards these domains, send now, and how many messages.

Permits are taken for a batch before it is sent and given back after it, each in one round trip, exact
over any number of workers. A message counts against a window from the moment its permit is taken until
the window's length after it is known to have ended: whatever the delay between, no server sees more
messages in any window than its limit. `docs/limits.md` says why.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from os import urandom
from time import time
from typing import Final

from mailer.retry_after import retry_after
from mailer.schedule import DAY, Reset
from mailer.store import keys
from mailer.store.adaptive import Pace
from mailer.store.connection import Client, load

FLIGHT: Final = 15.0
"""Seconds after which a grant that nobody gave back counts as sent: its worker is dead."""

_MOST_CLASSES: Final = 255
"""Domains with limits that one call can tell apart; messages behind that wait for the next call."""


@dataclass(frozen=True, slots=True)
class Cap:
    """At most *count* messages in any *seconds*."""

    count: int
    seconds: int


@dataclass(frozen=True, slots=True)
class AccountRules:
    """What an account may send: *rates*, where those of a day begin anew, and its warm-up.

    *warmup* are messages on the first, second … day on which it sends; after that it knows no bound.
    """

    rates: tuple[Cap, ...] = ()
    reset: Reset | None = None
    warmup: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DomainRules:
    """What all accounts together may send to the domains of one group.

    *connections* is how many messages may be on their way to it at once.
    """

    name: str
    rates: tuple[Cap, ...] = ()
    connections: int | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """Every limit: of accounts by name, and of domains by recipient domain in lower case."""

    accounts: Mapping[str, AccountRules] = field(default_factory=dict)
    domains: Mapping[str, DomainRules] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit over one window, as the scripts see it. *scope* is an account or a domain."""

    scope: str
    kind: str
    count: str
    seconds: int
    reset: Reset | None = None

    @property
    def key(self) -> str:
        """The hash of its window."""
        return keys.permits(self.scope, 0 if self.kind == "flying" else self.seconds)

    def ends(self, now: float) -> float:
        """When its window begins anew, 0 for one that rolls."""
        if self.kind not in ("reset", "steps"):
            return 0.0
        return self.reset.next(now) if self.reset else (now // DAY + 1) * DAY

    def __str__(self) -> str:
        _, _, name = self.scope.partition(":")
        if self.kind == "flying":
            return f"domain {name}: {self.count} at once"
        if self.kind == "steps":
            return "warm-up"
        unit = {1: "second", 60: "minute", 3600: "hour", DAY: "day"}.get(self.seconds)
        what = f"{self.count}/{unit}" if unit else f"{self.count} in {self.seconds} s"
        until = f" until {self.reset}" if self.kind == "reset" else ""
        return (
            f"{'account' if self.scope.startswith('account:') else f'domain {name}'} {what}{until}"
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """Which messages of a batch may be sent now.

    *granted* are their indices, *classes* the domain group of each message asked for (0: none). The
    others wait until *retry_at*, *wait* seconds from now, because of *why*; 0.0 seconds and an empty
    *why* say that asking again at once may yield more. *crowded* says that other batches want a worker.
    """

    granted: Sequence[int]
    retry_at: float = 0.0
    wait: float = 0.0
    why: str = ""
    share: float = 1.0
    crowded: bool = False
    taken_at: float = 0.0
    token: str = ""
    classes: bytes = field(default=b"", repr=False)
    limits: tuple[tuple[int, Limit], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """How many messages count against a limit now, of how many; *allowed* None: no bound any more."""

    limit: str
    used: int
    allowed: int | None


class Limits:
    """Permits, as methods. Thread-safe; the clock is Redis's unless *now* is given."""

    def __init__(self, client: Client, rules: Rules, *, flight: float = FLIGHT) -> None:
        self._take = load(client, "pace", "permits_take")
        self._settle = load(client, "pace", "permits_settle")
        self._domains = rules.domains
        self._accounts = {
            name: tuple(_of_account(name, wanted)) for name, wanted in rules.accounts.items()
        }
        self._of_domain = {one.name: tuple(_of_domain(one)) for one in rules.domains.values()}
        self._flight = flight
        self.pace = Pace(client, {name: _rates(found) for name, found in self._accounts.items()})

    def take(self, account: str, domains: Sequence[str], now: float | None = None) -> Grant:
        """Permits for as many messages as may be sent now, in their order.

        *domains* holds the recipient domain of each. Every grant with a *token* must be given back.
        An account and domains without limits cost no call, but for one in a second.
        """
        limits = [(0, limit) for limit in self._accounts.get(account, ())]
        classes = self._classes(domains, limits) if self._domains else bytes(len(domains))
        measured = not self.pace.has_rate(account) and self.pace.slowed(account, len(domains), now)
        if not limits and not measured:
            return Grant(range(len(domains)), taken_at=time() if now is None else now)
        return self._ask(account, classes, tuple(limits), len(domains), now)

    def give_back(
        self,
        grant: Grant,
        unused: Iterable[int] = (),
        flying: Iterable[int] = (),
        now: float | None = None,
    ) -> Grant:
        """Settle *grant*: messages at the indices *unused* were not sent, those *flying* not yet.

        All others count as sent now. Returns the grant of what still flies, to be given back later.
        """
        if not grant.token:
            return grant
        idle, left = frozenset(unused), frozenset(flying)
        still = [index for index in grant.granted if index in left]
        sent = [index for index in grant.granted if index not in left and index not in idle]
        arguments: list[object] = []
        for number, limit in grant.limits:
            counts = [
                sum(1 for index in some if not number or grant.classes[index] == number)
                for some in (still, sent)
            ]
            ends = limit.ends(time() if now is None else now)
            arguments += (limit.key, limit.kind, limit.seconds, ends, *counts)
        self._settle(grant.token, "" if now is None else now, *arguments)
        return replace(grant, granted=tuple(still), token=grant.token if still else "")

    def quota_used_up(self, account: str, reply: str, now: float | None = None) -> float:
        """Pause the account after a reply that speaks of a used-up quota; returns until when.

        That is what the reply names, else when the account's daily quota begins anew, else in an hour.
        """
        moment = time() if now is None else now
        wait = retry_after(reply, moment)
        ends = [limit.ends(moment) for limit in self._accounts.get(account, ())]
        later = min((end for end in ends if end > moment), default=moment + 3600.0)
        until = moment + wait if wait else later
        self.pace.pause(account, until, reply)
        return until

    def usage(self, account: str, now: float | None = None) -> tuple[Usage, ...]:
        """How much of each of the account's limits is used, in flight included."""
        moment = time() if now is None else now
        found = []
        for limit in self._accounts.get(account, ()):
            arguments = (0, limit.key, limit.kind, limit.count, limit.seconds, limit.ends(moment))
            *_, used, allowed = self._take(account, "", moment, self._flight, b"", *arguments)
            bound = float(allowed)
            found.append(Usage(str(limit), int(used), None if bound == inf else int(bound)))
        return tuple(found)

    def _classes(self, domains: Sequence[str], limits: list[tuple[int, Limit]]) -> bytes:
        """The class of each message; the limits of the classes that occur join *limits*."""
        numbers: dict[str, int] = {}
        classes = bytearray()
        for domain in domains:
            rules = self._domains.get(domain) or self._domains.get(domain.lower())
            if rules is None:
                classes.append(0)
                continue
            if rules.name not in numbers:
                if len(numbers) == _MOST_CLASSES:
                    break
                numbers[rules.name] = len(numbers) + 1
                limits += [(len(numbers), limit) for limit in self._of_domain[rules.name]]
            classes.append(numbers[rules.name])
        return bytes(classes)

    def _ask(
        self,
        account: str,
        classes: bytes,
        limits: tuple[tuple[int, Limit], ...],
        asked: int,
        now: float | None,
    ) -> Grant:
        token = urandom(8).hex()
        moment = time() if now is None else now
        arguments: list[object] = []
        for number, limit in limits:
            ends = limit.ends(moment)
            arguments += (number, limit.key, limit.kind, limit.count, limit.seconds, ends)
        answer = self._take(
            account, token, "" if now is None else now, self._flight, classes, *arguments
        )
        at, retry_at, why, share, crowded, paced, total, *by_class = answer
        if paced:
            limits = (*limits, (0, Limit(f"account:{account}", "rolling", "measured", 1)))
        granted = _granted(classes, int(total), [int(count) for count in by_class])
        wait = max(0.0, float(retry_at) - float(at))
        partial = len(granted) < asked
        return Grant(
            granted,
            retry_at=float(retry_at) if partial else 0.0,
            wait=wait if partial else 0.0,
            why=_reason(int(why), limits) if partial else "",
            share=float(share),
            crowded=int(crowded) > 0,
            taken_at=float(at),
            token=token if total else "",
            classes=classes,
            limits=limits,
        )


def _granted(classes: bytes, total: int, by_class: list[int]) -> Sequence[int]:
    """Which messages the counts mean: the first ones of each class, up to *total*."""
    if total == len(classes):
        return range(total)
    left = [total, *by_class]
    granted: list[int] = []
    for index, number in enumerate(classes):
        if len(granted) == total:
            break
        if number == 0 or left[number] > 0:
            left[number] -= 1
            granted.append(index)
    return granted


def _reason(why: int, limits: Sequence[tuple[int, Limit]]) -> str:
    if why < 0:
        return "the server asked for a pause"
    return str(limits[why - 1][1]) if why else ""


def _of_account(name: str, rules: AccountRules) -> Iterable[Limit]:
    scope = f"account:{name}"
    for cap in _tightest(rules.rates):
        resets = rules.reset if cap.seconds == DAY else None
        kind = "reset" if resets else "rolling"
        yield Limit(scope, kind, str(cap.count), cap.seconds, resets)
    if rules.warmup:
        steps = ",".join(map(str, rules.warmup))
        yield Limit(f"{scope}:warmup", "steps", steps, DAY, rules.reset)


def _of_domain(rules: DomainRules) -> Iterable[Limit]:
    scope = f"domain:{rules.name}"
    for cap in _tightest(rules.rates):
        yield Limit(scope, "rolling", str(cap.count), cap.seconds)
    if rules.connections is not None:
        yield Limit(scope, "flying", str(rules.connections), 0)


def _tightest(rates: Iterable[Cap]) -> Iterable[Cap]:
    """One cap for each window, shortest first: two over one window would count twice."""
    by_window: dict[int, int] = {}
    for cap in rates:
        by_window[cap.seconds] = min(cap.count, by_window.get(cap.seconds, cap.count))
    return (Cap(count, seconds) for seconds, count in sorted(by_window.items()))


def _rates(limits: Iterable[Limit]) -> tuple[tuple[int, int], ...]:
    """Count and seconds of what throttling replies lower: rates, not quotas."""
    return tuple(
        (int(limit.count), limit.seconds)
        for limit in limits
        if limit.kind == "rolling" and limit.seconds <= 3600
    )
