"""Messages that are sent one by one: written down in one step, once for each key."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import uuid4

from mailer.mail.barring.scopes import ALL
from mailer.store.connection import Client, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One message to be queued by itself.

    *campaign* is the name that messages of its kind are shown under. *policy* is an encoded
    `CampaignPolicy`. *payload* is a batch (`mailer.mail.payload`) with an entry for each of
    *fingerprints*. *key* is the caller's, None for none, and *digest* tells whether a second message of
    this key is the same; both are kept for *remember* seconds. *told* is an entry of events that says who
    is queued, b"" where nobody follows. *trace* is the caller's ``traceparent``. *mail* is which kind of
    mail it is (`mailer.mail.barring.scopes`).
    """

    campaign: str
    account: str
    queue: str
    summary: Mapping[str, Any]
    policy: str
    payload: bytes
    fingerprints: Sequence[bytes]
    message_id: str
    key: str | None = None
    digest: str = ""
    remember: float = 0.0
    told: bytes = b""
    trace: str = ""
    mail: str = ALL


@dataclass(frozen=True, slots=True)
class Written:
    """What became of it: ``queued``, ``again``, ``other`` or ``suppressed``.

    *ref* is the batch that is queued now. *message_id* is the one that the key has, for ``again`` (the
    same message) and ``other`` (another one). *suppressed* are offsets: then nothing was written.
    """

    state: str
    ref: str = ""
    message_id: str = ""
    suppressed: tuple[int, ...] = ()


class Singles:
    """The script of single messages as a method."""

    def __init__(self, client: Client) -> None:
        self._single = load(client, "barring", "single")

    def write(self, one: Single, now: float) -> Written:
        """Write *one* down, all or nothing; *now* is in seconds since the epoch."""
        state, *rest = self._single(
            one.campaign,
            now,
            uuid4().hex,
            json.dumps(one.summary),
            one.policy,
            one.queue,
            one.account,
            one.payload,
            b"".join(one.fingerprints),
            one.message_id,
            "" if one.key is None else sha256(one.key.encode()).hexdigest()[:32],
            one.digest,
            max(int(one.remember), 1),
            one.told,
            one.trace,
            one.mail,
        )
        word = state.decode()
        if word == "suppressed":
            return Written(word, suppressed=tuple(int(offset) for offset in rest))
        if word == "queued":
            return Written(word, ref=rest[0].decode())
        return Written(word, message_id=rest[0].decode())
