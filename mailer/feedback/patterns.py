"""Many regular expressions looked for at once, cheaply.

Each pattern of the rule files is searched for only in a text that holds one of its *needles*: words
without which it cannot match. Looking for a word costs a hundredth of a search.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_QUANTIFIER: Final = re.compile(r"[?*+]|\{\d+(,\d*)?\}")
_OPTIONAL: Final = ("?", "*", "{0")
_CLASS: Final = re.compile(r"\[\^?\]?[^\]]*\]")


@dataclass(frozen=True, slots=True)
class _Pattern:
    needles: tuple[str, ...]
    regex: re.Pattern[str]


class Patterns:
    """Regular expressions of which one is enough; case does not count."""

    def __init__(self, sources: Iterable[str] = ()) -> None:
        self._patterns = tuple(
            _Pattern(needles(source), re.compile(source, re.IGNORECASE)) for source in sources
        )

    def search(self, text: str) -> re.Match[str] | None:
        """The first match of the first pattern that matches *text*."""
        lower = text.lower()
        for pattern in self._patterns:
            if pattern.needles and not any(needle in lower for needle in pattern.needles):
                continue
            if found := pattern.regex.search(text):
                return found
        return None


def needles(source: str) -> tuple[str, ...]:
    """Words, in lower case, of which one is in every text that the regular expression matches.

    Empty when none can be told. Understands what the rule files use: literals, classes, groups of
    alternatives, quantifiers; no look-arounds.
    """
    options = [_best(branch) for branch in _branches(source)]
    return tuple(word for words in options for word in words) if all(options) else ()


def _best(branch: str) -> tuple[str, ...]:
    """The most telling of the elements that a match cannot do without."""
    best: tuple[str, ...] = ()
    for words in _elements(branch):
        if words and min(map(len, words)) > min(map(len, best), default=1):
            best = words
    return best


def _branches(source: str) -> list[str]:
    """The alternatives of the outermost level."""
    branches, depth, start, at = [], 0, 0, 0
    while at < len(source):
        letter = source[at]
        if letter == "[":
            at += len(_CLASS.match(source, at)[0]) - 1  # type: ignore[index]
        elif letter == "\\":
            at += 1
        elif letter == "|" and not depth:
            branches.append(source[start:at])
            start = at + 1
        depth += (letter == "(") - (letter == ")")
        at += 1
    return [*branches, source[start:]]


def _elements(branch: str) -> Iterable[tuple[str, ...]]:
    """For each element in turn the words of which it wants one; runs of letters as one element."""
    run, at = "", 0
    while at < len(branch):
        words, end = _element(branch, at)
        quantifier = _QUANTIFIER.match(branch, end)
        after = quantifier.end() if quantifier else end
        optional = quantifier is not None and quantifier[0].startswith(_OPTIONAL)
        if len(words) == 1 and end - at <= 2 and not quantifier:
            run += words[0]
        else:
            yield (run,) if run else ()
            run = ""
            yield () if optional else words
        at = after
    yield (run,) if run else ()


def _element(branch: str, at: int) -> tuple[tuple[str, ...], int]:
    """One element at *at*: its words, and where it ends."""
    letter = branch[at]
    if letter == "\\":
        following = branch[at + 1]
        return ((), at + 2) if following.isalnum() else ((following.lower(),), at + 2)
    if letter == "[":
        return (), _CLASS.match(branch, at).end()  # type: ignore[union-attr]
    if letter == "(":
        end = _closing(branch, at)
        return needles(branch[at + 1 : end].removeprefix("?:")), end + 1
    return ((), at + 1) if letter in ".^$" else ((letter.lower(),), at + 1)


def _closing(branch: str, at: int) -> int:
    depth = 0
    while True:
        letter = branch[at]
        if letter == "[":
            at += len(_CLASS.match(branch, at)[0]) - 1  # type: ignore[index]
        elif letter == "\\":
            at += 1
        depth += (letter == "(") - (letter == ")")
        if letter == ")" and not depth:
            return at
        at += 1
