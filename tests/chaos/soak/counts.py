"""What may not grow: descriptors, memory, processes, files, and what Redis holds."""

import contextlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from redis import exceptions as redis_errors

FEW = 4
"""Descriptors, processes or files by which two moments differ without a leak."""

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Growth:
    """One count before, after the warm-up and at the end, and whether it grew more than *allowed*."""

    name: str
    first: float
    early: float
    late: float
    allowed: float

    @property
    def is_fine(self):
        return self.late - self.early <= self.allowed

    def line(self):
        said = "holds" if self.is_fine else "GROWS"
        numbers = (self.first, self.early, self.late, self.late - self.early, self.allowed)
        return f"{self.name:<34}" + "".join(f"{one:>11,.1f}" for one in numbers) + f"  {said}"


HEADING = f"{'':<34}" + "".join(
    f"{word:>11}" for word in ("before", "warm", "end", "growth", "allowed")
)


class Counts:
    """The counts of a world, taken once a minute. *veterans* are its processes that are never killed."""

    def __init__(self, world, veterans):
        self._world = world
        self._veterans = veterans
        self.taken = []

    def take(self):
        found = {}
        for name, process in self._veterans.items():
            with contextlib.suppress(OSError):  # it has ended, which is seen elsewhere
                found |= {f"{name}, {what}": number for what, number in of_process(process.pid)}
        found["processes"] = len(living_in(self._world.folder))
        # A killed worker leaves an empty folder of multiprocessing's, which it cannot remove.
        left = (self._world.folder / "tmp").rglob("*")
        found["files in TMPDIR"] = sum(not one.name.startswith("pymp-") for one in left)
        with contextlib.suppress(redis_errors.RedisError, OSError):
            found |= self._of_redis()
        self.taken.append(found)
        return found

    def _of_redis(self):
        client = self._world.client
        found = {
            "Redis, connections": client.info("clients")["connected_clients"],
            "Redis, MiB": client.info("memory")["used_memory"] / (1 << 20),
            "Redis, events not read yet": client.xlen("mailer:events"),
        }
        kinds = Counter(kind_of(key.decode()) for key in client.scan_iter(count=1000))
        found |= {f"Redis, keys {kind}": number for kind, number in kinds.items()}
        return found | {"Redis, keys": sum(kinds.values())}

    def growths(self):
        """Each count, compared between the fifth after the warm-up (a fifth, too) and the last one."""
        rows = self.taken
        share = max(1, len(rows) // 5)
        for name in sorted({name for row in rows for name in row}):
            series = [row.get(name, 0) for row in rows]
            early, late = median(series[share : 2 * share] or series), median(series[-share:])
            yield Growth(name, series[0], early, late, allowed(name, early))


def allowed(name, early):
    """By how much a count may differ between two moments of the same load."""
    if name.endswith("MiB"):
        return max(3.0, early * 0.08)
    if name.startswith("Redis, keys") or "not read" in name:
        return max(40.0, early * 0.5)  # campaigns come and go, and are of many sizes
    if name == "Redis, connections":
        return max(FEW, early * 0.25)  # over all processes: as many as work now
    # A pool keeps what Redis has closed until it is used again: as many as were ever needed at once.
    return FEW + early * 0.15


def of_process(pid):
    """Descriptors, sockets, threads and memory of one process."""
    links = []
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(str(one.readlink()))
    yield "descriptors", len(links)
    yield "sockets", sum(link.startswith("socket:") for link in links)
    yield "threads", len(list(Path(f"/proc/{pid}/task").iterdir()))
    yield "MiB", int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / (1 << 20)


def living_in(folder):
    """All processes that work in *folder*, whoever their parents are."""
    found = []
    for one in Path("/proc").iterdir():
        if one.name.isdigit():
            with contextlib.suppress(OSError):
                if (one / "cwd").readlink().is_relative_to(folder):
                    found.append(int(one.name))
    return found


def kind_of(key):
    """``batch`` of ``mailer:batch:spring:7``."""
    return ":".join(key.split(":")[1:2]) or key
