"""Messages that their callers made: envelope as smtplib's, content checked, one recipient a message."""

import email
import smtplib
from email import policy
from email.message import EmailMessage
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

import pytest
from hypothesis import given as example
from hypothesis import strategies as st

import mailer
from mailer import Attachment, Campaign, send_mail, send_message
from mailer.compose.given import given
from mailer.compose.verify import faults
from mailer.config import Settings
from mailer.errors import CampaignChangedError, InputError
from mailer.mail.payload import decode
from mailer.mail.recipients import fingerprint
from mailer.store.suppression import Suppressed, Suppression


@pytest.fixture(autouse=True)
def settings(redis_url, tmp_path):
    made = Settings(redis=redis_url, templates=tmp_path, sender="Shop <news@shop.example>")
    mailer.configure(made)
    yield made
    mailer.configure(None)


def simple(**headers):
    message = EmailMessage()
    fields = {"From": "Ada <ada@shop.example>", "To": "bob@example.org", "Subject": "Hello"}
    for name, value in (fields | {k.replace("_", "-"): v for k, v in headers.items()}).items():
        if value is not None:
            message[name] = value
    message.set_content("A text.\n")
    return message


def mails(client, campaign="send.message"):
    found = client.keys(f"mailer:payload:{campaign}:*")
    found.sort(key=lambda key: int(key.rpartition(b":")[2]))
    return [entry.message for key in found for entry in decode(client.get(key))]


def parsed(mail):
    return email.message_from_bytes(mail.content[0], policy=policy.default)


class Recorded(smtplib.SMTP):
    """smtplib's own idea of the envelope: it connects to nobody."""

    def __init__(self):
        super().__init__()
        self.ehlo_resp = b""
        self.does_esmtp = True
        self.esmtp_features = {"smtputf8": "", "8bitmime": ""}

    def ehlo_or_helo_if_needed(self):
        """Nothing: there is no server."""

    def sendmail(self, from_addr, to_addrs, *_args, **_options):
        self.envelope = from_addr, list(to_addrs)
        return {}


ENVELOPES = [
    {},
    {"Sender": "secretary@shop.example"},
    {"Cc": "c@example.org, D <d@example.org>", "Bcc": "e@example.org"},
    {"To": None, "Bcc": "e@example.org"},
    {"To": '"Doe, Jane" <jane@example.org>, bob@example.org'},
    {
        "Resent_Date": "Thu, 01 Jan 2026 00:00:00 +0000",
        "Resent_From": "r@shop.example",
        "Resent_To": "s@example.org",
        "Resent_Bcc": "t@example.org",
    },
]


@pytest.mark.parametrize("headers", ENVELOPES)
def test_the_envelope_is_the_one_that_smtplib_takes(client, headers):
    message = simple(**headers)
    smtp = Recorded()
    smtp.send_message(message)
    send_message(message)
    sent = mails(client)
    assert {one.reverse_path for one in sent} == {smtp.envelope[0]}
    assert sorted(one.forward_path for one in sent) == sorted(smtp.envelope[1])
    assert not any("bcc" in name.lower() for one in sent for name in parsed(one))


def test_an_envelope_that_is_given_goes_before_the_headers(client):
    send_message(simple(), "bounces@shop.example", ["x@example.org", "y@example.org"])
    one, two = mails(client)
    assert {one.forward_path, two.forward_path} == {"x@example.org", "y@example.org"}
    assert one.reverse_path == "bounces@shop.example"
    assert parsed(one)["To"] == "bob@example.org"


def test_a_message_that_was_resent_twice_wants_its_envelope(client):
    message = simple(Resent_From="r@shop.example", Resent_To="s@example.org")
    message["Resent-Date"] = "Thu, 01 Jan 2026 00:00:00 +0000"
    message.add_header("Resent-Date", "Fri, 02 Jan 2026 00:00:00 +0000")
    with pytest.raises(InputError, match="resent more than once"):
        send_message(message)
    send_message(message, "r@shop.example", "s@example.org")
    assert len(mails(client)) == 1


def test_the_callers_message_id_and_date_are_kept_and_missing_ones_are_added(client):
    own = simple(Message_ID="<own@shop.example>", Date="Thu, 01 Jan 2026 00:00:00 +0000")
    assert send_message(own) == "<own@shop.example>"
    given_id = send_message(simple())
    one, two = map(parsed, mails(client))
    assert one["Date"] == "Thu, 01 Jan 2026 00:00:00 +0000"
    assert two["Message-ID"] == given_id
    assert given_id.endswith("@shop.example>")
    assert two["Date"]
    assert own["Precedence"] is one["Precedence"] is None, "bulk headers only where asked"


def test_bulk_headers_are_added_where_that_is_asked_for(client):
    send_message(simple(), bulk=True)
    assert parsed(mails(client, "send.message.bulk")[0])["Precedence"] == "bulk"


def test_the_callers_message_is_not_changed():
    message = simple(Bcc="e@example.org")
    before = message.as_bytes()
    send_message(message)
    assert message.as_bytes() == before


def test_eight_bit_long_lines_and_bare_cr_are_encoded_and_say_the_same(client):
    message = simple()
    message.set_content("Grüße, " + "x" * 2000 + "\n", cte="8bit")
    bare = simple()
    bare.set_payload("one\rtwo\n")
    for one in (message, bare):
        send_message(one)
    first, second = mails(client)
    assert parsed(first).get_content().startswith("Grüße, xxx")
    assert faults(first.content[0]) == faults(second.content[0]) == []


def test_what_people_build_arrives_as_it_was(client):
    message = simple(Subject="Grüße " + "lang " * 60)
    message.add_alternative("<p>Hällo <img src='cid:logo'></p>", subtype="html")
    message.get_payload()[1].add_related(b"\x89PNG\x00", "image", "png", cid="<logo>")
    message.add_attachment(b"\x00\xff" * 500, "application", "pdf", filename="Übersicht.pdf")
    send_message(message)
    got = parsed(mails(client)[0])
    assert got["Subject"] == message["Subject"].strip()
    assert [part.get_content_type() for part in got.walk()] == [
        part.get_content_type() for part in message.walk()
    ]
    (file,) = got.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("Übersicht.pdf", b"\x00\xff" * 500)


def test_the_old_kind_of_message_is_sent_too(client):
    message = MIMEMultipart("mixed")
    message["From"], message["To"] = "ada@shop.example", "Bøb <bob@example.org>"
    message["Subject"] = "Grüße"
    message.attach(MIMEText("Hällo\n", "plain", "utf-8"))
    message.attach(MIMEImage(b"GIF89a", "gif"))
    send_message(message)
    got = parsed(mails(client)[0])
    assert (got["Subject"], str(got["To"])) == ("Grüße", "Bøb <bob@example.org>")
    assert [part.get_content_type() for part in got.walk()] == [
        "multipart/mixed",
        "text/plain",
        "image/gif",
    ]
    assert next(got.walk()).get_payload()[0].get_content() == "Hällo\n"


def test_a_message_that_was_read_from_a_file_is_sent_as_it_stands(client):
    raw = (
        b"From: =?utf-8?q?J=C3=BCrgen?= <j@shop.example>\r\nTo: bob@example.org\r\n"
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n folded\r\nReferences: <a@b.example>\r\n"
        b" <" + b"x" * 90 + b"@b.example>\r\nX-Own: 1\r\n\r\nText\r\n"
    )
    for read in (policy.default, policy.compat32):
        send_message(email.message_from_bytes(raw, policy=read))
    for one in map(parsed, mails(client)):
        assert one["Subject"] == "Grüße folded"
        assert "x" * 90 in one["References"]
        assert "=?" not in mails(client)[0].content[0].split(b"References:")[1].decode()
        assert one["From"].addresses[0].display_name == "Jürgen"


def test_an_address_that_is_not_ascii_asks_for_smtputf8_and_a_domain_does_not(client):
    send_message(simple(To="jürgen@example.org"))
    send_message(simple(To="ada@bücher.example"))
    wide, plain = mails(client)
    assert (wide.smtputf8, wide.forward_path) == (True, "jürgen@example.org")
    assert (plain.smtputf8, plain.forward_path) == (False, "ada@xn--bcher-kva.example")
    assert b"xn--bcher-kva.example" in plain.content[0]


@pytest.mark.parametrize(
    ("headers", "complaint"),
    [
        ({"From": None}, "no From"),
        ({"To": None}, "names nobody"),
        ({"To": "nonsense"}, "recipient 1"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_a_sentence_and_nothing_is_queued(
    client, headers, complaint
):
    with pytest.raises(InputError, match=complaint):
        send_message(simple(**headers))
    assert client.keys("mailer:*") == []


GROUPS = [
    ("team: x@example.org, Y <y@example.org>;", "", ["x@example.org", "y@example.org"]),
    ("a@example.org, team: x@example.org;", "", ["a@example.org", "x@example.org"]),
    ("undisclosed-recipients:;", "hidden@example.org", ["hidden@example.org"]),
    ("A&B Shop: News <news@example.org>", "", ["news@example.org"]),
    ('"Team: all;" <t@example.org>', "", ["t@example.org"]),
]


@pytest.mark.parametrize(("to", "bcc", "expected"), GROUPS)
def test_the_members_of_a_group_get_it_and_an_empty_one_is_left_out(client, to, bcc, expected):
    message = MIMEText("text")
    message["From"], message["To"], message["Bcc"] = "ada@shop.example", to, bcc
    send_message(message)
    sent = mails(client)
    assert sorted(one.forward_path for one in sent) == sorted(expected)
    got = parsed(sent[0])
    shown = [address.addr_spec for address in got["To"].addresses] if got["To"] else []
    assert shown == ([] if bcc else expected)
    assert b"hidden@" not in sent[0].content[0]


@pytest.mark.parametrize("written", [policy.default, policy.SMTP, policy.SMTPUTF8, policy.compat32])
def test_messages_of_every_policy_leave_the_same(client, written):
    raw = (
        "From: Jörg <j@shop.example>\nTo: Zoë <z@example.org>\nSubject: Grüße\n"
        'MIME-Version: 1.0\nContent-Type: text/plain; charset="utf-8"\n'
        "Content-Transfer-Encoding: 8bit\n\nÄ\n"
    )
    send_message(email.message_from_bytes(raw.encode(), policy=written))
    got = parsed(mails(client)[0])
    assert (got["Subject"], str(got["From"])) == ("Grüße", "Jörg <j@shop.example>")
    assert str(got["To"]) == "Zoë <z@example.org>"
    assert got.get_content().split() == ["Ä"]


def test_a_message_within_a_message_arrives_with_its_own_headers(client):
    inner = simple(Subject="Inner Grüße", To="old@example.org")
    inner.set_content("Hällo\n", cte="8bit")
    outer = simple()
    outer.add_attachment(inner)
    send_message(outer)
    (one,) = mails(client)
    assert one.forward_path == "bob@example.org"
    (got,) = [part for part in parsed(one).walk() if part.get_content_type() == "message/rfc822"]
    assert got.get_content()["Subject"] == "Inner Grüße"
    assert got.get_content().get_content().split() == ["Hällo"]
    assert got["Content-Transfer-Encoding"] in (None, "7bit")


def test_a_sender_beyond_ascii_asks_for_smtputf8(client):
    send_message(simple(From="jürgen@shop.example"))
    (one,) = mails(client)
    assert (one.reverse_path, one.smtputf8) == ("jürgen@shop.example", True)


def test_line_breaks_in_address_headers_fold_or_are_refused_and_never_hide_a_header(client):
    for number, cc in enumerate(
        ("c@example.org,\r\n\td@example.org", "c@example.org,\n d@example.org")
    ):
        message = MIMEText("text")
        message["From"], message["To"] = "a@shop.example", "b@example.org"
        message["Cc"] = cc
        send_message(message)
        assert len(mails(client)) == 3 * (number + 1)
    for cc in ("c@example.org\r\nX-Evil: 1", "c@example.org\n\nbody", "c@example.org\rX-Evil: 1"):
        message = MIMEText("text")
        message["From"], message["To"] = "a@shop.example", "b@example.org"
        message["Cc"] = cc
        with pytest.raises(InputError):
            send_message(message)
    assert len(mails(client)) == 6
    assert not any(b"X-Evil" in one.content[0] for one in mails(client))


def test_what_is_no_message_is_refused_in_a_sentence():
    with pytest.raises(InputError, match="of type str"):
        send_message("From: a@shop.example")


def test_a_header_with_a_line_break_in_it_is_refused(client):
    message = EmailMessage(policy=policy.compat32)
    message["From"], message["To"] = "a@shop.example", "b@example.org"
    message["Subject"] = "x\r\nBcc: victim@example.org"
    message.set_payload("text")
    with pytest.raises(InputError, match="cannot be sent"):
        send_message(message)
    assert client.keys("mailer:*") == []


def test_keys_hold_for_messages_whose_ids_and_boundaries_are_made_anew(client):
    def made(text="A"):
        message = simple()
        message.add_alternative(f"<p>{text}</p>", subtype="html")
        return message

    first = send_message(made(), key="k")
    assert send_message(made(), key="k") == first
    with pytest.raises(CampaignChangedError, match="k"):
        send_message(made("B"), key="k")
    with pytest.raises(CampaignChangedError):
        send_message(made(), to_addrs=["other@example.org"], key="k")
    assert len(mails(client)) == 1


def test_suppressed_recipients_are_left_out_and_nobody_left_is_an_error(client):
    Suppression(client).add([(fingerprint("c@example.org"), Suppressed("c@example.org", "", 0.0))])
    send_message(simple(Cc="c@example.org"))
    assert [one.forward_path for one in mails(client)] == ["bob@example.org"]
    with pytest.raises(InputError, match="suppression"):
        send_message(simple(To="c@example.org"))


def test_a_message_without_a_template_is_sent_from_subject_and_text(client):
    terms = Attachment.from_bytes(b"%PDF", "terms.pdf")
    made = send_mail(
        "Grüße", "Text\n", "<p>HTML</p>", to=["bob@example.org", "c@example.org"],
        attachments=[terms], headers={"X-Own": "1"},
    )  # fmt: skip
    one, two = mails(client)
    got = parsed(one)
    assert {one.forward_path, two.forward_path} == {"bob@example.org", "c@example.org"}
    assert (got["Message-ID"], got["From"], got["X-Own"]) == (made, "Shop <news@shop.example>", "1")
    assert got.get_body(("html",)).get_content().split() == ["<p>HTML</p>"]
    assert [part.get_filename() for part in got.iter_attachments()] == ["terms.pdf"]


def test_a_campaign_takes_messages_and_resumes(client, settings):
    def batch(number):
        return [simple(To=f"r{n}@example.org", Subject=f"For {n}") for n in range(number)]

    campaign = Campaign("ours", settings=settings)
    assert campaign.enqueue_messages(batch(3)).queued == 3
    receipt = campaign.enqueue_messages(iter([*batch(5), simple(To="nonsense")]))
    assert (receipt.queued, receipt.already_queued, receipt.invalid) == (2, 3, 1)
    sent = mails(client, "ours")
    assert sorted(parsed(one)["Subject"] for one in sent) == [f"For {n}" for n in range(5)]
    assert {parsed(one)["Precedence"] for one in sent} == {"bulk"}
    with pytest.raises(InputError, match="no template"):
        campaign.enqueue([{"email": "a@example.org"}])


TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=300)


@example(TEXT, st.sampled_from(["7bit", "8bit", "quoted-printable", "base64"]))
def test_whatever_text_a_message_holds_what_leaves_is_fit_to_leave(text, encoding):
    message = simple()
    try:
        message.set_content(text, cte=encoding)
    except (ValueError, UnicodeError):
        return  # the stdlib refuses it itself
    assert faults(given(message).content) == []


def test_the_documented_example_is_run():
    text = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    (code,) = [block for block in blocks if "EmailMessage()" in block]
    exec(compile(code, "docs/python.md", "exec"), {})
