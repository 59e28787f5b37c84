"""How a process keeps the memory that it needs again and again.

A batch is unpacked, sent and forgotten, megabytes at a time. By default the C library returns such
blocks to the kernel and fetches them back for the next batch: a page fault for each 4 KB, seven a
newsletter, which on a virtual machine cost as much as writing it to the socket.
"""

from typing import Final

KEPT: Final = 24 << 20
"""Octets: blocks up to this size are kept. glibc takes none above 32 MB into account."""


def keep_freed() -> None:
    """From now on keep what is freed, up to twice `KEPT`, for what is allocated next.

    glibc raises both of its thresholds (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD) when a block that it had
    mapped by itself is freed; so one is made and freed. Its pages are never touched, and elsewhere than
    with glibc nothing changes.
    """
    bytes(KEPT)
