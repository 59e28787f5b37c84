"""Which workers live, what each of them knows, and what none of them could do for how long.

A worker that lacks an account, a secret or the newest payload format cannot tell whether others have it:
in a rolling deploy they do. So each worker says every few seconds that it lives and what it knows, and
whoever cannot do something says so here. Nothing is buried while a living worker may be able to.

A *subject* is ``account:<a>``, ``secret:<a>`` or ``payload:<version>``.
"""

import json
from collections.abc import Collection
from typing import Any, Final

from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.reach import reading

LIVES: Final = 30.0
"""Seconds after which a worker that said nothing counts as gone."""

RECENT: Final = 120.0
"""Seconds for which a worker's "I cannot" counts: it may have got its secret since."""


class Able:
    """What workers can and cannot, as methods. Times are seconds since the epoch."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._could_not = load(client, "able_could_not")

    def announce(self, worker: str, accounts: Collection[str], payload: int, now: float) -> None:
        """*worker* lives, knows *accounts* and reads payloads up to version *payload*."""
        what = {"seen": now, "accounts": sorted(accounts), "payload": payload}
        with reaching_redis():
            self._client.hset(keys.WORKERS, worker, json.dumps(what))
            others = self._client.hgetall(keys.WORKERS)
        gone = [name for name, told in others.items() if _read(told)["seen"] < now - 10 * LIVES]
        if gone:
            with reaching_redis():
                self._client.hdel(keys.WORKERS, *gone)

    def reads(self, now: float) -> int:
        """The newest version of payloads that all living workers read; 0 where none is known to live."""
        with reaching_redis():
            told = map(_read, self._client.hgetall(keys.WORKERS).values())
        return min((one["payload"] for one in told if one["seen"] >= now - LIVES), default=0)

    def retire(self, worker: str) -> None:
        """*worker* ends."""
        with reaching_redis():
            self._client.hdel(keys.WORKERS, worker)

    def could_not(self, subject: str, worker: str, now: float) -> float:
        """*worker* cannot do *subject*; returns for how many seconds no living worker could."""
        with reaching_redis():
            workers = self._client.hgetall(keys.WORKERS)
            unable = self._client.hgetall(keys.unable(subject))
        others = [
            name.decode()
            for name, told in workers.items()
            if name.decode() != worker and _may(_read(told), subject, now)
        ]
        recent = {name.decode() for name, at in unable.items() if float(at) > now - RECENT}
        somebody_can = bool(set(others) - recent)
        return now - float(self._could_not(subject, worker, now, int(somebody_can)))

    def nobody_can(self, subjects: Collection[str], now: float) -> set[str]:
        """Those of *subjects* that workers tried lately, of which none of them was able to."""
        pipe = self._client.pipeline(transaction=False)
        for subject in subjects:
            pipe.hgetall(keys.unable(subject))
        with reaching_redis():
            found = pipe.execute()
        return {one for one, told in zip(subjects, found, strict=True) if _in_vain(told, now)}


def _in_vain(told: dict[bytes, bytes], now: float) -> bool:
    """Whether somebody said lately "I cannot", for a second time since somebody could."""
    place = keys.unable("")
    at = {worker: reading.number(when, place) for worker, when in told.items()}
    since = at.pop(b"since", now)
    return max(at.values(), default=0.0) > max(since, now - RECENT)


def _may(told: dict[str, Any], subject: str, now: float) -> bool:
    """Whether a worker lives that, by what it *told*, can do *subject*."""
    kind, _, what = subject.partition(":")
    if told["seen"] < now - LIVES:
        return False
    return told["payload"] >= int(what) if kind == "payload" else what in told["accounts"]


def _read(told: bytes) -> dict[str, Any]:
    """What a worker told; of one that cannot be read, that it is long gone."""
    try:
        found = json.loads(told)
        return {
            "seen": float(found["seen"]),
            "accounts": list(found["accounts"]),
            "payload": int(found["payload"]),
        }
    except (ValueError, TypeError, KeyError):
        return {"seen": 0.0, "accounts": [], "payload": 0}
