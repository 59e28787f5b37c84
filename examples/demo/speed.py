"""How fast it went: on the whole, and in the best stretch."""

from collections import deque

STRETCH = 2.0


class Speed:
    """Counts of accepted messages over time; *best* is the highest rate over any `STRETCH` seconds."""

    def __init__(self) -> None:
        self.best = 0.0
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, accepted: int) -> None:
        """*accepted* messages so far, at *now*."""
        self._seen.append((now, accepted))
        while len(self._seen) > 2 and now - self._seen[1][0] >= STRETCH:
            self._seen.popleft()
        then, before = self._seen[0]
        if now - then >= STRETCH:
            self.best = max(self.best, (accepted - before) / (now - then))
