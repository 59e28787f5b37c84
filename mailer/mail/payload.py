"""How a batch of messages is written down, versioned.

A payload is ``b"M" + version + zstd(msgpack)``. Version 1 packs a list with one entry a message:
``[reverse-path, forward-path, message-id, fingerprint, smtputf8, parts]``; a part is the bytes
themselves or, as extension type 1, the digest (32 octets) and size (4 octets) of a part that the
campaign stores once. Offsets in the list are the offsets in the batch's positions.

Version 2 packs ``[forms, entries]``: what messages have in common stands once (`mailer.mail.forms`). A
form is a list of parts, in which a number stands for one of a message's values; an entry ends in
``form, values`` where version 1 has the parts. It is for batches that a producer composes. A worker of an
earlier version cannot read it, so it is written only while every worker that lives says that it can
(`mailer.store.workers.able`); what is cut in pieces or moved later is of version 1.

Details (what is remembered of a recipient that was not accepted) are msgpack lists in the order of
`Detail`'s fields, the version in front. Both formats have golden files in the tests: a worker must
read what an older producer wrote, so a version is never changed, only added.
"""

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import msgpack

from mailer.errors import PayloadError, PayloadTooNewError
from mailer.mail.forms import Form, common, merged
from mailer.mail.message import Message, SharedPart
from mailer.mail.status import Detail

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

VERSION: Final = 2
"""The newest that is read."""
WITH_FORMS: Final = 2
"""The first in which messages have forms."""
_DETAIL_VERSION: Final = 1
LEVEL: Final = 3
"""Of zstd: mails of one campaign differ little, and 3 finds that as well as 9 in a fifth of the time."""

MAX_UNPACKED: Final = 1 << 30
"""Octets: no batch is unpacked beyond this, whatever its bytes claim."""

_SHARED: Final = 1


@dataclasses.dataclass(slots=True)
class Entry:
    """One message of a batch, with the fingerprint of its recipient (8 octets).

    Where it was written down by what it has in common with others: its *form*, and its *values*.
    """

    message: Message
    fingerprint: bytes
    form: Form | None = dataclasses.field(default=None, compare=False, repr=False)
    values: tuple[bytes, ...] = dataclasses.field(default=(), compare=False, repr=False)


def encode(entries: Sequence[Entry], version: int = 1) -> bytes:
    """Write a batch down; *entries* in the order of their positions."""
    packed = _packed(entries) if version < WITH_FORMS else _packed_by_forms(entries)
    return b"M" + bytes([version]) + zstd.compress(packed, LEVEL)


def _packed(entries: Sequence[Entry]) -> bytes:
    rows = [
        (*_envelope(one), [_pack_part(part) for part in merged(one.message.content)])
        for one in entries
    ]
    return cast("bytes", msgpack.packb(rows))


def _packed_by_forms(entries: Sequence[Entry]) -> bytes:
    forms, found = common([entry.message.content for entry in entries])
    rows = [(*_envelope(one), *row) for one, row in zip(entries, found, strict=True)]
    pieces = [[_pack_part(piece) for piece in form.pieces] for form in forms]
    return cast("bytes", msgpack.packb((pieces, rows)))


def _envelope(entry: Entry) -> tuple[object, ...]:
    message = entry.message
    path, to = message.reverse_path, message.forward_path
    return path, to, message.message_id, entry.fingerprint, message.smtputf8


def version_of(payload: bytes) -> int:
    """The version of a *payload* that `encode` wrote."""
    return payload[1]


def decode(payload: bytes) -> list[Entry]:
    """Read a batch.

    Raises `PayloadTooNewError` for one of a newer version, `PayloadError` for anything else that is none,
    and `MemoryError` where this machine has too little for it, which says nothing of the payload.
    """
    if payload[:1] != b"M" or len(payload) < 3:
        raise PayloadError("not a mailer payload: it does not begin with its mark", payload[:16])
    if payload[1] > VERSION:
        raise PayloadTooNewError(
            f"payload of version {payload[1]}, this mailer reads version {VERSION}: update the workers",
            payload[:16],
            payload[1],
        )
    if not payload[1]:
        raise PayloadError(f"payload of version {payload[1]}, which never was", payload[:16])
    try:
        packed = zstd.ZstdDecompressor().decompress(payload[2:], MAX_UNPACKED)
        rows = msgpack.unpackb(packed, ext_hook=_unpack_extension)
        if payload[1] < WITH_FORMS:
            return _read(rows)
        return list(_read_by_forms(*rows, octets=len(packed)))
    except (PayloadError, MemoryError):
        raise
    except Exception as exc:  # whatever damaged bytes provoke in two libraries
        raise PayloadError(f"damaged payload: {exc}", payload[:16]) from exc


def _read(rows: list[Any]) -> list[Entry]:
    return [
        Entry(Message(reverse, forward, tuple(parts), message_id, smtputf8), fingerprint)
        for reverse, forward, message_id, fingerprint, smtputf8, parts in rows
    ]


def _read_by_forms(pieces: list[Any], rows: list[Any], *, octets: int) -> Iterator[Entry]:
    forms = list(map(Form, pieces))
    # What is packed in so few octets cannot become too much: then no message's size is looked at.
    grown = sum(form.size for form in forms) * len(rows)
    grown += max((form.most for form in forms), default=0) * octets
    left = MAX_UNPACKED
    for reverse, forward, message_id, fingerprint, smtputf8, number, values in rows:
        form, own = forms[number], tuple(values)
        if len(own) != form.count:
            raise PayloadError("damaged payload: a message without some of its values")
        if grown > MAX_UNPACKED:
            left -= form.octets(own)
            if left < 0:
                raise PayloadError(f"damaged payload: more than {MAX_UNPACKED} octets")
        message = Message(reverse, forward, form.content(own), message_id, smtputf8)
        yield Entry(message, fingerprint, form, own)


def encode_detail(detail: Detail) -> bytes:
    """Write down what is remembered of one recipient."""
    return cast("bytes", msgpack.packb((_DETAIL_VERSION, *dataclasses.astuple(detail))))


def decode_detail(packed: bytes) -> Detail:
    """Read what is remembered of one recipient. Raises `PayloadError`."""
    try:
        version, *values = msgpack.unpackb(packed)
        detail = Detail(*values) if version == _DETAIL_VERSION else None
    except Exception as exc:  # as above
        raise PayloadError(f"damaged detail: {exc}") from exc
    if detail is None:
        raise PayloadError(f"detail of version {version}, this mailer reads {_DETAIL_VERSION}")
    return detail


def read_detail(packed: bytes) -> Detail:
    """The same for whoever must go on: what cannot be read says so, and nothing else is known."""
    try:
        return decode_detail(packed)
    except PayloadError as exc:
        return Detail("", text=f"(cannot be read: {exc})")


def _pack_part(part: bytes | SharedPart | int) -> Any:
    if isinstance(part, SharedPart):
        return msgpack.ExtType(_SHARED, bytes.fromhex(part.digest) + part.size.to_bytes(4, "big"))
    return part


def _unpack_extension(code: int, data: bytes) -> SharedPart:
    if code != _SHARED or len(data) != 36:  # 32 octets of digest, 4 of size
        raise PayloadError(f"unknown part of kind {code} in a payload")
    return SharedPart(data[:32].hex(), int.from_bytes(data[32:], "big"))
