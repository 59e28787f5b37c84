"""How much CPU a message that came back costs: median, 99th percentile, adversaries; beside flufl.bounce.

    python benchmarks/feedback.py [FOLDER with .eml files …]

Without folders the messages are made here. flufl.bounce is measured where it is installed.
"""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from email import message_from_bytes
from pathlib import Path

from mailer.feedback import read

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.feedback.made import ADVERSARIES, ordinary

ROUNDS = 20


def main(folders: Sequence[str]) -> None:
    """Print a table of milliseconds of CPU a message."""
    files = [file for folder in folders for file in sorted(Path(folder).rglob("*.eml"))]
    messages = [file.read_bytes() for file in files] or list(ordinary())
    print(f"{len(messages)} messages, milliseconds of CPU each")
    _row("mailer.feedback.read", [_spent(read, one) for one in messages])
    _row("email.message_from_bytes", [_spent(message_from_bytes, one) for one in messages])
    try:
        from flufl.bounce import all_failures  # noqa: PLC0415 - it may be missing
    except ImportError:
        print("flufl.bounce is not installed")
    else:
        _row("flufl.bounce", [_spent(_flufl(all_failures), one) for one in messages])
    print("adversaries of 1 MiB, milliseconds of CPU")
    for name, octets in ADVERSARIES.items():
        print(f"{name:28} {_spent(read, octets, rounds=1):8.1f}")


def _flufl(all_failures: Callable[..., object]) -> Callable[[bytes], object]:
    def failures(octets: bytes) -> object:
        try:
            return all_failures(message_from_bytes(octets))
        except Exception:  # noqa: BLE001 - it raises on foreign octets; the time counts all the same
            return None

    return failures


def _spent(what: Callable[[bytes], object], octets: bytes, rounds: int = ROUNDS) -> float:
    what(octets)
    start = time.process_time()
    for _ in range(rounds):
        what(octets)
    return (time.process_time() - start) / rounds * 1000


def _row(name: str, spent: Iterable[float]) -> None:
    ordered = sorted(spent)
    median, late = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    print(f"{name:28} median {median:6.3f}   p99 {late:6.3f}   max {ordered[-1]:6.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
