"""Whether an account may send to these domains now, and how many messages.

Permits are taken for a batch before it is sent and given back after it, each in one round trip, exact
over any number of workers. A message counts against a window from the moment its permit is taken until
the window's length after it is known to have ended: whatever the delay between, no server sees more
messages in any window than its limit. `docs/limits.md` says why.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from os import urandom
from time import time
from typing import Any, Final

from mailer.store.connection import Client, load
from mailer.store.limit_rules import Limit, Rules, of_account, of_domain, rates_of
from mailer.store.pace import Pace

FLIGHT: Final = 15.0
"""Seconds after which a grant that was not given back counts as sent: its worker has died."""

_MOST_CLASSES: Final = 255
"""Domains with limits that one call can tell apart; messages behind that wait for the next call."""


BRIEF: Final = 10
"""Seconds: in windows up to this, permits are granted in small parts and given back message by
message."""

MANY: Final = 1_000_000
"""What `Room.free` says where nothing bounds it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Which messages of a batch may be sent now.

    *granted* are their indices, *classes* the domain group of each message asked for (0: none). The
    others wait until *retry_at*, *wait* seconds from now, because of *why*, for permits of *scope*; 0.0
    seconds and an empty *why* say that asking again at once may yield more. *crowded* says that other
    batches want a worker.
    """

    granted: Sequence[int]
    retry_at: float = 0.0
    wait: float = 0.0
    why: str = ""
    scope: str = ""
    share: float = 1.0
    crowded: bool = False
    taken_at: float = 0.0
    token: str = ""
    classes: bytes = field(default=b"", repr=False)
    limits: tuple[tuple[int, Limit], ...] = field(default=(), repr=False)

    @property
    def brief(self) -> bool:
        """Whether a window of seconds bounds it, so that giving back early matters."""
        return any(0 < limit.seconds <= BRIEF for _, limit in self.limits)


@dataclass(frozen=True, slots=True)
class Usage:
    """How many messages count against a limit now, of how many; *allowed* None: no bound any more."""

    limit: str
    used: int
    allowed: int | None


@dataclass(frozen=True, slots=True)
class Room:
    """Permits that are *free*; fewer than *least* are not worth a batch, and *free_at* there are some."""

    free: int
    least: int
    free_at: float


class Limits:
    """Permits, as methods. Thread-safe; the clock is Redis's unless *now* is given."""

    def __init__(self, client: Client, rules: Rules, *, flight: float = FLIGHT) -> None:
        self._take = load(client, "pace", "permits", "permits_take")
        self._look = load(client, "pace", "permits", "permits_look")
        self._settle = load(client, "pace", "permits_settle")
        self._domains = rules.domains
        self._accounts = {
            name: tuple(of_account(name, wanted)) for name, wanted in rules.accounts.items()
        }
        self._of_domain = {one.name: tuple(of_domain(one)) for one in rules.domains.values()}
        self._flight = flight
        self.pace = Pace(client, {name: rates_of(found) for name, found in self._accounts.items()})

    def take(
        self, account: str, domains: Sequence[str], now: float | None = None, campaign: str = ""
    ) -> Grant:
        """Permits for as many messages as may be sent now, in their order.

        *domains* holds the recipient domain of each. Where other campaigns than *campaign* stand in line
        for the account, the grant says that it is crowded. Every grant with a *token* must be given back.
        An account and domains without limits cost no call, but for one in a second.
        """
        limits = [(0, limit) for limit in self._accounts.get(account, ())]
        classes = self._classes(domains, limits) if self._domains else bytes(len(domains))
        measured = not self.pace.has_rate(account) and self.pace.slowed(account, len(domains), now)
        if not limits and not measured:
            return Grant(range(len(domains)), taken_at=time() if now is None else now)
        return self._ask(account, classes, tuple(limits), now, campaign)

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

    def room(self, scope: str, now: float) -> Room:
        """How many permits of *scope*, ``account:<a>`` or ``domain:<d>``, are free."""
        kind, _, name = scope.partition(":")
        limits = (
            self._accounts.get(name, ()) if kind == "account" else self._of_domain.get(name, ())
        )
        arguments: list[object] = []
        for limit in limits:
            ends = limit.ends(now)
            arguments += (0, limit.key, limit.kind, limit.count, limit.seconds, ends)
        account = name if kind == "account" else ""
        found = _named(self._look(account, now, self._flight, *arguments))
        free = min(float(found["free"]), MANY)
        return Room(int(free), int(found["least"]), float(found["free_at"]))

    def usage(self, account: str, now: float | None = None) -> tuple[Usage, ...]:
        """How much of each of the account's limits is used, in flight included."""
        moment = time() if now is None else now
        usage = []
        for limit in self._accounts.get(account, ()):
            arguments = (0, limit.key, limit.kind, limit.count, limit.seconds, limit.ends(moment))
            found = _named(self._look(account, moment, self._flight, *arguments))
            bound = float(found["allowed"])
            allowed = None if bound == inf else int(bound)
            usage.append(Usage(str(limit), int(found["used"]), allowed))
        return tuple(usage)

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
        now: float | None,
        campaign: str,
    ) -> Grant:
        token = urandom(8).hex()
        moment = time() if now is None else now
        arguments: list[object] = []
        for number, limit in limits:
            ends = limit.ends(moment)
            arguments += (number, limit.key, limit.kind, limit.count, limit.seconds, ends)
        clock = "" if now is None else now
        found = _named(
            self._take(account, token, clock, self._flight, classes, campaign, *arguments)
        )
        if found["measured"]:
            limits = (*limits, (0, Limit(f"account:{account}", "rolling", "measured", 1)))
        at, retry_at, why = float(found["now"]), float(found["retry_at"]), int(found["why"])
        by_class = [int(count) for count in found["by_class"].split(b",") if count]
        return Grant(
            _granted(classes, found["granted"], by_class),
            retry_at=retry_at,
            wait=max(0.0, retry_at - at),
            why=_reason(why, limits),
            scope=_scope(why, account, limits),
            share=float(found["share"]),
            crowded=found["crowded"] > 0,
            taken_at=at,
            token=token if found["granted"] else "",
            classes=classes,
            limits=limits,
        )


def _named(answer: list[Any]) -> dict[str, Any]:
    """What a script answered, names and values in turn."""
    return {name.decode(): value for name, value in zip(answer[::2], answer[1::2], strict=True)}


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


def _scope(why: int, account: str, limits: Sequence[tuple[int, Limit]]) -> str:
    """Whose permits are waited for."""
    number, limit = limits[why - 1] if why > 0 else (0, None)
    return limit.scope if limit and number else f"account:{account}" if why else ""
