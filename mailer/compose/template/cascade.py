"""Which declarations are written onto an element, of all rules that match it, and in which order."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from mailer.compose.template.stylesheet import Declaration, Rule

# Names of properties. CSS has fewer: a style sheet with more is made up, and to compare each with all
# others would take quadratic time.
_MOST_BLOCKED: Final = 1_000
# Families in which one property may set a part of another, though neither name begins with the other:
# margin-left and margin-inline.
_ENTANGLED: Final = frozenset("margin padding border inset font grid flex background".split())  # noqa: SIM905
_SIMPLE_VALUE: Final = re.compile(r"[\w#.%\s,+-]*")


def written(
    rules: Sequence[Rule], certain: Sequence[int], possible: Sequence[int]
) -> list[Declaration]:
    """Return the declarations to write into a tag, the weakest first.

    *certain* and *possible* are numbers of *rules* that match it, and that may match it. The strongest
    are looked at first. A declaration that stays in the style sheet alone must not be overridden by an
    attribute: so no weaker one that sets the same is written.
    """
    ranked = []
    sure = set(certain)
    for number in {*certain, *possible}:
        rule = rules[number]
        for order, one in enumerate(rule.declarations):
            writes = number in sure and one.always
            ranked.append(((one.important, rule.specificity, number, order), one, writes))
    ranked.sort(key=lambda item: item[0], reverse=True)
    blocked: dict[str, None] = {}
    kept: list[Declaration] = []
    for _, one, writes in ranked:
        if writes and (one.important or not _is_blocked(one.name, blocked)):
            kept.append(one)
        elif not one.important:
            blocked[one.name] = None
    kept.reverse()
    return _shortened(kept)


def _is_blocked(name: str, blocked: Mapping[str, None]) -> bool:
    if len(blocked) > _MOST_BLOCKED:
        return True  # not worth looking: there are not so many properties
    return any(_related(name, other) for other in blocked)


def _related(one: str, other: str) -> bool:
    """Tell whether two properties set something in common."""
    if one == other or "*" in {one, other} or "all" in {one, other}:
        return True
    if one.startswith(f"{other}-") or other.startswith(f"{one}-"):
        return True
    first, second = one.partition("-")[0], other.partition("-")[0]
    if {one, other} == {"font", "line-height"}:
        return True
    return first == second and first in _ENTANGLED


def _shortened(kept: Sequence[Declaration]) -> list[Declaration]:
    """Leave out a declaration that a later one of the same property overrides for certain.

    One with a value that not every reader knows may not override it: both are kept.
    """
    last = {one.name: index for index, one in enumerate(kept)}
    return [
        one
        for index, one in enumerate(kept)
        if last[one.name] == index or not _SIMPLE_VALUE.fullmatch(kept[last[one.name]].value)
    ]


def agreed(places: Sequence[list[Declaration]]) -> list[Declaration]:
    """Return the declarations that all *places* have, for a tag of a file that is used several times."""
    first = places[0]
    if all(place == first for place in places):
        return first
    dropped = [one for place in places for one in place if not all(one in p for p in places)]
    return [
        one
        for one in first
        if all(one in p for p in places) and not any(_related(one.name, d.name) for d in dropped)
    ]
