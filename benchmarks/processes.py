"""What processes have cost: CPU time and memory of a tree of them, from ``/proc``."""

import os
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()


def tree(root: int) -> list[int]:
    """*root* and all its descendants that live."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    found, ahead = [], [root]
    while ahead:
        pid = ahead.pop()
        found.append(pid)
        ahead += children.get(pid, [])
    return found


def cpu_seconds(*roots: int) -> float:
    """CPU time of the trees, user and system, those that ended and were waited for included."""
    total = 0
    for root in roots:
        for pid in tree(root):
            try:
                total += sum(int(field) for field in _stat(pid)[11:15])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return total * _TICK


def resident(pid: int) -> int:
    """Octets of memory that are the process's own: shared pages (libraries, a parent's) do not count."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
