"""How a worker and its helper speak: msgpack with its length before it, over pipes."""

from typing import IO, Any, Final

import msgpack

_LENGTH: Final = 4


def write_frame(stream: IO[bytes], value: Any) -> None:
    """Write one value and flush it."""
    packed = msgpack.packb(value)
    stream.write(len(packed).to_bytes(_LENGTH, "big") + packed)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Any:
    """Read one value. Raises `EOFError` where the other side has ended."""
    length = stream.read(_LENGTH)
    if len(length) < _LENGTH:
        raise EOFError
    packed = stream.read(int.from_bytes(length, "big"))
    if len(packed) < int.from_bytes(length, "big"):
        raise EOFError
    return msgpack.unpackb(packed)
