"""What each action means: the one table, walked whole."""

import ast
from pathlib import Path

import pytest

import mailer.smtp
from mailer.smtp import Action
from mailer.smtp.replies.actions import MEANINGS, Cure, Next, OnAccount, Reach


def test_every_action_has_a_meaning():
    assert set(MEANINGS) == set(Action)


@pytest.mark.parametrize("action", Action)
def test_a_meaning_does_not_contradict_itself(action):
    meaning = action.meaning
    # Whoever stops an account must say why, and only then are there dead letters to be mended.
    assert bool(meaning.stop_reason) == (meaning.recipient is Next.DEAD)
    if meaning.account is OnAccount.STOPS:
        assert meaning.stop_reason
        assert meaning.reach is Reach.ACCOUNT
    # Trouble of the account costs a recipient no attempt.
    if meaning.is_account_wide:
        assert meaning.recipient in (Next.WAITS, Next.DEAD)
        assert meaning.cure is Cure.NONE
    # What is tried again at once in another way is no account's trouble yet.
    if meaning.cure is not Cure.NONE:
        assert meaning.reach in (Reach.CONNECTION, Reach.MESSAGE)
    if meaning.reach is Reach.CONNECTION:
        assert meaning.ends_session


@pytest.mark.parametrize("action", Action)
def test_a_cure_that_was_in_vain_means_something_that_is_no_cure(action):
    incurable = action.meaning.incurable
    if incurable is not None:
        assert incurable.meaning.incurable is None
        assert incurable.meaning.cure is Cure.NONE or incurable is Action.PROTOCOL_ERROR


@pytest.mark.parametrize("action", [a for a in Action if a.meaning.recipient is Next.REJECTED])
def test_what_is_final_for_a_message_never_stops_the_account(action):
    assert action.meaning.account is OnAccount.COOLS
    assert action.meaning.stop_reason == ""


def test_what_an_action_means_is_decided_in_the_table_alone():
    """No other module holds a set, list, tuple or dict of actions of its own."""
    package = Path(mailer.smtp.__file__).parents[1]
    elsewhere = []
    for file in package.rglob("*.py"):
        if file.name == "actions.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            parts = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
            actions = [
                part
                for part in parts
                if isinstance(part, ast.Attribute)
                and isinstance(part.value, ast.Name)
                and part.value.id == "Action"
            ]
            if len(actions) > 1:
                elsewhere.append(f"{file.name}:{node.lineno}")
    assert elsewhere == []
