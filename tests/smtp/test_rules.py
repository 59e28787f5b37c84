"""What servers say and what follows from it: real replies, and the rules' own rules."""

import base64
import csv
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import ConfigError, ReplySyntaxError
from mailer.mail.retry_after import retry_after
from mailer.smtp import Action, Reply, ReplyParser, Stage, judge
from mailer.smtp import rules as rules_module
from mailer.smtp.extensions import Extensions
from mailer.smtp.replies import reasons as reasons_module
from mailer.smtp.reply import MAX_TEXT
from mailer.smtp.rules import parse

HERE = Path(__file__).parent
COLUMNS = ("provider", "stage", "code", "enhanced", "text", "action")


def rows(name: str) -> list[tuple[str, ...]]:
    with (HERE / name).open(encoding="utf-8") as lines:
        table = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [tuple(row[column] for column in COLUMNS) for row in table]


def judged(provider: str | None, stage: str, code: str, enhanced: str, text: str) -> str:
    reply = Reply.parse(" ".join(filter(None, (code, enhanced, text))))
    return judge(Stage.named(stage), reply, provider).action.value


TABLES = ("replies.tsv", "replies_more.tsv", "replies-public.tsv")
EVERY = [row for table in TABLES for row in rows(table)]


@pytest.mark.parametrize(COLUMNS, EVERY)
def test_a_real_reply_is_judged_right(provider, stage, code, enhanced, text, action):
    assert judged(provider, stage, code, enhanced, text) == action


def test_each_public_reply_names_its_source():
    with (HERE / "replies-public.tsv").open(encoding="utf-8") as lines:
        table = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert len(table) >= 150
    assert not [row["text"] for row in table if not row["source"]]


KINDS = {
    # A complaint about HELO is the sender's, at whatever stage and with whatever code.
    "account_config": [
        "RCPT 550 5.7.1 Invalid HELO string",
        "RCPT 550 5.7.1 <host>: Helo command rejected: Access denied",
        "RCPT 554 5.7.1 <x.example>: Helo command rejected: You are not me",
        "RCPT 550 HELO should be a FQDN or address literal (See RFC 2821 4.1.1.1)",
        "RCPT 550 5.7.0 Your EHLO greeting is a private IP address",
        "RCPT 501 5.5.2 <localhost>: Helo command rejected: Invalid name",
        "RCPT 550 bad HELO",
        "RCPT 550 Bad HELO - Host impersonating [mx.example]",
        "MAIL 550 EHLO name does not resolve",
        "RCPT 550 rejected because your HELO was localhost",
        "final 550 5.7.1 message refused: HELO name is on a blocklist",
        "RCPT 550 REJECTED: Forged HELO",
        "RCPT 450 4.7.1 <x>: Helo command rejected: Domain not found",
        "RCPT 550 invalid greeting name",
        # A policy about us is none about this message or recipient.
        "final 550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP",
        "final 550 5.7.750 Service unavailable. Client blocked from sending from unregistered domains",
        "final 550 5.7.705 Access denied, tenant has exceeded threshold",
        "final 550 5.1.8 Access denied, bad outbound sender",
        "final 554 5.7.1 Outbound spam detected from this account",
        "final 550 Your account is blocked for sending spam",
        "final 550 tenant is suspended",
        "RCPT 550 5.7.1 Recipient not authorized, your IP has been found on a block list",
    ],
    "account_quota": [
        "final 550 Too many messages today, daily limit of your account reached",
        "final 552 5.7.1 You have used up your daily quota",
        "MAIL 550 5.7.1 too many messages from your account today",
        "final 550 send spam mail rejected: exceeded hour limit",
    ],
    # A broken dialogue is no bad message.
    "protocol_error": [
        "MAIL 503 5.5.1 Error: send HELO/EHLO first",
        "MAIL 503 HELO first",
        "MAIL 503 5.5.2 Polite people say HELO first",
        "MAIL 503 bad sequence of commands",
        "final 500 5.5.2 Error: bad syntax",
    ],
    "fail_message": [
        "final 554 Transaction failed: Duplicate header 'To'.",
        "final 554 Transaction failed: Missing start boundary",
        "final 554 Transaction failed: Missing final '@domain'",
        "final 554 Transaction failed: Domain contains illegal character",
        "final 550 5.7.1 Messages with multiple From headers are not accepted",
        "final 550 5.6.0 Duplicate Subject header",
        "final 554 5.6.0 Two From: headers",
        "final 550 5.7.1 Content policy violation",
        "final 554 5.7.1 Blocked by content filter",
    ],
    # Whoever is unknown stays so, whatever the first digit; what may change says so.
    "fail_recipient": [
        "RCPT 450 4.1.1 <a@b.example>: Recipient address rejected: User unknown in virtual alias table",
        "RCPT 450 <a@b.example>: Recipient address rejected: User unknown in relay recipient table",
        "RCPT 450 4.1.1 No such user here",
        "RCPT 550 5.7.1 This user does not accept mail from you",
        "RCPT 550 5.7.1 recipient has blocked your address",
    ],
    "retry_later": [
        "RCPT 450 Requested mail action not taken: mailbox unavailable",
        "RCPT 451 4.1.1 user unknown; try again later",
        "RCPT 451 4.3.0 <a@b.example>: Temporary lookup failure",
        "RCPT 450 4.1.2 <a@b.example>: Recipient address rejected: Domain not found",
        "RCPT 450 4.1.1 <a@b.example>: Recipient address rejected: unverified address: unknown user",
    ],
    "retry_reconnect": [
        "MAIL 421 4.7.0 MAIL sent too many times",
        "MAIL 421 4.7.0 RCPT sent too many times",
        "MAIL 421 4.7.0 too many MAIL commands",
        "MAIL 421 too many transactions, please reconnect",
    ],
}


@pytest.mark.parametrize(
    ("said", "action"), [(said, action) for action, all_ in KINDS.items() for said in all_]
)
def test_a_kind_of_reply_is_judged_by_what_it_says(said, action):
    stage, _, reply = said.partition(" ")
    assert judge(Stage.named(stage), Reply.parse(reply)).action.value == action


PROVIDERS_OWN = 8


def test_nearly_all_replies_are_judged_right_without_knowing_the_provider():
    wrong = [row for row in EVERY if judged(None, *row[1:5]) != row[5]]
    assert len(wrong) <= PROVIDERS_OWN, wrong


def test_the_provider_s_name_is_found_in_any_spelling():
    row = ("final", "451", "4.7.1", 'Ratelimit "hostinger_out_ratelimit" exceeded')
    assert judged("hostinger", *row) == "account_quota"
    assert judged(" HOSTINGER ", *row) == "account_quota"
    assert judged("no such provider", *row) == judged(None, *row)
    sfq = ("MAIL", "451", "", "MI:SFQ too many mails")
    assert judged("netease", *sfq) == judged("163/NetEase", *sfq) == judged("163", *sfq)


@pytest.mark.parametrize("stage", ["connect", "EHLO", "STARTTLS", "AUTH"])
@given(code=st.integers(400, 599), text=st.text(max_size=40))
def test_no_reply_before_the_first_message_fails_a_message(stage, code, text):
    action = judge(Stage.named(stage), Reply(code, None, (text,))).action
    assert action not in {
        Action.FAIL_MESSAGE,
        Action.FAIL_RECIPIENT,
        Action.SPLIT_RECIPIENTS,
        Action.OK,
    }


@given(stage=st.sampled_from(Stage), code=st.integers(200, 599), text=st.text(max_size=60))
def test_every_reply_has_an_action_and_a_rule_that_says_so(stage, code, text):
    judgement = judge(stage, Reply(code, None, (text,)))
    assert judgement.rule
    if code >= 400:
        assert judgement.action is not Action.OK


def test_a_long_reply_takes_no_time_to_judge():
    reply = Reply(550, None, ("too many recipient limit exceeded sender message rate " * 1200,))
    began = time.thread_time()
    for stage in Stage:
        judge(stage, reply)
    assert time.thread_time() - began < 2


def test_a_user_s_rule_comes_before_all_others():
    rules = parse(
        [
            {
                "name": "mine",
                "code": 550,
                "text": "go away",
                "action": "retry_later",
                "stage": ["rcpt"],
            }
        ]
    )
    reply = Reply.parse("550 5.1.1 Go away, unknown user")
    judgement = judge(Stage.RCPT, reply, None, rules)
    assert (judgement.action, judgement.rule) == (Action.RETRY_LATER, "mine")
    assert judge(Stage.FINAL, reply, None, rules).action is Action.FAIL_RECIPIENT


def test_a_rule_s_exception_keeps_it_silent():
    (rule,) = parse(
        [{"code": "5", "text": ["quota"], "unless": ["mailbox"], "action": "account_quota"}]
    )
    assert rule.matches(Stage.FINAL, Reply.parse("550 quota"), "quota", "")
    assert not rule.matches(Stage.FINAL, Reply.parse("550 quota"), "mailbox quota", "")


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({}, "'action' is missing"),
        ({"action": "shrug"}, "no action is called 'shrug'"),
        ({"action": "ok"}, "'ok' is what positive replies mean"),
        ({"action": "retry_later", "stag": "RCPT"}, "unknown key 'stag'"),
        ({"action": "retry_later", "stage": "RCTP"}, "no stage is called 'RCTP'"),
        ({"action": "retry_later", "code": "99"}, "code '99' is no reply code"),
        ({"action": "retry_later", "text": "("}, "unterminated"),
        ({"action": "retry_later", "text": [1.5]}, "'text' is a string"),
        ("retry_later", "a rule is a table"),
    ],
)
def test_a_faulty_rule_is_named_with_its_place(table, complaint):
    with pytest.raises(ConfigError, match=r"mailer\.toml: rules\[2\]: ") as caught:
        parse([{"action": "retry_later"}, table])
    assert complaint in str(caught.value)


# Reading replies.


@pytest.mark.parametrize(
    ("said", "code", "enhanced", "text"),
    [
        ("250 2.0.0 Ok: queued as 1", 250, "2.0.0", "Ok: queued as 1"),
        ("550-5.7.1 first\n550 5.7.1 second", 550, "5.7.1", "first second"),
        ("550-5.7.1 a copy that was cut", 550, "5.7.1", "a copy that was cut"),
        ("550: no such user", 550, None, "no such user"),
        ("550 #5.1.0 Address rejected.", 550, "5.1.0", "Address rejected."),
        (
            "550 sorry, no mailbox here by that name. (#5.1.1)",
            550,
            "5.1.1",
            "sorry, no mailbox here by that name. (#5.1.1)",
        ),
        ("550 4.7.1 the class disagrees", 550, None, "4.7.1 the class disagrees"),
        ("354", 354, None, ""),
        ("550 5.1.1", 550, "5.1.1", ""),
        ("250 héllo \x1b[31mred", 250, None, "héllo  [31mred"),
    ],
)
def test_a_reply_is_read_however_it_is_written(said, code, enhanced, text):
    reply = Reply.parse(said)
    assert (reply.code, reply.enhanced, reply.text, reply.suspect) == (code, enhanced, text, False)


def test_lines_that_disagree_make_a_reply_suspect_and_the_last_one_counts():
    reply = Reply.parse("250-fine\n550 not fine")
    assert (reply.code, reply.suspect) == (550, True)


@pytest.mark.parametrize("said", ["", "hello", "1234 x", "199 x", "250 ok\n250 ok"])
def test_what_is_no_single_reply_is_an_error(said):
    with pytest.raises(ReplySyntaxError):
        Reply.parse(said)


@pytest.mark.parametrize("size", [1_000, 70_000])
@pytest.mark.parametrize("piece", [1_000, 100_000])
def test_a_reply_without_end_is_an_error_however_it_comes(size, piece):
    endless = (b"250-" + b"x" * size + b"\r\n") * 80
    with pytest.raises(ReplySyntaxError, match="more than 65536 octets"):
        feed(endless, piece)


@pytest.mark.parametrize("end", [b"", b"\r\n"])
@pytest.mark.parametrize("piece", [1_000, 1_000_000])
def test_a_line_without_end_is_an_error_however_it_comes(end, piece):
    with pytest.raises(ReplySyntaxError, match="more than 65536 octets"):
        feed(b"550 " + b"x" * 1_000_000 + end, piece)


@pytest.mark.parametrize("piece", [7, 1_000, 100_000])
@pytest.mark.parametrize(
    "said",
    [
        b"550 5.1.1 " + b"x" * 60_000 + b"\r\n",
        b"550 5.1.1 " + "ü".encode() * 20_000 + b"\r\n",
        (b"550-5.1.1 " + b"x" * 600 + b"\r\n") * 60 + b"550 5.1.1 end\r\n",
        b"250 2.0.0 " + b"x" * 60_000 + b"\r\n",
    ],
)
def test_of_a_long_reply_the_beginning_is_kept(said, piece):
    (reply,) = feed(said, piece)
    assert len(reply.text) <= MAX_TEXT
    assert sum(map(len, reply.lines)) <= MAX_TEXT
    assert reply.enhanced == said[4:9].decode()
    assert len(str(reply)) < MAX_TEXT + 20


def test_what_a_login_computes_with_is_kept_whole():
    challenge = base64.b64encode(b"n" * 3000)
    (reply,) = feed(b"334 " + challenge + b"\r\n", 1000)
    assert "".join(reply.lines).encode() == challenge


def test_of_many_offers_each_is_kept():
    offers = b"".join(b"250-X%d\r\n" % number for number in range(500))
    (reply,) = feed(offers + b"250 SIZE 5\r\n", 1000)
    assert len(reply.lines) == 501
    assert Extensions.read(reply).size == 5


def feed(data, piece):
    parser = ReplyParser()
    return [
        reply
        for start in range(0, len(data), piece)
        for reply in parser.feed(data[start : start + piece])
    ]


# No reply takes long to judge.

NASTY = [
    "{}" + " " * 3000,
    "{} " * 750,
    "450 rate limit exceeded, try again" + " " * 3000 + "{}",
    "a.{}-" * 1000,
    "{}" + "x" * 3000,
    "{}" * 500,
    "not sender recipient domain of {} is " * 150,
]
WORDS = ["quota", "recipient", "block", "max", "authenticat"]


def patterns():
    for rule in rules_module._own_rules():
        yield from ((rule.name, one) for one in (rule.text, rule.unless) if one is not None)
    for entry in reasons_module._entries():
        yield from ((entry.reason, one) for one in (entry.text, entry.unless) if one is not None)


def seconds(call, texts):
    """The CPU time of *call* for all *texts*, at its best of two."""
    best = float("inf")
    for _ in range(2):
        began = time.thread_time()
        for text in texts:
            call(text)
        best = min(best, time.thread_time() - began)
    return best


def grows_with_the_text(call, texts):
    """Whether four times the length is less than eight times the work.

    Below 2 ms the clock is too coarse. A busy machine only adds: what seems too much is measured again.
    """
    quarters = [text[: len(text) // 4] for text in texts]
    return any(
        seconds(call, texts) < max(8 * seconds(call, quarters), 0.002) for _attempt in range(5)
    )


@pytest.mark.parametrize("nasty", NASTY)
def test_the_work_of_judging_grows_no_faster_than_a_text(nasty):
    texts = [nasty.format(*[word] * nasty.count("{}")) for word in WORDS]
    for name, pattern in patterns():
        assert grows_with_the_text(pattern.search, texts), name


@pytest.mark.parametrize("nasty", NASTY)
def test_the_work_of_finding_a_wait_grows_no_faster_than_a_text(nasty):
    texts = [nasty.format(*[word] * nasty.count("{}")) for word in WORDS]
    assert grows_with_the_text(lambda text: retry_after(text, 0.0), texts)
