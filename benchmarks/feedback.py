"""How much CPU a message that came back costs, what is recognised, and how many are recorded a second.

    python benchmarks/feedback.py [FOLDER with .eml files …]

Without folders the messages are those of the tests, whose meaning is known. flufl.bounce, which tells
addresses only, is measured beside it where it is installed.
"""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from email import message_from_bytes
from pathlib import Path

from servers import Redis

from mailer.feedback import Kind, read
from mailer.feedback.returns import Returns
from mailer.mail.policy import CampaignPolicy
from mailer.store.campaigns import Campaigns
from mailer.store.connection import connect
from mailer.store.feedback.records import Brake

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.feedback.made import ADVERSARIES, failed, ordinary
from tests.feedback.test_notices import notices
from tests.feedback.test_returns import to as return_path

ROUNDS = 20
RECORDED = 5_000


def main(folders: Sequence[str]) -> None:
    """Print a table of milliseconds of CPU a message."""
    files = [file for folder in folders for file in sorted(Path(folder).rglob("*.eml"))]
    messages = [file.read_bytes() for file in files] or _known()
    print(f"{len(messages)} messages, milliseconds of CPU each")
    _row("mailer.feedback.read", [_spent(read, one) for one in messages])
    _row("email.message_from_bytes", [_spent(message_from_bytes, one) for one in messages])
    try:
        from flufl.bounce import all_failures  # noqa: PLC0415 - it may be missing
    except ImportError:
        print("flufl.bounce is not installed")
    else:
        _row("flufl.bounce", [_spent(_flufl(all_failures), one) for one in messages])
        _recognised(_flufl(all_failures))
    print("adversaries of 1 MiB, milliseconds of CPU")
    for name, octets in ADVERSARIES.items():
        print(f"{name:28} {_spent(read, octets, rounds=1):8.1f}")
    _recording()


def _known() -> list[bytes]:
    return [*ordinary(), *(notice.octets for notice in notices())]


def _recognised(flufl: Callable[[bytes], object]) -> None:
    """Of the notices of the tests: whose recipient is told as failed, and what is taken for a failure."""

    def ours(octets: bytes) -> set[str]:
        return {one.recipient or "?" for one in read(octets) if one.kind is Kind.BOUNCE}

    def theirs(octets: bytes) -> set[str]:
        temporary, permanent = flufl(octets) or (set(), set())
        return {one.decode("utf-8", "replace") for one in {*temporary, *permanent}}

    failures = [one for one in notices() if one.kinds == {"bounce"}]
    others = [one for one in notices() if "bounce" not in one.kinds]
    for name, told in (("mailer.feedback.read", ours), ("flufl.bounce", theirs)):
        right = sum(one.recipient in told(one.octets) for one in failures)
        wrong = sum(bool(told(one.octets)) for one in others)
        print(
            f"{name:28} {right} of {len(failures)} failures with their recipient; "
            f"{wrong} of {len(others)} others taken for one"
        )


def _recording() -> None:
    """Bounces from octets to Redis, each of another recipient, by one process."""
    with Redis() as redis:
        client = connect(redis.url)
        Campaigns(client).open(
            "spring", digest="d", summary={}, policy=CampaignPolicy(), accept_changes=False, now=1.0
        )
        returns = Returns(client, ["s"], Brake(None, None))
        bounces = []
        for number in range(RECORDED):
            mailbox = f"u{number}@example.org"
            to = return_path(mailbox, "spring", "s")
            bounces.append((failed("550 5.1.1 unknown", status="5.1.1", recipient=mailbox), [to]))
        began, before = time.perf_counter(), time.process_time()
        new = sum(returns.take(octets, "pipe", to)[0].answer == "new" for octets, to in bounces)
        took, spent = time.perf_counter() - began, time.process_time() - before
        assert new == RECORDED, new
        print(f"{RECORDED / took:,.0f} recorded a second by one process", end=", ")
        print(f"{1e6 * spent / RECORDED:.0f} us CPU each")


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
