"""What to do about a reply: rules that are data, and the one function that applies them.

`rules.toml` beside this file holds the rules and explains their order. A rule matches when everything
that it names matches: provider, stage, code, enhanced status code, text. The first rule that matches
decides. A user's own rules, from their configuration, come before all of these.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Any

from mailer.errors import ConfigError
from mailer.smtp.replies.actions import Action, Reason
from mailer.smtp.reply import Reply, Stage

__all__ = ["Action", "Judgement", "Rule", "judge", "parse", "rule_for"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The *action* to take, and the name of the *rule* that says so.

    *is_certain* is False where it may not hold for others: it was found before TLS was verified, so that
    anybody may have said it, or it lies with this host. It decides nothing for good then.
    """

    action: Action
    rule: str
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the rule book; an empty field matches everything.

    *codes* are prefixes (`4`, `45`, `450`); *enhanced* are status codes, with `*` for any rest
    (`5.7.*`); *text* is searched in the reply's text, whatever the case, and *unless* must not be there.
    """

    name: str
    action: Action
    providers: frozenset[str] = frozenset()
    stages: frozenset[Stage] = frozenset()
    codes: tuple[str, ...] = ()
    enhanced: tuple[str, ...] = ()
    text: re.Pattern[str] | None = None
    unless: re.Pattern[str] | None = None
    reason: Reason | None = None
    """What it means in a bounce; None: what the action means."""

    def matches(self, stage: Stage, reply: Reply, text: str, provider: str) -> bool:
        """Whether it speaks about *reply*, of that *text*, to *stage* of *provider* as known here."""
        return (
            (not self.providers or provider in self.providers)
            and (not self.stages or stage in self.stages)
            and (not self.codes or str(reply.code).startswith(self.codes))
            and (not self.enhanced or is_among(reply.enhanced, self.enhanced))
            and (self.text is None or self.text.search(text) is not None)
            and (self.unless is None or self.unless.search(text) is None)
        )


def judge(
    stage: Stage, reply: Reply, provider: str | None = None, extra: Sequence[Rule] = ()
) -> Judgement:
    """Say what *reply*, given at *stage* by a server of *provider*, asks for.

    *extra* are the user's rules and come first. An unknown provider means the general rules.
    """
    _, action, name = rule_for(stage, reply, provider, extra)
    return Judgement(action, name)


def rule_for(
    stage: Stage, reply: Reply, provider: str | None = None, extra: Sequence[Rule] = ()
) -> tuple[Rule | None, Action, str]:
    """Return the rule that decides about *reply*, its action and its name; see `judge`.

    There is no rule for a positive reply, nor for one of the wrong class.
    """
    if reply.code >= 400 or extra:
        name = _known_as(provider or "")
        text = reply.text if reply.unmasked is None else reply.unmasked
        for rule in chain(extra, _own_rules()):
            if rule.matches(stage, reply, text, name):
                return rule, rule.action, rule.name
    expected = _expected(stage, reply)
    return None, expected.action, expected.rule


def parse(
    data: Iterable[Mapping[str, object]], source: str = "mailer.toml", key: str = "rules"
) -> tuple[Rule, ...]:
    """Make rules of tables as TOML gives them; raise `ConfigError` that names the place.

    The keys of a table are those of `rules.toml`: `action`, and any of `name`, `provider`, `stage`,
    `code`, `enhanced`, `text`, `unless`, `reason`.
    """
    rules = []
    for number, table in enumerate(data, 1):
        place = f"{source}: {key}[{number}]"
        try:
            rules.append(_rule(table, f"{key}[{number}]"))
        except (ValueError, TypeError, re.error) as exc:
            raise ConfigError(f"{place}: {exc}") from exc
    return tuple(rules)


_KEYS = frozenset(
    {"name", "action", "provider", "stage", "code", "enhanced", "text", "unless", "reason"}
)


def _rule(table: Mapping[str, object], name: str) -> Rule:
    if not isinstance(table, Mapping):
        raise TypeError("a rule is a table with 'action' and what it matches")
    if unknown := sorted(set(table) - _KEYS):
        raise ValueError(f"unknown key {unknown[0]!r}: one of {' '.join(sorted(_KEYS))}")
    if "action" not in table:
        raise ValueError("'action' is missing")
    codes = strings(table, "code")
    if bad := [code for code in codes if not re.fullmatch("[2-5][0-9]{0,2}", code)]:
        raise ValueError(f"code {bad[0]!r} is no reply code or beginning of one")
    return Rule(
        name=str(table.get("name", name)),
        action=_action(table["action"]),
        providers=frozenset(_plain_name(provider) for provider in strings(table, "provider")),
        stages=frozenset(Stage.named(stage) for stage in strings(table, "stage")),
        codes=codes,
        enhanced=strings(table, "enhanced"),
        text=pattern(table, "text"),
        unless=pattern(table, "unless"),
        reason=_reason(table.get("reason")),
    )


def pattern(table: Mapping[str, object], key: str) -> re.Pattern[str] | None:
    """The regular expressions under *key* as one, or None where there are none."""
    alternatives = "|".join(f"(?:{one})" for one in strings(table, key))
    return re.compile(alternatives, re.IGNORECASE) if alternatives else None


def _action(value: object) -> Action:
    if value == Action.OK.value:
        raise ValueError("'ok' is what positive replies mean by themselves: no rule makes it")
    try:
        return Action(value)
    except ValueError:
        names = " ".join(action.value for action in Action)
        raise ValueError(f"no action is called {value!r}: one of {names}") from None


def _reason(value: object) -> Reason | None:
    try:
        return None if value is None else Reason(str(value))
    except ValueError:
        names = " ".join(Reason)
        raise ValueError(f"no reason is called {value!r}: one of {names}") from None


def strings(table: Mapping[str, object], key: str) -> tuple[str, ...]:
    """The string, or the list of strings, under *key*."""
    value = table.get(key, ())
    values = value if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(item, (str, int)) for item in values):
        raise TypeError(f"{key!r} is a string or a list of strings")
    return tuple(str(item) for item in values)


def is_among(enhanced: str | None, wanted: tuple[str, ...]) -> bool:
    """Whether the status code *enhanced* is one of *wanted*, in which * stands for any rest."""
    if enhanced is None:
        return False
    return any(fnmatchcase(enhanced, one) for one in wanted)


def _plain_name(provider: str) -> str:
    return re.sub(r"[\W_]", "", provider.lower())


def _known_as(provider: str) -> str:
    name = _plain_name(provider)
    return _aliases().get(name, name)


@cache
def _book() -> dict[str, Any]:
    return tomllib.loads(files("mailer.smtp").joinpath("rules.toml").read_text("utf-8"))


@cache
def _aliases() -> dict[str, str]:
    aliases = _book()["aliases"].items()
    return {_plain_name(alias): _plain_name(provider) for alias, provider in aliases}


@cache
def _own_rules() -> tuple[Rule, ...]:
    parts = (part for part in _book().items() if part[0] != "aliases")
    return tuple(chain.from_iterable(parse(rules, "rules.toml", part) for part, rules in parts))


def _expected(stage: Stage, reply: Reply) -> Judgement:
    # A positive reply of the right class is what everybody hopes for; of the wrong class, a fault.
    intermediate = stage in (Stage.DATA, Stage.AUTH, Stage.ANY) and 300 <= reply.code < 400
    if 200 <= reply.code < 300 or intermediate:
        return Judgement(Action.OK, "positive reply")
    return Judgement(Action.PROTOCOL_ERROR, "reply of the wrong class")
