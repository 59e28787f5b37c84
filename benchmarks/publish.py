"""Put the comparison's figures into README.md and docs/performance.md, as `make bench` has written them.

    python benchmarks/publish.py

Reads ``results/comparison.md`` and writes between the marks ``<!-- comparison -->`` and ``<!-- end -->``
of both documents: nobody types a figure.
"""

import re
from pathlib import Path

from servers import HERE

MARKED = re.compile(r"(<!-- comparison -->\n).*?(<!-- end -->)", re.DOTALL)
KINDS = ("newsletter", "text", "attachment")
AS_SENT = ("submission", "signed")
DISTANCES = ("0 ms", "20 ms", "80 ms")
LEFT_OUT = ("aiosmtplib",)
"""In README, which is to stay short."""
Rates = dict[tuple[str, str], dict[str, str]]


def main() -> None:
    told = (HERE / "results" / "comparison.md").read_text()
    facts = told.split("\n\n")[1].split("\n")[0].rstrip(".")
    targets = told.split("\n\n")[2]
    rates = read(told)
    few = {column: _without(found, *LEFT_OUT) for column, found in rates.items()}
    _write(HERE.parent / "README.md", "\n" + _table(few, KINDS[:1]))
    body = f"{facts}.\n\n{targets}\n\nMessages a second, medians.\n\n{_table(rates, KINDS)}"
    if any(kind in AS_SENT for kind, _ in rates):
        table = _table(rates, AS_SENT)
        body += (
            f"\nNewsletters as people send them: submitted after a login, and signed.\n\n{table}"
        )
    _write(HERE.parent / "docs" / "performance.md", body)


def read(told: str) -> Rates:
    """The median rates by kind and distance, and in them by contender."""
    found: Rates = {}
    for part in told.split("\n## ")[1:]:
        kind, _, distance = part.partition("\n")[0].partition(", ")
        rows = re.findall(r"^\| (?!\|)([^|]+?) \| ([\d.,]+)", part, re.MULTILINE)
        found[kind, distance] = dict(rows)
    return found


def _without(rates: dict[str, str], *names: str) -> dict[str, str]:
    return {name: rate for name, rate in rates.items() if name not in names}


def _table(rates: Rates, kinds: tuple[str, ...]) -> str:
    columns = [
        (kind, distance) for kind in kinds for distance in DISTANCES if (kind, distance) in rates
    ]
    names = [f"{kind} {distance}" if len(kinds) > 1 else distance for kind, distance in columns]
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(columns)]
    for contender in dict.fromkeys(name for column in columns for name in rates[column]):
        cells = [rates[column].get(contender, "–") for column in columns]
        lines.append(f"| {contender} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _write(document: Path, body: str) -> None:
    text = document.read_text()
    if not MARKED.search(text):
        raise SystemExit(f"{document.name} has no mark <!-- comparison --> with its <!-- end -->")
    document.write_text(MARKED.sub(lambda match: f"{match[1]}{body}{match[2]}", text, count=1))


if __name__ == "__main__":
    main()
