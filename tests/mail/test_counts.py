"""Numbers of things are said in the right form."""

import pytest

from mailer.mail.counts import plural


@pytest.mark.parametrize(
    ("number", "noun", "shown"),
    [
        (0, "message", "0 messages"),
        (1, "message", "1 message"),
        (2, "batch", "2 batches"),
        (1, "batch", "1 batch"),
        (1000, "address", "1,000 addresses"),
        (2, "mailbox", "2 mailboxes"),
        (3, "day", "3 days"),
    ],
)
def test_a_noun_is_in_the_right_form(number, noun, shown):
    assert plural(number, noun) == shown
