"""May this account log in, and send: one answer for all workers.

An authentication failure is an event of the account and not of a message. Its state lies in Redis:

=========  ===================  ==========================================================
state      logins admitted      left by
=========  ===================  ==========================================================
unknown    one in the cluster   its success → running; trouble → cooling or stopped
running    one of each process  trouble → cooling or stopped; a doubt → unknown
cooling    none until its end,  its end, then as unknown; a success of a login that had
           then as unknown      begun before → running
stopped    none                 `start` (an operator, or a probe that succeeded) → unknown
=========  ===================  ==========================================================

==================================================  =======================================
trouble                                             what it does
==================================================  =======================================
stops                                               stops, with a reason
suspected                                           cools as below; stops where it lasts an
                                                    hour without a success
doubted                                             one more login; a second time within
                                                    five minutes, on a login that had
                                                    succeeded since: stops
rests                                               cools until a quota is renewed
cools                                               cools 5 s, 10 s, 20 s … 15 min, each
                                                    jittered by a fifth; success resets
==================================================  =======================================

The bound on failed logins, for each time that an account is stopped: exactly one where its state
was unknown; where it was running, at most one of each process, namely of those that were already
on their way when the first was refused.

A login's turn is a lease: a process that dies in mid-login gives it back after `TURN` seconds, one that
lives keeps it for as long as the login takes.
"""

import dataclasses
from collections.abc import Callable
from enum import IntEnum, StrEnum
from random import random
from typing import Any, Final

from mailer.errors import ForeignRecordError
from mailer.mail.said import Said
from mailer.store import keys
from mailer.store.alerts import ACCOUNT_STARTED, ACCOUNT_STOPPED, Event, written
from mailer.store.connection import Client, asking, load, reaching_redis
from mailer.store.reach import reading

RUNNING: Final = "running"
COOLING: Final = "cooling"
STOPPED: Final = "stopped"
UNKNOWN: Final = "unknown"

OPERATOR: Final = "operator"
"""The reason of a stop that no probe may end by itself."""

TURN: Final = 15.0
"""Seconds after which another process may log in, if the one that has the turn does not renew it."""

FIRST_DELAY: Final = 5.0
LONGEST_DELAY: Final = 900.0
JITTER: Final = 0.2
SECOND_DOUBT: Final = 300.0
SUSPECTED_FOR: Final = 3600.0
"""Seconds that a suspicion must last before it stops an account."""
SUSPICION_LAPSES: Final = 3 * LONGEST_DELAY
"""Seconds after which an old suspicion is forgotten, if nobody has tried the account meanwhile."""


class Trouble(StrEnum):
    """What an account met. The table above says what each does."""

    STOPS = "stops"
    SUSPECTED = "suspected"
    """It would stop the account if it were certain; but it was found before TLS was verified."""
    DOUBTED = "doubted"
    RESTS = "rests"
    COOLS = "cools"


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """What an account met: the *trouble*, the *reason* why it stops or cools, what the server *said*.

    *until* is when a used-up quota is renewed, in seconds since the epoch; 0.0 where nobody knows.
    """

    trouble: Trouble
    reason: str
    said: Said = dataclasses.field(default_factory=Said)
    until: float = 0.0


class Admission(IntEnum):
    """Who may log in: nobody, the one who asks, or others as well."""

    NOBODY = 0
    ALONE = 1
    BESIDE_OTHERS = 2


@dataclasses.dataclass(frozen=True, slots=True)
class AccountState:
    """What the cluster knows of one account. Times are seconds since the epoch, 0.0 for never.

    *state* is ``running``, ``cooling``, ``stopped`` or ``unknown``; *until* is when a cooling one
    may be tried again. *reason* is ``auth``, ``account``, ``operator``, or the action that made it
    cool; *said* what the server said. *logins_ok* and *logins_failed* count since the account was
    first used.
    """

    account: str
    state: str = UNKNOWN
    since: float = 0.0
    until: float = 0.0
    reason: str = ""
    said: Said = dataclasses.field(default_factory=Said)
    logins_ok: int = 0
    logins_failed: int = 0

    @property
    def usable(self) -> bool:
        """Whether somebody may try to log in now."""
        return self.state in (RUNNING, UNKNOWN)


class Breaker:
    """The states of all accounts. *random* gives 0 ≤ x < 1 and jitters the delays."""

    def __init__(self, client: Client, random: Callable[[], float] = random) -> None:
        self._client = client
        self._random = random
        self._ask = asking(client)
        self._admit = load(client, "breaker_admit")
        self._succeeded = load(client, "breaker_succeeded")
        self._refused = load(client, "breaker_refused")
        self._control = load(client, "breaker_control")

    # Sessions.

    def admit(self, account: str, owner: str, now: float) -> Admission:
        """May the process *owner* begin to log in now: it has the turn until it tells the outcome.

        A process has one login under way at a time, and asks before each: so a password that turns
        wrong is refused at most once a process. Asking again without having logged in keeps the turn.
        """
        return Admission(int(self._admit(account, owner, now, now + TURN, "")))

    def succeeded(self, account: str, owner: str, now: float) -> None:
        """*owner* has logged in: the account is good, and delays begin anew."""
        self._succeeded(account, owner, now)

    def refused(
        self,
        account: str,
        owner: str,
        refusal: Refusal,
        now: float,
    ) -> str:
        """*owner* met trouble with the account; returns the account's state after it."""
        said, trouble, reason = refusal.said, refusal.trouble, refusal.reason
        lasting = dataclasses.replace(said, text=f"for an hour by now: {said.text}")
        stopping = lasting if trouble is Trouble.SUSPECTED else said
        answer: bytes = self._refused(
            account,
            owner,
            now,
            trouble.value,
            reason,
            said.encode(),
            int(said.stage == "AUTH"),
            refusal.until or 0,
            FIRST_DELAY,
            LONGEST_DELAY,
            1 + JITTER * (2 * self._random() - 1),
            SECOND_DOUBT,
            written(Event(ACCOUNT_STOPPED, now, account, reason, said.stage, stopping.reply)),
            stopping.encode(),
            SUSPECTED_FOR,
            SUSPICION_LAPSES,
        )
        return answer.decode()

    def explain(self, account: str, dialogue: tuple[str, ...]) -> None:
        """Add the end of the session to what is known of a stopped account's trouble, if it lacks.

        Dead letters that are made from now on show it.
        """
        with reaching_redis():
            state, packed = self._client.hmget(keys.account(account), ["state", "said"])
            if state != STOPPED.encode() or packed is None:
                return
            said = Said.read(packed)
            if not said.dialogue:
                told = dataclasses.replace(said, dialogue=dialogue)
                self._client.hset(keys.account(account), "said", told.encode())

    def keep_turn(self, account: str, owner: str, now: float) -> None:
        """*owner* is still at its login."""
        with reaching_redis():
            self._client.zadd(keys.logins(account), {owner: now + TURN}, xx=True)

    def let_go(self, account: str, owner: str) -> None:
        """*owner* gives its turn to log in back, having learnt nothing."""
        with reaching_redis():
            self._client.zrem(keys.logins(account), owner)

    # Operators and probes.

    def state(self, account: str, now: float) -> AccountState:
        """What is known of *account* at *now*."""
        return _state(account, reading.fields(self._ask("HGETALL", keys.account(account))), now)

    def all(self, now: float) -> list[AccountState]:
        """Every account that anybody ever tried, by name; one that cannot be read is passed over."""
        with reaching_redis():
            names = self._client.smembers(keys.ACCOUNTS)
        found = []
        for name in sorted(name.decode() for name in names):
            try:
                found.append(self.state(name, now))
            except ForeignRecordError:
                reading.passed_over(keys.account(name))
        return found

    def start(self, account: str, now: float) -> str:
        """Let the account be tried again, one login first; returns the state before."""
        event = written(Event(ACCOUNT_STARTED, now, account))
        return str(self._control(account, now, "start", "", event).decode())

    def stop(self, account: str, reason: str, now: float) -> str:
        """Stop the account on all workers; returns the state before.

        With the reason `OPERATOR`, only an operator starts it again.
        """
        event = written(Event(ACCOUNT_STOPPED, now, account, reason))
        return str(self._control(account, now, "stop", reason, event).decode())

    def begin_probe(self, account: str, owner: str, now: float, every: float = 0.0) -> bool:
        """Take the turn to log in although the account may be stopped; end it as any other login.

        With *every*, only if the account is stopped by trouble and was not tried for so many
        seconds: then one caller in the cluster is told True.
        """
        since = repr(every) if every else "0"
        return bool(self._admit(account, owner, now, now + TURN, since))


def _state(account: str, row: dict[bytes, bytes], now: float) -> AccountState:
    fields: dict[str, Any] = {key.decode(): value for key, value in row.items()}
    state = fields.get("state", b"unknown").decode()
    place = keys.account(account)
    since, until = (reading.number(fields.get(name), place) for name in ("since", "until"))
    if state == COOLING and until <= now:
        state, since, until = UNKNOWN, until, 0.0
    return AccountState(
        account,
        state,
        since,
        until,
        fields.get("reason", b"").decode(),
        Said.read(fields["said"]) if "said" in fields else Said(),
        reading.whole(fields.get("ok"), place),
        reading.whole(fields.get("failed"), place),
    )
