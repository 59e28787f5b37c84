"""What each action means: the one table, walked whole."""

import pytest

from mailer.smtp import Action
from mailer.smtp.replies.actions import MEANINGS, Next, OnAccount, Reach


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
        assert not meaning.is_cured
    # What is tried again at once in another way is no account's trouble yet.
    if meaning.is_cured:
        assert meaning.reach in (Reach.CONNECTION, Reach.MESSAGE)
    if meaning.reach is Reach.CONNECTION:
        assert meaning.ends_session


@pytest.mark.parametrize("action", Action)
def test_a_cure_that_was_in_vain_means_something_that_is_no_cure(action):
    incurable = action.meaning.incurable
    if incurable is not None:
        assert incurable.meaning.incurable is None
        assert not incurable.meaning.is_cured or incurable is Action.PROTOCOL_ERROR


@pytest.mark.parametrize("action", [a for a in Action if a.meaning.recipient is Next.REJECTED])
def test_what_is_final_for_a_message_never_stops_the_account(action):
    assert action.meaning.account is OnAccount.COOLS
    assert action.meaning.stop_reason == ""
