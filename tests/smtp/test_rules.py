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


@pytest.mark.parametrize(COLUMNS, rows("replies.tsv") + rows("replies_more.tsv"))
def test_a_real_reply_is_judged_right(provider, stage, code, enhanced, text, action):
    assert judged(provider, stage, code, enhanced, text) == action


PROVIDERS_OWN = 8


def test_nearly_all_replies_are_judged_right_without_knowing_the_provider():
    table = rows("replies.tsv") + rows("replies_more.tsv")
    wrong = [row for row in table if judged(None, *row[1:5]) != row[5]]
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
    "not sender recipient domain of {} is " * 150,
]
WORDS = ["try again in", "quota", "too many", "sender", "recipient", "account"]


def patterns():
    for rule in rules_module._own_rules():
        yield from ((rule.name, one) for one in (rule.text, rule.unless) if one is not None)
    for entry in reasons_module._entries():
        yield from ((entry.reason, one) for one in (entry.text, entry.unless) if one is not None)


def seconds(call):
    """The CPU time of *call* at its best of three."""
    best = float("inf")
    for _ in range(3):
        began = time.thread_time()
        call()
        best = min(best, time.thread_time() - began)
    return best


@pytest.mark.parametrize("nasty", NASTY)
def test_the_work_of_judging_grows_no_faster_than_a_text(nasty):
    texts = [nasty.format(*[word] * nasty.count("{}")) for word in WORDS]
    for name, pattern in patterns():
        short = seconds(lambda p=pattern: [p.search(text[: len(text) // 4]) for text in texts])
        long = seconds(lambda p=pattern: [p.search(text) for text in texts])
        # Four times the length: less than eight times the work. Below 2 ms the clock is too coarse.
        assert long < max(8 * short, 0.002), name


@pytest.mark.parametrize("nasty", NASTY)
def test_the_work_of_finding_a_wait_grows_no_faster_than_a_text(nasty):
    texts = [nasty.format(*[word] * nasty.count("{}")) for word in WORDS]
    short = seconds(lambda: [retry_after(text[: len(text) // 4], 0.0) for text in texts])
    long = seconds(lambda: [retry_after(text, 0.0) for text in texts])
    assert long < max(8 * short, 0.002)
