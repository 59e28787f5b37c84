"""Does composing cost more in this checkout than in another? Answers in about two minutes.

    python benchmarks/compare.py ../before               thirty rounds
    python benchmarks/compare.py ../before --rounds 5

*../before* is a checkout of another commit with an environment of its own in ``.venv``. In each round a
fresh process of either side composes the same mails for the same readers, whom it has not seen before:
the newsletter of `letters.py` (15 KB, 23 links), its plain text, and the example newsletter in
``templates/`` (15 KB, style sheets, a layout, conditions, 25 links). The side that begins changes. What
is printed is the CPU time of a message, as the median over rounds, and the median of the rounds' ratios:
a busy machine slows both sides alike.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "templates"
KINDS = ("newsletter", "text", "example")
MESSAGES = 400
REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=30)
    wanted = parser.parse_args()
    before, after = Side(wanted.before), Side(HERE.parent)
    for number in range(wanted.rounds):
        for side in (before, after) if number % 2 else (after, before):
            side.measure()
    print(f"{wanted.rounds} rounds, {MESSAGES} messages, µs of CPU a message\n")
    print(f"{'':12} {'before':>8} {'now':>8} {'ratio':>8} {'median of ratios':>18}")
    for kind in KINDS:
        then, now = before.found[kind], after.found[kind]
        middle = [statistics.median(times) for times in (then, now)]
        ratios = [new / old for old, new in zip(then, now, strict=True)]
        print(
            f"{kind:12} {middle[0]:8.1f} {middle[1]:8.1f} {middle[1] / middle[0]:8.3f} "
            f"{statistics.median(ratios):18.3f}"
        )


@dataclass
class Side:
    """A checkout, and what its rounds cost."""

    checkout: Path
    found: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def measure(self) -> None:
        """Do one round in a process of its own."""
        python = self.checkout.absolute() / ".venv/bin/python"
        done = subprocess.run(
            [python, __file__, "--child"],
            cwd=self.checkout,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        for kind, cost in json.loads(done.stdout).items():
            self.found[kind].append(cost)


def child() -> None:
    """Print what a message of each kind costs in this process."""
    # The package of the checkout that is measured, and the letters of the one that measures.
    sys.path[0:0] = [str(Path.cwd()), str(HERE)]
    import letters  # noqa: PLC0415 - found by the line above

    lists = [list(letters.rows(MESSAGES, f"list{number}")) for number in range(REPEATS + 1)]
    mails = {kind: (letters.TEMPLATES, letters.template_of(kind)) for kind in KINDS}
    mails["example"] = (EXAMPLES, "newsletter")
    works = {kind: _work(*mail) for kind, mail in mails.items()}
    for work in works.values():
        work(lists[0])
    costs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for rows in lists[1:]:
        for kind, work in works.items():
            costs[kind].append(work(rows))
    print(json.dumps({kind: min(found) for kind, found in costs.items()}))


def _work(templates: Path, template: str) -> Callable[[list[dict[str, str]]], float]:
    """Return what composes for rows, and tells what a message cost."""
    from mailer.compose import Composer, Design, Unsubscribe  # noqa: PLC0415 - of either checkout

    try:
        from mailer.mail.recipients import parse  # noqa: PLC0415 - of either checkout
    except ImportError:
        from mailer.recipients import parse  # noqa: PLC0415 - version 0.1.0
    design = Design(
        campaign="compare",
        template=template,
        templates_path=templates,
        sender="Käthe Lindenhof <news@shop.example>",
        context={"season": "spring"},
        unsubscribe=Unsubscribe("https://shop.example/u/{token}"),
        secret="not a secret",
        list_id="Lindenhof news <news.shop.example>",
    )
    composer = Composer(design)

    def work(rows: list[dict[str, str]]) -> float:
        readers = [parse(row, number) for number, row in enumerate(rows, 1)]
        began = time.process_time()
        for reader in readers:
            composer.compose(reader)
        return (time.process_time() - began) / MESSAGES * 1e6

    return work


if __name__ == "__main__":
    if sys.argv[1:] == ["--child"]:
        child()
    else:
        main()
