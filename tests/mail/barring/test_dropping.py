"""Who is mailed no more, by a policy of one's own, and how it is told."""

import pytest
from pydantic import TypeAdapter

from mailer.config.policy import CheckedPolicy
from mailer.mail.barring.dropping import AT_ONCE, DAY, DEFAULT, Dropping, described, dropping


def policy(**rules):
    return TypeAdapter(CheckedPolicy).validate_python(rules)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("never", None),
        ("at once", AT_ONCE),
        ("At once, for 30d", Dropping(1, 0.0, 30 * DAY)),
        ("after 1 time", AT_ONCE),
        ("after 5 times over 1w, for 1y", Dropping(5, 7 * DAY, 365 * DAY)),
        ("after 2 times over 60d", Dropping(2, 60 * DAY, 0.0, 120 * DAY)),
    ],
)
def test_a_rule_is_written_as_a_sentence(text, rule):
    assert policy(mailbox_full=text) == {**DEFAULT, "mailbox_full": rule}


@pytest.mark.parametrize(
    "text", ["", "after 0 times", "after times", "at once for 3d", "after 3 times over", "3", "now"]
)
def test_what_is_no_rule_is_refused(text):
    with pytest.raises(ValueError, match="is no rule; write"):
        policy(mailbox_full=text)


def test_the_policy_decides_and_what_is_the_senders_trouble_never_does():
    own = policy(mailbox_unknown="never", complaint="never", network="at once")
    assert dropping("bounce", "mailbox_unknown", permanent=True, policy=own) is None
    assert dropping("complaint", None, permanent=False, policy=own) is None
    assert dropping("bounce", "network", permanent=False, policy=own) == DEFAULT["mailbox_full"]
    assert dropping("bounce", "network", permanent=True, policy=own) == AT_ONCE
    for reason in ("sender_refused", "content_refused", "rate_limited", None):
        assert dropping("bounce", reason, permanent=True, policy=own) is None
    assert dropping("unsubscribe", None, permanent=False, policy=own) == AT_ONCE
    assert dropping("auto_reply", None, permanent=False, policy=own) is None


def test_a_rule_is_told_in_words():
    assert described(None) == "left alone"
    assert described(AT_ONCE) == "dropped at once, for good"
    assert described(Dropping(2, DAY, 0.0)) == "dropped after 2 times, over 1 day or more, for good"
