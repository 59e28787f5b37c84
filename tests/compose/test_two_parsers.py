"""Templates put together of every hard construct, read alike by two parsers: the stdlib's and npm's."""

import base64
from email.message import EmailMessage

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from mailer.compose import Attachment
from mailer.compose.verify import faults
from tests.compose.conftest import bytes_of, read, row
from tests.compose.test_parsers import by_mailparser, wants_mailparser

PARSE = """
const { simpleParser } = require('mailparser');
let octets = [];
process.stdin.on('data', chunk => octets.push(chunk)).on('end', async () => {
  const mail = await simpleParser(Buffer.concat(octets), { skipImageLinks: true });
  const people = field => field.value.map(one => [one.name, one.address]);
  console.log(JSON.stringify({
    subject: mail.subject, from: people(mail.from), to: people(mail.to), text: mail.text,
    html: mail.html, reply: mail.replyTo ? people(mail.replyTo) : [],
    files: mail.attachments.map(a => [a.contentType, a.filename || null, a.content.toString('base64')]),
  }));
});
"""
FRAGMENTS = (
    "<style>{% if vip %}p { color: red }{% else %}p { color: blue }{% endif %}</style>",
    "<style>p { color: {{ colour }} } a { margin: 0 }</style>",
    '<style media="print">p { display: none }</style>',
    "<style>.h { display: none !important } @media (max-width: 480px) { .h { display: block } }</style>",
    "<o:p>{{ name }}</o:p><amp-img src='https://x.example/a.png'></amp-img>",
    "<div>{{ article }}</div>",
    '<div class="h">hidden {{ name }}</div>',
    '<a href="https://x.example/a_(b)?q={{ name|urlencode }}">words [1] {{ name }}</a>',
    "<p>{{ nothing or 'friend' }}</p>",
    "{% if a < 3 and a > 1 %}<p>few {{ a }}</p>{% endif %}",
    '<img src="cid:my logo.png" alt=\'a "logo"\'>',
    '<td background="cid:my%20logo.png" style="height:0">x</td>',
    "<h1 align=center>{{ name }}</h1><!-- [if mso]> --><p>=C3=BC .\n.. From here</p>",
    "<table><tr><td>{{ name }}</td><td>b</td></tr></table><ul><li>one<li>two</ul>",
    "{{ long }}",
    "\r\n<p>\r\n{{ name }}\r\n</p>\r\n",
    "{% from 'm.html' import say %}{{ say(name) }}",
)
NAMES = (
    "Ada",
    "Tom & Jerry",
    "Grüße, Ada: (x) [y]",
    "漢字 한국어",
    "O'Brien <b>",
    "שלום",
    "a\u0301 👩‍👩‍👧",
    "",
)
ICS = b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"
EML = b"From: a@x.example\r\nSubject: inner\r\n\r\nHi\r\n"
FILES = (
    Attachment.from_bytes(b"%PDF-1.7 \x00\xff" * 40, "Übersicht 2026 €.pdf"),
    Attachment.from_bytes(ICS, "invite.ics", "text/calendar; method=REQUEST; charset=utf-8"),
    Attachment.from_bytes("ü;ä\r\n".encode("latin-1"), "a b.csv", "text/csv; charset=iso-8859-1"),
    Attachment.from_bytes(EML, "mail.eml", "message/rfc822"),
)

pytestmark = wants_mailparser


def content(part: EmailMessage) -> bytes:
    if part.get_content_type() == "message/rfc822":
        return part.get_payload(0).as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return part.get_payload(decode=True)


def lines(text: str) -> str:
    return text.replace("\r\n", "\n").strip("\n")


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    html=st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=9).map("\n".join),
    name=st.sampled_from(NAMES),
    files=st.lists(st.sampled_from(FILES), unique=True, max_size=3),
    own_text=st.booleans(),
    vip=st.booleans(),
)
def test_both_read_the_same_message(make, html, name, files, own_text, vip):
    sources = {
        "subject.txt": "{% from 'm.html' import say %}News: {{ say(name) }}",
        "body.html": f"<html><body>{html}</body></html>",
        "m.html": "{% macro say(who) %}for {{ who }}!{% endmacro %}",
        "my logo.png": b"\x89PNG" + bytes(200),
    }
    if own_text:
        sources["body.txt"] = "Dear {{ name }},\n.\nFrom us: {{ long }}\n"
    composer = make(
        sources,
        attachments=files,
        sender='"Shop: (a) & b" <news@shop.example>',
        reply_to="Ada <ada@x.example>, bob@x.example",
    )
    article = Markup("<p>one <a href='https://x.example/'>two</a></p><p>three</p>")
    fields = {"name": name, "vip": vip, "colour": "#fff", "article": article, "nothing": None}
    octets = bytes_of(composer, row(**fields, a=2, long="x y " * 400))
    assert faults(octets) == []

    ours, other = read(octets), by_mailparser(PARSE, octets)
    assert not ours.defects
    assert other["subject"] == ours["Subject"] == f"News: for {name}!"
    for field, header in (("from", "From"), ("to", "To"), ("reply", "Reply-To")):
        people = [[one.display_name, one.addr_spec] for one in ours[header].addresses]
        assert other[field] == people
    for kind, subtype in (("text", "plain"), ("html", "html")):
        body = ours.get_body((subtype,)).get_content()
        assert lines(other[kind] or "") == lines(body)
    parts = [
        part
        for part in ours.walk()
        if part.get_filename() or part.get_content_maintype() == "image"
    ]
    found = sorted([part.get_content_type(), part.get_filename(), content(part)] for part in parts)
    assert found == sorted(
        [kind, name, base64.b64decode(octets)] for kind, name, octets in other["files"]
    )
