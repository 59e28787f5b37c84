"""How the scripts write which recipients of a campaign a batch or a dead letter holds."""

from collections.abc import Sequence
from itertools import pairwise


def pack_positions(positions: Sequence[int]) -> str:
    """Write positions as the scripts read them: ``12+200`` for a run, else ``12,15,40``."""
    if positions and all(after - before == 1 for before, after in pairwise(positions)):
        return f"{positions[0]}+{len(positions)}"
    return ",".join(map(str, positions))


def unpack_positions(text: str) -> tuple[int, ...]:
    """Read positions as the scripts write them."""
    start, plus, count = text.partition("+")
    if plus:
        return tuple(range(int(start), int(start) + int(count)))
    return tuple(int(position) for position in text.split(",") if position)
