"""What a campaign does now, in a few words: done, sending, waiting for what and until when."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from time import localtime, strftime
from typing import Final

from mailer.mail.schedule import Window
from mailer.store.breaker import COOLING, STOPPED, AccountState
from mailer.store.campaigns import RUNNING
from mailer.store.course.pending import Pending
from mailer.store.course.progress import Progress

_BRAKES: Final = {
    "bounced for good": "paused: too many bounces",
    "complained": "paused: too many complaints",
    "refused for good": "paused: all were refused",
}
"""How a campaign that paused itself says why; the words are those of the scripts that pause it."""


STATES: Final = ("enqueueing", "waiting", "sending", "paused", "cancelled", "done", "dead")
"""What may be asked for; ``dead`` is whoever has somebody among the dead letters."""

_NOBODY_SENDS: Final = ("paused", "cancelled")
"""How states begin in which there is no rate, and no time after which all is done."""


@dataclass(frozen=True, slots=True)
class _State:
    says: str
    until: float = 0.0


def told(
    one: Progress,
    waits: Pending,
    accounts: Mapping[str, AccountState],
    lacking: Collection[str],
    now: float,
) -> Progress:
    """The same progress with its state in words. *accounts* are the states of those that it names.

    *lacking* is what no worker has: ``account:<a>``, ``secret:<a>``.
    """
    state = _state(one, waits, accounts, lacking, now)
    left = one.time_left
    if one.open and at_rest(said := replace(one, says=state.says)):
        return replace(said, rate=0.0, time_left=None)
    if one.open and state.until > now:
        left = max(left or 0.0, state.until - now)
    at = f" until {_moment(state.until, now)}" if state.until else ""
    return replace(one, says=state.says + at, until=state.until, time_left=left)


def at_rest(one: Progress) -> bool:
    """Whether nobody sends it, and it waits for nothing but people."""
    return one.says.startswith(_NOBODY_SENDS)


def states_of(one: Progress) -> set[str]:
    """Which of `STATES` the campaign is in."""
    found = {word for word in STATES if one.says.startswith(word)}
    return found | {"dead"} if one.outcomes["dead"] + one.outcomes["uncertain"] else found


def _state(
    one: Progress,
    waits: Pending,
    accounts: Mapping[str, AccountState],
    lacking: Collection[str],
    now: float,
) -> _State:
    if one.state != RUNNING:
        braked = [words for why, words in _BRAKES.items() if why in one.why]
        return _State(braked[0] if braked else one.state)
    if one.final:
        return _State(_over(one))
    if one.start > now:
        return _State("waiting", one.start)
    if one.unheld:
        return _State(f"{one.unheld:,} in no batch")
    if one.open and waits.idle:
        return _waiting(one, waits, accounts, lacking, now)
    return _State("sending" if one.enqueued else "enqueueing")


def _over(one: Progress) -> str:
    """How it ended. What lies in the dead letters is not done: somebody is to look at it."""
    dead = one.outcomes["dead"] + one.outcomes["uncertain"]
    if not one.total:
        return "done"
    if dead == one.total:
        return "all dead"
    none = "" if one.outcomes["accepted"] else ", none accepted"
    return f"done{none}, {dead:,} dead" if dead else f"done{none}"


def _waiting(
    one: Progress,
    waits: Pending,
    accounts: Mapping[str, AccountState],
    lacking: Collection[str],
    now: float,
) -> _State:
    for name in one.accounts if waits.parked else ():
        state = accounts.get(name)
        if state and state.state == STOPPED:
            return _State("paused: account stopped")
        if state and state.state == COOLING:
            return _State(f"waiting for account {name}", state.until)
    if not waits.waiting:
        return _State("sending")
    if one.window and (opens := Window.parse(one.window).next_open(now)) > now:
        return _State("waiting for window", opens)
    if not one.outcomes["queued"]:
        return _State("waiting to try again", waits.soonest)
    return _lacks(one, lacking) or _State("waiting for quota", waits.soonest)


def _lacks(one: Progress, lacking: Collection[str]) -> _State | None:
    for name in one.accounts:
        if f"account:{name}" in lacking:
            return _State(f"waiting for a worker that has account {name}")
        if f"secret:{name}" in lacking:
            return _State(f"waiting for the secret of account {name}")
    return None


def _moment(at: float, now: float) -> str:
    """The time of day; another day's with its date."""
    then, today = localtime(at), localtime(now)
    same = then[:3] == today[:3]
    return strftime("%H:%M:%S" if same else "%Y-%m-%d %H:%M:%S", then)
