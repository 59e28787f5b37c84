"""What came back is written down once, drops whom the policy says, and stops a bad campaign."""

import base64
import subprocess
import sys

import pytest

from mailer.compose.headers import VERP_PROOF
from mailer.compose.unsubscribe import TokenSigner
from mailer.feedback.report import Kind
from mailer.feedback.returns import Returns
from mailer.mail.barring.dropping import DAY
from mailer.mail.barring.scopes import ALL
from mailer.mail.recipients import fingerprint
from mailer.mail.seal import Seal, campaign_tag
from mailer.store import keys
from mailer.store.campaigns import Campaigns
from mailer.store.events import EventStream
from mailer.store.feedback.places import place
from mailer.store.feedback.receivers import Receivers
from mailer.store.feedback.records import Brake, Feedback
from mailer.store.ledger import Fresh, Ledger
from mailer.store.suppression import Suppression
from tests.feedback.made import VACATIONS, complaint, failed
from tests.store.batches import fresh, open_campaign

CAMPAIGN = "spring"
SECRET = "s"


class Clock:
    """A time that the test sets."""

    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def returns(client, clock):
    open_campaign(client, CAMPAIGN)
    return Returns(client, [SECRET], Brake(), clock=clock)


def to(mailbox, campaign=CAMPAIGN, secret=SECRET):
    """The return path of the message to *mailbox*."""
    words = campaign_tag(campaign) + fingerprint(mailbox)
    token = base64.b32encode(Seal(secret, "verp", VERP_PROOF).seal(words)).decode().lower()
    return f"bounces+{token}@shop.example"


def take(returns, octets, mailbox="ada@example.org"):
    (taken,) = returns.take(octets, "test", [to(mailbox)])
    return taken


def unknown_user(mailbox="ada@example.org"):
    return failed("550 5.1.1 no such user", status="5.1.1", recipient=mailbox)


def suppressed(client):
    return {one.mailbox: one.reason for one in Suppression(client)}


def test_a_bounce_is_written_down_once_and_drops_its_recipient(client, returns):
    first = take(returns, unknown_user())
    assert (first.answer, first.dropped) == ("new", True)
    assert take(returns, unknown_user()).answer == "known"
    progress = Campaigns(client).progress(CAMPAIGN, 0)
    assert progress.came_back == {"bounce": 1, "permanent": 1}
    assert suppressed(client) == {"ada@example.org": "mailbox_unknown"}
    (record,) = Feedback(client).returned(CAMPAIGN)
    assert (record.recipient, record.reason, record.proof) == (
        "ada@example.org",
        "mailbox_unknown",
        "verp",
    )


def test_a_bounce_for_now_may_become_one_for_good_and_never_the_other_way(client, returns):
    full = failed("552 5.2.2 mailbox full", status="5.2.2")
    assert take(returns, full).answer == "new"
    assert take(returns, unknown_user()).answer == "worse"
    assert take(returns, full).answer == "known"
    assert Campaigns(client).progress(CAMPAIGN, 0).came_back == {"bounce": 1, "permanent": 1}


def told(client):
    reading = EventStream(client).read("history", 100)
    return reading.events if reading else ()


def test_what_comes_back_is_told_once_to_those_who_follow_what_happens(client, returns):
    EventStream(client).take("history")
    people = [fresh(number) for number in range(3)]
    ada = Fresh(fingerprint("ada@example.org"), 7)
    Ledger(client).enqueue(
        Campaigns(client).next_batch(CAMPAIGN), run=1, queue="bulk", account="primary",
        payload=b"p", recipients=[*people, ada], now=1.0,
    )  # fmt: skip
    full = failed("552 5.2.2 mailbox full", status="5.2.2")

    for octets in (full, full, unknown_user(), unknown_user(), full, VACATIONS[0], VACATIONS[0]):
        take(returns, octets)

    for_now, for_good, vacation = told(client)
    assert (for_now.outcome, for_now.position, for_now.permanent) == ("bounced", 3, False)
    assert (for_now.mailbox, for_now.message_id) == ("ada@example.org", "<1234@shop.example>")
    assert (for_good.reason, for_good.permanent) == ("mailbox_unknown", True)
    assert for_good.reply == "550 5.1.1 no such user"
    assert (vacation.outcome, vacation.position) == ("auto_reply", 3)
    assert len({for_now.identifier, for_good.identifier, vacation.identifier}) == 3


def test_of_a_campaign_without_an_order_it_is_told_with_a_place_of_its_own(client, returns):
    EventStream(client).take("history")
    take(returns, unknown_user())

    (event,) = told(client)

    assert event.position < 0
    assert event.key == fingerprint("ada@example.org")


def test_where_nobody_follows_nothing_is_told(client, returns):
    take(returns, unknown_user())

    assert client.exists(keys.EVENTS) == 0


def test_a_place_is_found_by_whole_fingerprints_and_of_several_the_newest(client):
    open_campaign(client)
    ada = Fresh(fingerprint("ada@example.org"), 7)
    # Two neighbours that hold Ada's octets over their border.
    across = Fresh(b"####" + ada.fingerprint[:4], 1), Fresh(ada.fingerprint[4:] + b"####", 2)
    for people in ([ada], [*across], [ada], [*across]):
        Ledger(client).enqueue(
            Campaigns(client).next_batch(CAMPAIGN), run=0, queue="priority", account="primary",
            payload=b"p", recipients=people, now=1.0,
        )  # fmt: skip

    assert place(client, CAMPAIGN, ada.fingerprint) == 3
    assert place(client, CAMPAIGN, b"nobody's") < 0
    assert place(client, "unknown", ada.fingerprint) < 0


def test_a_forged_bounce_is_kept_and_drops_nobody(client, returns):
    (taken,) = returns.take(unknown_user(), "test", [to("ada@example.org", secret="guessed")])
    assert taken.match is None
    assert suppressed(client) == {}
    assert Campaigns(client).progress(CAMPAIGN, 0).came_back == {}
    returns.take(unknown_user(), "test", [to("ada@example.org", secret="guessed")])
    (kept,) = Feedback(client).unknown()
    assert kept[1]["recipient"] == "ada@example.org"


def test_a_vacation_to_a_right_address_is_counted_and_drops_nobody(client, returns):
    for octets in VACATIONS:
        take(returns, octets)
    assert Campaigns(client).progress(CAMPAIGN, 0).came_back == {"auto_reply": 1}
    assert suppressed(client) == {}


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.7.1 blocked using a blocklist",
        "554 5.7.1 message content rejected as spam",
        "421 4.7.0 too many connections",
        "552 5.3.4 message too large",
        "550 5.7.1 User unknown",
    ],
)
def test_the_senders_own_trouble_drops_nobody(client, returns, reply):
    take(returns, failed(reply, status=reply.split()[1]))
    assert suppressed(client) == {}


def test_a_full_mailbox_is_dropped_when_it_lasts_and_for_a_while(client, returns, clock):
    full = failed("552 5.2.2 mailbox full", status="5.2.2")
    for number, days in enumerate((0, 5, 15)):
        name = f"campaign-{number}"
        open_campaign(client, name)
        returns._known = None
        clock.now = 1_000_000 + days * DAY
        (taken,) = returns.take(full, "test", [to("ada@example.org", name)])
        assert taken.dropped == (days == 15)
    (until,) = client.zrange(keys.SUPPRESSED_UNTIL, 0, -1, withscores=True)
    assert until[1] == clock.now + 90 * DAY


def test_a_complaint_drops_at_once(client, returns):
    octets = complaint("abuse", "Original-Rcpt-To: ada@example.org\r\n")
    assert take(returns, octets).dropped
    assert suppressed(client) == {"ada@example.org": "complaint"}


def test_behind_a_forwarding_the_foreign_address_is_put_on_no_list(client, returns):
    assert take(returns, unknown_user("ada@elsewhere.example")).dropped
    assert "ada@elsewhere.example" not in suppressed(client)
    assert Suppression(client).among([fingerprint("ada@example.org")], ALL) == [True]


def test_a_campaign_of_which_too_much_bounces_pauses_itself(client, returns):
    client.hset(keys.counts(CAMPAIGN), "a", "300")
    pauses = []
    for number in range(60):
        mailbox = f"u{number}@example.org"
        if paused := take(returns, unknown_user(mailbox), mailbox).paused:
            pauses.append((number + 1, paused))
    # 23 of 300 are 7.7 %, and with 95 % certainty at least 5.2 %; of 22 it is 4.9 %.
    assert pauses == [(23, "23 of 300 bounced for good")]
    progress = Campaigns(client).progress(CAMPAIGN, 0)
    assert (progress.state, progress.why) == ("paused", "23 of 300 bounced for good")


def test_a_rate_that_was_accepted_pauses_no_more(client, returns):
    client.hset(keys.counts(CAMPAIGN), "a", "300")
    Receivers(client).let_go(CAMPAIGN)
    for number in range(60):
        assert not take(
            returns, unknown_user(f"u{number}@example.org"), f"u{number}@example.org"
        ).paused


def test_few_messages_prove_nothing(client, returns):
    client.hset(keys.counts(CAMPAIGN), "a", "199")
    for number in range(60):
        assert not take(
            returns, unknown_user(f"u{number}@example.org"), f"u{number}@example.org"
        ).paused


def test_a_reader_that_is_killed_at_any_moment_loses_and_doubles_nothing(client, place, redis_url):
    """kill -9, again and again at other moments, until a reader gets to the end of the Maildir."""
    open_campaign(client, CAMPAIGN)
    with (place / "mailer.toml").open("a") as file:
        file.write('[feedback]\nsecret_file = "secret"\n')
    (place / "secret").write_text(SECRET)
    (place / "secret").chmod(0o600)
    for folder in ("new", "cur", "tmp"):
        (place / "Maildir" / folder).mkdir(parents=True)
    for number in range(60):
        mailbox = f"u{number}@example.org"
        head = f"Delivered-To: {to(mailbox)}\r\n".encode()
        (place / "Maildir/new" / str(number)).write_bytes(head + unknown_user(mailbox))
    command = [sys.executable, "-m", "mailer", "feedback", "read", "Maildir"]
    new = place / "Maildir/new"
    kills = 0
    for target in (50, 30, 10):
        reader = subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL)
        while reader.poll() is None and len(list(new.iterdir())) > target:
            pass
        kills += reader.poll() is None
        reader.kill()
        reader.wait()
    assert kills
    subprocess.run(command, cwd=place, check=True, stdout=subprocess.DEVNULL)
    assert list(new.iterdir()) == []
    assert Campaigns(client).progress(CAMPAIGN, 0).came_back == {"bounce": 60, "permanent": 60}
    assert len(suppressed(client)) == 60


TOKEN = TokenSigner(SECRET).token("ada@example.org", CAMPAIGN, "news.shop.example")


def asks(subject="", to="leave@shop.example", body="Please.", head=""):
    return (
        f"From: Ada <ada@example.org>\r\nTo: {to}\r\nSubject: {subject}\r\n{head}\r\n{body}\r\n"
    ).encode()


@pytest.mark.parametrize(
    "octets",
    [
        asks(f"unsubscribe {TOKEN}"),
        asks(TOKEN),
        asks(f"=?utf-8?q?unsubscribe_{TOKEN.replace('_', '=5F')}?="),
        asks(f"unsubscribe\r\n {TOKEN}"),
    ],
    ids=["subject", "alone", "encoded", "folded"],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_who_asks_by_mail_leaves_the_list_also_of_a_forgotten_campaign(
    client, returns, octets, is_known
):
    if not is_known:
        client.delete("mailer:campaign:spring", "mailer:campaigns")
    (taken,) = returns.take(octets, "test")
    assert (taken.report.kind, taken.dropped) == (Kind.UNSUBSCRIBE, True)
    (entry,) = Suppression(client)
    assert (entry.mailbox, entry.scope) == ("ada@example.org", "news.shop.example")
    assert (entry.reason, entry.source) == ("unsubscribe", "test")
    (again,) = returns.take(octets, "test")
    assert not again.dropped
    expected = {"unsubscribe": 1} if is_known else {}
    assert Feedback(client).counts(CAMPAIGN) == expected


@pytest.mark.parametrize(
    "octets",
    [
        asks(f"unsubscribe {TOKEN[:-2]}AA"),
        asks(f"unsubscribe {TokenSigner('guessed').token('ada@example.org', CAMPAIGN)}"),
        asks("unsubscribe"),
        asks(f"Re: what is this long thing that I see here, {TOKEN}"),
        asks("Re: News", body=f"https://mail.shop.example/u/{TOKEN}"),
    ],
    ids=["changed", "forged", "without", "a question", "quoted"],
)
def test_what_does_not_ask_or_proves_nothing_takes_nobody_off(client, returns, octets):
    (taken,) = returns.take(octets, "test")
    assert not taken.dropped
    assert suppressed(client) == {}
