"""Whole dialogues, line by line: what is said, when, and what becomes of each message."""

import pytest

from mailer.smtp import Action, Driver, Dsn, Fate, Stage, Submission

HELLO = """
    S: 220 mx.example ready
    C: EHLO client.example
    S: 250-mx.example
    S: 250 {}
"""
PIPELINING = HELLO.format("PIPELINING")
PLAIN = HELLO.format("HELP")
ADA = """
    C: MAIL FROM:<news@shop.example>
    C: RCPT TO:<ada@example.org>
    C: DATA
"""
BOB = ADA.replace("ada", "bob")
RSET = """
    C: RSET
"""
CONTENT = """
    C: Subject: hello
    C:{}
    C: hello
    C: .
""".format(" ")
BYE = """
    C: QUIT
    S: 221 bye
"""


def fates(results):
    return [result.fate for result in results]


def test_content_and_the_next_envelope_go_in_one_write_where_pipelining_is_offered(
    playing, drive, mail
):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 250 sender ok
        S: 250 recipient ok
        S: 354 go
        """
        + CONTENT
        + RSET
        + BOB
        + """
        S: 250 2.0.0 queued as 1
        S: 250 reset
        S: 250 sender ok
        S: 250 recipient ok
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 2.0.0 queued as 2
        """
        + BYE
    )
    results = drive(server, mail("ada@example.org", "bob@example.org"))
    assert fates(results) == [Fate.ACCEPTED, Fate.ACCEPTED]
    assert [str(result.reply) for result in results] == [
        "250 2.0.0 queued as 1",
        "250 2.0.0 queued as 2",
    ]


def test_one_command_at_a_time_where_pipelining_is_not_offered(playing, drive, mail):
    one = (
        """
        C: MAIL FROM:<news@shop.example>
        S: 250 ok
        C: RCPT TO:<ada@example.org>
        S: 250 ok
        C: DATA
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 queued
    """
    )
    server = playing(PLAIN + one + one.replace("ada", "bob") + BYE)
    assert fates(drive(server, mail("ada@example.org", "bob@example.org"))) == [Fate.ACCEPTED] * 2


def test_a_disabled_extension_is_overlooked(playing, drive, mail):
    server = playing(
        PIPELINING
        + """
        C: MAIL FROM:<news@shop.example>
        S: 250 ok
        C: RCPT TO:<ada@example.org>
        S: 250 ok
        C: DATA
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 queued
        """
        + BYE
    )
    results = drive(server, mail("ada@example.org"), disable_extensions=frozenset({"pipelining"}))
    assert fates(results) == [Fate.ACCEPTED]


def test_a_354_after_a_refused_recipient_gets_a_lone_dot_and_never_the_content(
    playing, drive, mail
):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 250 ok
        S: 550 5.1.1 no such user
        S: 354 go
        C: .
        """
        + BOB
        + """
        S: 554 5.5.1 no valid recipients
        S: 250 ok
        S: 250 ok
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 queued
        """
        + BYE
    )
    first, second = drive(server, mail("ada@example.org", "bob@example.org"))
    assert (first.fate, first.stage, first.action) == (
        Fate.REFUSED,
        Stage.RCPT,
        Action.FAIL_RECIPIENT,
    )
    assert second.fate is Fate.ACCEPTED


def test_a_354_after_a_refused_sender_gets_a_lone_dot_too(playing, drive, mail, gate):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 451 4.3.0 try later
        S: 503 5.5.1 need MAIL
        S: 354 go
        C: .
        S: 250 whatever
        """
        + BYE
    )
    (result,) = drive(server, mail("ada@example.org"))
    assert (result.fate, result.stage, result.action) == (
        Fate.REFUSED,
        Stage.MAIL,
        Action.RETRY_LATER,
    )


def test_an_open_transaction_is_reset_before_the_next_in_the_same_write(playing, drive, mail):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 250 ok
        S: 450 4.7.1 greylisted
        S: 503 5.5.1 no valid recipients
        C: RSET
        """
        + BOB
        + """
        S: 250 reset
        S: 250 ok
        S: 250 ok
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 queued
        """
        + BYE
    )
    first, second = drive(server, mail("ada@example.org", "bob@example.org"))
    assert (first.fate, first.action) == (Fate.REFUSED, Action.RETRY_LATER)
    assert second.fate is Fate.ACCEPTED


def test_an_open_transaction_is_reset_before_the_next_step_by_step(playing, drive, mail):
    server = playing(
        PLAIN
        + """
        C: MAIL FROM:<news@shop.example>
        S: 250 ok
        C: RCPT TO:<ada@example.org>
        S: 550 5.1.1 unknown user
        C: RSET
        S: 250 ok
        C: MAIL FROM:<news@shop.example>
        S: 250 ok
        C: RCPT TO:<bob@example.org>
        S: 250 ok
        C: DATA
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 queued
        """
        + BYE
    )
    first, second = drive(server, mail("ada@example.org", "bob@example.org"))
    assert (first.fate, second.fate) == (Fate.REFUSED, Fate.ACCEPTED)


def test_refused_content_is_this_message_s_affair_only(playing, drive, mail):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 250 ok
        S: 250 ok
        S: 354 go
        """
        + CONTENT
        + RSET
        + BOB
        + """
        S: 554 5.7.1 message content rejected as spam
        S: 250 reset
        S: 250 ok
        S: 250 ok
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 queued
        """
        + BYE
    )
    first, second = drive(server, mail("ada@example.org", "bob@example.org"))
    assert (first.fate, first.stage, first.action) == (
        Fate.REFUSED,
        Stage.FINAL,
        Action.FAIL_MESSAGE,
    )
    assert second.fate is Fate.ACCEPTED


def test_a_connection_cut_before_the_dot_leaves_the_message_to_another(playing, drive, mail):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 250 ok
        S: 250 ok
        X: close
        """,
        PLAIN
        + """
        C: MAIL FROM:<news@shop.example>
        S: 250 ok
        C: RCPT TO:<ada@example.org>
        S: 250 ok
        C: DATA
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 queued
        """
        + BYE,
    )
    assert fates(drive(server, mail("ada@example.org"))) == [Fate.ACCEPTED]


def test_a_connection_cut_after_the_dot_leaves_one_uncertain_and_the_next_unharmed(
    playing, drive, mail, journal
):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 250 ok
        S: 250 ok
        S: 354 go
        """
        + CONTENT
        + RSET
        + BOB
        + """
        X: close
        """,
        PIPELINING.replace("PIPELINING", "HELP")
        + """
        C: MAIL FROM:<news@shop.example>
        S: 250 ok
        C: RCPT TO:<bob@example.org>
        S: 250 ok
        C: DATA
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 queued
        """
        + BYE,
    )
    first, second = drive(server, mail("ada@example.org", "bob@example.org"))
    assert (first.fate, first.reply) == (Fate.UNCERTAIN, None)
    assert second.fate is Fate.ACCEPTED
    assert journal.started == [0, 1], "what is uncertain is never sent again"


def test_a_421_ends_the_session_and_what_it_did_not_answer_is_sent_elsewhere(playing, drive, mail):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 250 ok
        S: 250 ok
        S: 354 go
        """
        + CONTENT
        + RSET
        + BOB
        + """
        S: 250 queued
        S: 250 reset
        S: 421 4.4.2 too many messages in this connection
        """,
        PIPELINING
        + BOB
        + """
        S: 250 ok
        S: 250 ok
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 queued
        """
        + BYE,
    )
    assert fates(drive(server, mail("ada@example.org", "bob@example.org"))) == [Fate.ACCEPTED] * 2


def test_a_server_that_never_takes_a_first_message_is_left_after_a_few_connections(
    playing, drive, mail
):
    once = (
        PIPELINING
        + ADA
        + """
        S: 421 4.7.0 too many messages in this connection
    """
    )
    server = playing(once, once, once)
    (result,) = drive(server, mail("ada@example.org"))
    assert (result.fate, result.action) == (Fate.UNSENT, Action.RETRY_LATER)
    assert result.reply.code == 421


def test_lost_step_is_tried_once_more_without_pipelining(playing, drive, mail):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 500 5.5.1 Invalid command: Pipelining not supported
        """,
        PIPELINING
        + """
        C: MAIL FROM:<news@shop.example>
        S: 250 ok
        C: RCPT TO:<ada@example.org>
        S: 250 ok
        C: DATA
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 queued
        """
        + BYE,
    )
    assert fates(drive(server, mail("ada@example.org"))) == [Fate.ACCEPTED]


def test_lost_step_twice_is_the_message_s_end(playing, drive, mail):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 500 5.5.1 unrecognized command
        """,
        PIPELINING
        + """
        C: MAIL FROM:<news@shop.example>
        S: 500 5.5.1 unrecognized command
        """
        + BYE,
    )
    (result,) = drive(server, mail("ada@example.org"))
    assert (result.fate, result.action) == (Fate.REFUSED, Action.PROTOCOL_ERROR)


def test_what_is_no_reply_at_all_is_tried_once_more_without_pipelining(playing, drive, mail):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: hello there
        """,
        PIPELINING
        + """
        C: MAIL FROM:<news@shop.example>
        S: 250 ok
        C: RCPT TO:<ada@example.org>
        S: 250 ok
        C: DATA
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 queued
        """
        + BYE,
    )
    assert fates(drive(server, mail("ada@example.org"))) == [Fate.ACCEPTED]


def test_a_used_up_quota_ends_the_call_and_the_rest_is_unsent_for_that_reason(
    playing, drive, mail, gate
):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 550 5.4.5 Daily user sending limit exceeded
        """,
    )
    first, second = drive(server, mail("ada@example.org", "bob@example.org"))
    assert (first.fate, first.action) == (Fate.REFUSED, Action.ACCOUNT_QUOTA)
    assert (second.fate, second.action, second.reply) == (
        Fate.UNSENT,
        Action.ACCOUNT_QUOTA,
        first.reply,
    )
    assert [judgement.action for _, _, judgement in gate.troubles] == [Action.ACCOUNT_QUOTA]


def test_throttling_ends_the_call_but_keeps_the_session(playing, drive, mail, gate):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 250 ok
        S: 450 4.7.1 too many messages from you, slow down
        S: 503 no recipients
        C: RSET
        S: 250 ok
        """
        + BYE,
    )
    first, second = drive(server, mail("ada@example.org", "bob@example.org"))
    assert (first.fate, first.action) == (Fate.REFUSED, Action.THROTTLE_ACCOUNT)
    assert (second.fate, second.action) == (Fate.UNSENT, Action.THROTTLE_ACCOUNT)


def test_a_full_recipient_list_gets_one_more_transaction(playing, drive, mail):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 250 ok
        S: 452 4.5.3 too many recipients
        S: 503 no recipients
        C: RSET
        """
        + ADA
        + """
        S: 250 ok
        S: 250 ok
        S: 250 ok
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 queued
        """
        + BYE,
    )
    assert fates(drive(server, mail("ada@example.org"))) == [Fate.ACCEPTED]


@pytest.mark.parametrize("late", [False, True], ids=["at once", "after the content was asked for"])
def test_a_stop_by_the_journal_sends_no_content(playing, settings, mail, gate, new_journal, late):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 250 ok
        S: 250 ok
        S: 354 go
        """
        + (
            (
                CONTENT
                + RSET
                + BOB
                + """
        S: 250 queued
        S: 250 reset
        S: 250 ok
        S: 250 ok
        S: 354 go
        """
            )
            if late
            else ""
        )
    )
    journal = new_journal(stop_after=1 if late else 0)
    driver = Driver(settings(server.port), gate)
    results = driver.send(mail("ada@example.org", "bob@example.org"), journal)
    driver.close()
    server.check()
    assert fates(results) == ([Fate.ACCEPTED] if late else [Fate.UNSENT]) + [Fate.UNSENT]
    assert results[1].action is None


def test_a_content_without_a_line_end_gets_one_and_dots_are_doubled(playing, drive):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: ..first
        C: ...
        C: last.
        C: .
        S: 250 queued
        """
        + BYE
    )
    submission = Submission("news@shop.example", "ada@example.org", b".first\r\n..\r\nlast.")
    assert fates(drive(server, [submission])) == [Fate.ACCEPTED]


def test_what_may_not_be_written_is_refused_and_nothing_of_it_is_said(playing, drive, mail):
    server = playing(
        PIPELINING
        + BOB
        + """
        S: 250 ok
        S: 250 ok
        S: 354 go
        """
        + CONTENT
        + """
        S: 250 queued
        """
        + BYE
    )
    bad = [
        Submission("news@shop.example", "ada@example.org", b"a\nb\r\n"),
        Submission("news@shop.example", "ada@example.org\r\nRCPT TO:<eve@example.org>", b"a\r\n"),
        Submission("news@shop.example> X=<", "ada@example.org", b"a\r\n"),
    ]
    *refused, good = drive(server, [*bad, *mail("bob@example.org")])
    assert good.fate is Fate.ACCEPTED
    assert fates(refused) == [Fate.REFUSED] * 3
    assert [result.action for result in refused] == [
        Action.FAIL_MESSAGE, Action.FAIL_RECIPIENT, Action.FAIL_MESSAGE,
    ]  # fmt: skip
    assert all("example" not in result.rule for result in refused)


def test_parameters_go_with_what_the_server_offers(playing, drive):
    server = playing(
        """
        S: 220 ready
        C: EHLO client.example
        S: 250-mx.example
        S: 250-SIZE 1000
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250 PIPELINING
        C: MAIL FROM:<news@xn--bcher-kva.example> RET=HDRS ENVID=a+2Bb SIZE=6 SMTPUTF8 BODY=8BITMIME
        C: RCPT TO:<jürgen@xn--bcher-kva.example> NOTIFY=FAILURE,DELAY
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: grüß
        C: .
        S: 250 queued
        """.replace("SIZE=6", "SIZE=8")
        + BYE
    )
    submission = Submission(
        "news@bücher.example", "jürgen@bücher.example", "grüß\r\n".encode(), envid="a+b"
    )
    results = drive(server, [submission], dsn=Dsn(notify=("FAILURE", "DELAY")))
    assert fates(results) == [Fate.ACCEPTED]


def test_what_the_server_cannot_take_is_refused_before_it_is_sent(playing, drive):
    server = playing(
        """
        S: 220 ready
        C: EHLO client.example
        S: 250-mx.example
        S: 250-SIZE 10
        S: 250 PIPELINING
        """
        + BYE
    )
    refused = drive(
        server,
        [
            Submission("news@shop.example", "ada@example.org", b"x" * 20 + b"\r\n"),
            Submission("news@shop.example", "jürgen@example.org", b"a\r\n"),
            Submission("news@shop.example", "ada@example.org", "ü\r\n".encode()),
        ],
    )
    assert [result.action for result in refused] == [
        Action.FAIL_MESSAGE, Action.SMTPUTF8_UNSUPPORTED, Action.FAIL_MESSAGE,
    ]  # fmt: skip


def test_the_null_reverse_path_is_written_as_such(playing, drive):
    server = playing(
        PIPELINING
        + ADA.replace("news@shop.example", "")
        + """
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: a
        C: .
        S: 250 queued
        """
        + BYE
    )
    assert fates(drive(server, [Submission("", "ada@example.org", b"a\r\n")])) == [Fate.ACCEPTED]


def test_a_failure_brings_the_dialogue_without_content_and_local_parts(playing, drive, mail):
    server = playing(
        PIPELINING
        + ADA
        + """
        S: 250 ok
        S: 250 ok
        S: 354 go
        """
        + CONTENT
        + """
        S: 554 5.7.1 <ada@example.org>: spam
        """
        + BYE
    )
    (result,) = drive(server, mail("ada@example.org"))
    assert "C: RCPT TO:<***@example.org>" in result.dialogue
    assert result.dialogue[-1] == "S: 554 5.7.1 <***@example.org>: spam"
    assert not any("hello" in line for line in result.dialogue)


@pytest.mark.parametrize("envid", ["x" * 101, "jürgen"], ids=["too long", "more than ASCII"])
def test_an_envelope_id_that_does_not_fit_is_left_out(playing, drive, mail, envid):
    server = playing(
        HELLO.format("DSN")
        + """
        C: MAIL FROM:<news@shop.example> RET=HDRS
        S: 550 5.1.8 no
        """
        + BYE
    )
    drive(server, mail("ada@example.org", envid=envid), dsn=Dsn())
