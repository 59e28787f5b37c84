"""How a part that a campaign's messages share is stored: zstd, once a campaign."""

import sys
from typing import Final

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL: Final = 3


def pack(part: bytes) -> bytes:
    """The part as it lies in Redis."""
    return zstd.compress(part, LEVEL)


def unpack(stored: bytes) -> bytes:
    """The part's own octets."""
    return zstd.decompress(stored)
