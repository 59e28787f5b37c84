"""How many connections each worker process may have open for an account, over the whole cluster.

It is a semaphore in Redis whose holders have leases. Living leases never hold more connections than the
account may have. If a process dies, its share is free when its lease ends. A process that has more than
its fair share while another goes short learns at its next renewal how many to close.
"""

from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.reach import reading


class Slots:
    """The connections of every account, as methods. The clock is Redis's where *now* is None."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._script = load(client, "pace", "slots")

    def acquire(  # noqa: PLR0913, PLR0917 - one row of the semaphore
        self,
        account: str,
        wanted: int,
        maximum: int,
        owner: str,
        now: float | None,
        lease: float,
        *,
        at_once: int | None = None,
    ) -> int:
        """Reserve up to *wanted* more connections for *owner*; returns how many it may open.

        It is given *at_once* of them at most, and its fair share is reckoned by all that it wants.
        All owners together never have more than *maximum*, less while replies ask for it (see
        `mailer.store.pace`). What it did not get it is taken to want for three seconds: it asks
        again to keep its claim to a fair share.
        """
        most = max(0, wanted)
        what = ("acquire", most, maximum, most if at_once is None else min(most, at_once))
        return int(self._script(account, owner, _moment(now), lease, *what))

    def renew(  # noqa: PLR0913 - one row of the semaphore
        self,
        account: str,
        owner: str,
        now: float | None,
        lease: float,
        held: int | None = None,
        *,
        rests: bool = False,
    ) -> int:
        """Keep the owner's lease for *lease* seconds more; returns how many connections to close.

        They count as open until `release` is told of them. After a lapse, when others may have taken
        the owner's place, that is each one for which there is no room any more. *held* is how many the
        owner knows to be open, which mends a count that a lost call has left wrong. One that *rests*
        has no use for them just now, and closes as many as others want.
        """
        known = "" if held is None else held
        how = ("rests",) if rests else ()
        return int(self._script(account, owner, _moment(now), lease, "renew", known, *how))

    def held(self, account: str) -> int:
        """How many connections all workers together have open for *account*."""
        with reaching_redis():
            found = self._client.hgetall(keys.held(account))
        # Beside the processes stand the limit as it was last told, and what each still asks for.
        processes = (name for name in found if name != b"maximum" and not name.startswith(b"+"))
        return sum(reading.whole(found[name], keys.held(account)) for name in processes)

    def release(self, account: str, count: int, owner: str, now: float | None = None) -> int:
        """Tell that *count* of the owner's connections are closed; returns how many it still has."""
        return int(self._script(account, owner, _moment(now), 0, "release", count))


def _moment(now: float | None) -> float | str:
    return "" if now is None else now
