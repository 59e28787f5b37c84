"""How a batch of messages is written down, versioned.

A payload is ``b"M" + version + zstd(msgpack)``. Version 1 packs a list with one entry a message:
``[reverse-path, forward-path, message-id, fingerprint, smtputf8, parts]``; a part is the bytes
themselves or, as extension type 1, the digest (32 octets) and size (4 octets) of a part that the
campaign stores once. Offsets in the list are the offsets in the batch's positions.

Details (what is remembered of a recipient that was not accepted) are msgpack lists in the order of
`Detail`'s fields, the version in front. Both formats have golden files in the tests: a worker must
read what an older producer wrote, so a version is never changed, only added.
"""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any, Final, cast

import msgpack

from mailer.errors import PayloadError, PayloadTooNewError
from mailer.mail.message import Message, SharedPart
from mailer.mail.status import Detail

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

VERSION: Final = 1
LEVEL: Final = 3
"""Of zstd: mails of one campaign differ little, and 3 finds that as well as 9 in a fifth of the time."""

MAX_UNPACKED: Final = 1 << 30
"""Octets: no batch is unpacked beyond this, whatever its bytes claim."""

_SHARED: Final = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One message of a batch, with the fingerprint of its recipient (8 octets)."""

    message: Message
    fingerprint: bytes


def encode(entries: Sequence[Entry]) -> bytes:
    """Write a batch down; *entries* in the order of their positions."""
    rows = [
        (
            entry.message.reverse_path,
            entry.message.forward_path,
            entry.message.message_id,
            entry.fingerprint,
            entry.message.smtputf8,
            [_pack_part(part) for part in entry.message.content],
        )
        for entry in entries
    ]
    packed = cast("bytes", msgpack.packb(rows))
    return b"M" + bytes([VERSION]) + zstd.compress(packed, LEVEL)


def decode(payload: bytes) -> list[Entry]:
    """Read a batch.

    Raises `PayloadTooNewError` for one of a newer version, `PayloadError` for anything else that is none.
    """
    if payload[:1] != b"M" or len(payload) < 3:
        raise PayloadError("not a mailer payload: it does not begin with its mark", payload[:16])
    if payload[1] > VERSION:
        raise PayloadTooNewError(
            f"payload of version {payload[1]}, this mailer reads version {VERSION}: update the workers",
            payload[:16],
            payload[1],
        )
    if payload[1] != VERSION:
        raise PayloadError(f"payload of version {payload[1]}, which never was", payload[:16])
    try:
        packed = zstd.ZstdDecompressor().decompress(payload[2:], MAX_UNPACKED)
        rows = msgpack.unpackb(packed, ext_hook=_unpack_extension)
        return [
            Entry(Message(reverse, forward, tuple(parts), message_id, smtputf8), fingerprint)
            for reverse, forward, message_id, fingerprint, smtputf8, parts in rows
        ]
    except PayloadError:
        raise
    except Exception as exc:  # whatever damaged bytes provoke in two libraries
        raise PayloadError(f"damaged payload: {exc}", payload[:16]) from exc


def encode_detail(detail: Detail) -> bytes:
    """Write down what is remembered of one recipient."""
    return cast("bytes", msgpack.packb((VERSION, *dataclasses.astuple(detail))))


def decode_detail(packed: bytes) -> Detail:
    """Read what is remembered of one recipient. Raises `PayloadError`."""
    try:
        version, *values = msgpack.unpackb(packed)
        detail = Detail(*values) if version == VERSION else None
    except Exception as exc:  # as above
        raise PayloadError(f"damaged detail: {exc}") from exc
    if detail is None:
        raise PayloadError(f"detail of version {version}, this mailer reads {VERSION}")
    return detail


def read_detail(packed: bytes) -> Detail:
    """The same for whoever must go on: what cannot be read says so, and nothing else is known."""
    try:
        return decode_detail(packed)
    except PayloadError as exc:
        return Detail("", text=f"(cannot be read: {exc})")


def _pack_part(part: bytes | SharedPart) -> Any:
    if isinstance(part, SharedPart):
        return msgpack.ExtType(_SHARED, bytes.fromhex(part.digest) + part.size.to_bytes(4, "big"))
    return part


def _unpack_extension(code: int, data: bytes) -> SharedPart:
    if code != _SHARED or len(data) != 36:  # 32 octets of digest, 4 of size
        raise PayloadError(f"unknown part of kind {code} in a payload")
    return SharedPart(data[:32].hex(), int.from_bytes(data[32:], "big"))
