"""Which limits there are, over which windows, and whose.

Values without behaviour but their names: `mailer.store.limits` asks Redis about them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mailer.mail.schedule import DAY, Reset
from mailer.store import keys


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


def of_account(name: str, rules: AccountRules) -> Iterable[Limit]:
    """The limits of the account *name*, shortest window first."""
    scope = f"account:{name}"
    for cap in _tightest(rules.rates):
        resets = rules.reset if cap.seconds == DAY else None
        kind = "reset" if resets else "rolling"
        yield Limit(scope, kind, str(cap.count), cap.seconds, resets)
    if rules.warmup:
        steps = ",".join(map(str, rules.warmup))
        yield Limit(f"{scope}:warmup", "steps", steps, DAY, rules.reset)


def of_domain(rules: DomainRules) -> Iterable[Limit]:
    """The limits of a group of domains, shortest window first."""
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


def rates_of(limits: Iterable[Limit]) -> tuple[tuple[int, int], ...]:
    """Count and seconds of what throttling replies lower: rates, not quotas."""
    return tuple(
        (int(limit.count), limit.seconds)
        for limit in limits
        if limit.kind == "rolling" and limit.seconds <= 3600
    )
