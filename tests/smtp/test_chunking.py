"""BDAT: a window of messages in flight, and what is known of each when it breaks."""

import pytest

from mailer.smtp import Action, Fate, Submission

OPEN = """
    S: 220 mx.example ready
    C: EHLO client.example
    S: 250-mx.example
    S: 250-PIPELINING
    S: 250 CHUNKING
"""
BYE = """
    C: QUIT
    S: 221 bye
"""


def sent(name: str) -> str:
    return f"""
        C: MAIL FROM:<news@shop.example>
        C: RCPT TO:<{name}@example.org>
        C: BDAT 25 LAST
        C: Subject: hello
        C:
        C: hello
    """


OK = """
    S: 250 ok
    S: 250 ok
    S: 250 queued
"""
RSET = """
    C: RSET
"""
RESET = """
    S: 250 reset
"""


@pytest.fixture
def chunk(drive):
    return lambda server, submissions, window=2: drive(
        server, submissions, chunking=True, chunking_window=window
    )


def test_a_window_of_messages_is_written_without_waiting(playing, chunk, mail):
    server = playing(
        OPEN + sent("a") + RSET + sent("b") + OK + RESET + OK + RSET + sent("c") + RESET + OK + BYE
    )
    results = chunk(server, mail("a@example.org", "b@example.org", "c@example.org"))
    assert [result.fate for result in results] == [Fate.ACCEPTED] * 3


def test_a_message_follows_as_soon_as_one_is_answered(playing, chunk, mail):
    server = playing(
        OPEN + sent("a") + RSET + sent("b") + OK + RSET + sent("c") + RESET + OK + RESET + OK + BYE
    )
    results = chunk(server, mail("a@example.org", "b@example.org", "c@example.org"))
    assert [result.fate for result in results] == [Fate.ACCEPTED] * 3


def test_a_refused_recipient_spoils_its_own_chunk_only(playing, chunk, mail):
    refused = """
        S: 250 ok
        S: 550 5.1.1 unknown user
        S: 503 5.5.1 no valid recipients
    """
    server = playing(OPEN + sent("a") + RSET + sent("b") + refused + RESET + OK + BYE)
    first, second = chunk(server, mail("a@example.org", "b@example.org"))
    assert (first.fate, first.action) == (Fate.REFUSED, Action.FAIL_RECIPIENT)
    assert second.fate is Fate.ACCEPTED


@pytest.mark.parametrize(
    "paths",
    [("503 sender already given", "250 ok"), ("250 ok", "550 5.1.1 unknown")],
    ids=["MAIL refused", "RCPT refused"],
)
def test_a_chunk_that_is_taken_is_accepted_whatever_was_said_before(playing, chunk, mail, paths):
    """Exim refuses a MAIL inside an open transaction, and takes RCPT and BDAT all the same."""
    server = playing(
        OPEN + sent("a") + "".join(f"\nS: {path}" for path in paths) + "\nS: 250 OK id=1" + BYE
    )
    (result,) = chunk(server, mail("a@example.org"))
    assert (result.fate, str(result.reply)) == (Fate.ACCEPTED, "250 OK id=1")


def test_a_refused_path_decides_only_when_the_chunk_is_answered(playing, chunk, mail):
    server = playing(OPEN + sent("a") + "S: 250 ok\nS: 550 5.1.1 unknown\nX: close")
    (result,) = chunk(server, mail("a@example.org"))
    assert result.fate is Fate.UNCERTAIN


def test_the_first_refusal_is_the_reason(playing, chunk, mail):
    server = playing(
        OPEN
        + sent("a")
        + """
        S: 250 ok
        S: 550 5.1.1 unknown user
        S: 503 5.5.1 no valid recipients
        C: RSET
        S: 250 reset
        """
        + BYE
    )
    (result,) = chunk(server, mail("a@example.org"))
    assert (result.action, result.reply.code) == (Action.FAIL_RECIPIENT, 550)


def test_all_that_was_written_and_not_answered_is_uncertain(playing, chunk, mail):
    server = playing(OPEN + sent("a") + RSET + sent("b") + OK + "X: close")
    first, second = chunk(server, mail("a@example.org", "b@example.org"))
    assert (first.fate, second.fate) == (Fate.ACCEPTED, Fate.UNCERTAIN)


def test_after_a_421_the_rest_of_the_window_is_known_to_be_unsent(playing, chunk, mail):
    server = playing(
        OPEN
        + sent("a")
        + RSET
        + sent("b")
        + OK
        + "S: 421 4.3.0 connection expired, try reconnecting",
        OPEN + sent("b") + OK + BYE,
    )
    results = chunk(server, mail("a@example.org", "b@example.org"))
    assert [result.fate for result in results] == [Fate.ACCEPTED] * 2


def test_chunks_are_never_dot_stuffed(playing, chunk):
    server = playing(
        OPEN
        + """
        C: MAIL FROM:<news@shop.example>
        C: RCPT TO:<a@example.org>
        C: BDAT 9 LAST
        C: .dot
        C: .
        """
        + OK
        + BYE
    )
    (result,) = chunk(server, [Submission("news@shop.example", "a@example.org", b".dot\r\n.")])
    assert result.fate is Fate.ACCEPTED


def test_chunking_is_not_used_unless_asked_for_or_offered_with_pipelining(playing, drive, mail):
    data = """
        C: MAIL FROM:<news@shop.example>
        S: 250 ok
        C: RCPT TO:<a@example.org>
        S: 250 ok
        C: DATA
        S: 354 go
        C: Subject: hello
        C:
        C: hello
        C: .
        S: 250 ok
    """
    server = playing(OPEN.replace("S: 250-PIPELINING\n", "") + data + BYE)
    (result,) = drive(server, mail("a@example.org"), chunking=True)
    assert result.fate is Fate.ACCEPTED
