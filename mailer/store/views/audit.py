"""Who did what: a bounded stream, the newest last."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import urandom
from typing import Final

from mailer.store import keys
from mailer.store.connection import Client, reaching_redis

KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Deed:
    """One act: *who* did *what* to what it is *about*, and its *result* in words; *ok* if it was done.

    *at* is seconds since the epoch, 0.0 for now. *place* is its place among all.
    """

    who: str
    what: str
    about: str
    result: str
    ok: bool = True
    at: float = 0.0
    place: str = ""


class Audit:
    """The deeds that one Redis keeps."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def note(self, deed: Deed) -> None:
        """Write *deed* down."""
        fields = {
            "who": deed.who,
            "what": deed.what,
            "about": deed.about,
            "result": deed.result,
            "ok": "1" if deed.ok else "",
        }
        with reaching_redis():
            self._client.xadd(keys.AUDIT, fields, maxlen=KEPT, approximate=True)

    def newest(self, number: int, before: str = "") -> Iterator[Deed]:
        """The newest deeds, at most *number*; with *before*, those that came before that place."""
        with reaching_redis():
            found = self._client.xrevrange(keys.AUDIT, f"({before}" if before else "+", "-", number)
        for place, fields in found:
            row = {name.decode(): value.decode() for name, value in fields.items()}
            at = int(place.partition(b"-")[0]) / 1000
            ok = bool(row.pop("ok", ""))
            yield Deed(**row, ok=ok, at=at, place=place.decode())

    def forget(self, mailbox: str) -> int:
        """Take out each deed that names *mailbox*; returns how many."""
        with reaching_redis():
            found = self._client.xrange(keys.AUDIT, "-", "+")
            wanted = mailbox.lower().encode()
            about = [place.decode() for place, row in found if _names(row, wanted)]
            return self._client.xdel(keys.AUDIT, *about) if about else 0


def _names(row: Mapping[bytes, bytes], mailbox: bytes) -> bool:
    return any(mailbox in row.get(field, b"").lower() for field in (b"about", b"result"))


def form_key(client: Client) -> bytes:
    """What the console's forms are signed with: made by the first who asks, the same for all."""
    with reaching_redis():
        client.set(keys.WEB_KEY, urandom(32).hex(), nx=True)
        return client.get(keys.WEB_KEY) or b""
