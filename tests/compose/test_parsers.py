"""Hard cases, read back by parsers that are not ours.

The stdlib's, mail-parser's, npm's mailparser, and reformime, a C program that mail servers use.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import unicodedata
from email.header import decode_header, make_header
from pathlib import Path

import mailparser
import pytest

from mailer.compose import Attachment, Composer, Unsubscribe
from mailer.compose.verify import faults
from tests.compose.conftest import bytes_of, read, row

CASES = {
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301",
    "right to left": "שלום \u200fעולם، مرحبا",  # noqa: RUF001 - Hebrew is meant
    "cjk": "漢字仮名交じり文 한국어 " * 4,
    "300 characters": "Ada von und zu " * 20 + "x",
    "quotes": "\"Ada\" 'the' \\ <b> & Co., (x); =?",
    "dots": "...\n.\n..x\n.",
    "from lines": "From here\nFrom there\n>From\n",
    "trailing blanks": "a \nb\t\n c  \n",
    "998 octets": "x" * 998,
    "2000 octets": "y" * 2000 + " " + "ü" * 2000,
    "line ends": "a\r\nb\rc\nd",
    "separators": "a\x0bb\x0cc\x85d\u2028e\u2029f",
    "controls": "a\x00b\x01c\x1bd\x7fe",
    "equals": "=3D =\n=?utf-8?q?x?= ==",
    "empty": "",
    "percent": "%s {} {{ name }} {% if %}",
    "a boundary": "--=_x\n--\n",
}
TAME = "\r\n\x00\x01\x0b\x0c\x1b\x7f\x85\u2028\u2029"
PDF = bytes(range(256)) * 20


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request) -> str:
    return request.param


@pytest.fixture
def composer(make) -> Composer:
    return make(
        {
            "subject.txt": "News for {{ subject }}, today",
            "body.txt": "Text: {{ value }}|\n{{ value }}",
            "body.html": "<html><body><p>{{ value }}|</p><img src='cid:logo.png' alt=''></body></html>",
            "logo.png": PDF[:500],
        },
        attachments=[Attachment.from_bytes(PDF, "Übersicht 2026 €.pdf")],
        unsubscribe=Unsubscribe("https://shop.example/" + "u" * 200 + "/{token}"),
        secret="s",
    )


def one_line(text: str) -> str:
    return " ".join(text.translate(dict.fromkeys(map(ord, TAME), " ")).split())


def wanted(value: str) -> str:
    """The text part, as a reader should see it."""
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    text = f"Text: {value}|\n{value}"
    return text if text.endswith("\n") else text + "\n"


def message(composer: Composer, case: str) -> bytes:
    subject = one_line(case).replace("=?", "= ?")
    recipient = row(value=case, subject=subject, name=subject or None)
    content = bytes_of(composer, recipient)
    assert faults(content) == []
    return content


def test_the_stdlib_reads_what_was_meant(composer, case):
    read_back = read(message(composer, case))
    subject = one_line(case).replace("=?", "= ?")
    assert read_back["Subject"] == f"News for {subject}, today"
    assert read_back["List-Unsubscribe"].startswith("<https://shop.example/uuu")
    text = read_back.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text == wanted(case)
    image, attachment = (p for p in read_back.walk() if p.get_filename())
    assert (image.get_content(), image["Content-Disposition"].content_disposition) == (
        PDF[:500],
        "inline",
    )
    assert (attachment.get_content(), attachment.get_filename()) == (PDF, "Übersicht 2026 €.pdf")
    assert not any(part.defects for part in read_back.walk())


def test_the_older_stdlib_api_reads_what_was_meant(composer, case):
    from email import message_from_bytes  # noqa: PLC0415 - under its default policy here

    read_back = message_from_bytes(message(composer, case))
    subject = one_line(case).replace("=?", "= ?")
    decoded = str(make_header(decode_header(read_back["Subject"].replace("\r\n", ""))))
    assert decoded == f"News for {subject}, today"
    phrase = read_back["To"].replace("\r\n", "").rpartition(" <")[0].strip('"')
    if "=?utf-8?" in phrase:
        assert str(make_header(decode_header(phrase))) == subject


def test_mail_parser_reads_what_was_meant(composer, case):
    read_back = mailparser.parse_from_bytes(message(composer, case))
    subject = one_line(case).replace("=?", "= ?")
    # It composes characters, and leaves a folded header's line breaks in.
    composed = unicodedata.normalize("NFC", f"News for {subject}, today")
    assert " ".join(read_back.subject.split()) == composed
    assert read_back.to[0][1] == "ada@example.org"
    (text,) = read_back.text_plain
    meant = unicodedata.normalize("NFC", wanted(case)).strip("\n")
    assert unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip("\n") == meant
    assert [a["filename"] for a in read_back.attachments] == ["logo.png", "Übersicht 2026 €.pdf"]
    assert not read_back.defects


MAILPARSER = Path(
    os.environ.get("MAILER_MAILPARSER") or Path.home() / ".cache/mailer-tests/mailparser"
)
PARSE = """
const { simpleParser } = require('mailparser');
let octets = [];
process.stdin.on('data', chunk => octets.push(chunk)).on('end', async () => {
  const mail = await simpleParser(Buffer.concat(octets), { skipImageLinks: true });
  console.log(JSON.stringify({
    subject: mail.subject, to: mail.to.value, text: mail.text,
    files: mail.attachments.map(a => [a.contentType, a.filename, a.content.toString('base64')]),
  }));
});
"""


def by_mailparser(script: str, octets: bytes) -> dict:
    """What *script*, which is given *octets*, says of them."""
    done = subprocess.run(
        ["node", "-e", script],
        input=octets,
        cwd=MAILPARSER,
        capture_output=True,
        check=True,
        timeout=180,
    )
    return json.loads(done.stdout)


wants_mailparser = pytest.mark.skipif(
    not (MAILPARSER / "node_modules/mailparser").is_dir(), reason="wants npm's mailparser"
)


@wants_mailparser
def test_mailparser_of_npm_reads_what_was_meant(composer, case):
    read_back = by_mailparser(PARSE, message(composer, case))
    subject = one_line(case).replace("=?", "= ?")
    assert " ".join(read_back["subject"].split()) == f"News for {subject}, today"
    assert read_back["to"][0]["address"] == "ada@example.org"
    assert read_back["text"].strip("\n") == wanted(case).strip("\n")
    kinds = {kind: base64.b64decode(content) for kind, _, content in read_back["files"]}
    assert kinds == {"image/png": PDF[:500], "application/pdf": PDF}


@pytest.mark.skipif(not shutil.which("reformime"), reason="wants reformime (Debian's maildrop)")
def test_reformime_reads_what_was_meant(composer, case):
    content = message(composer, case)
    listing = subprocess.run(
        ["reformime", "-s", "1.1.1"], input=content, capture_output=True, check=False
    )
    structure = subprocess.run(["reformime", "-i"], input=content, capture_output=True, check=True)
    types = [
        line.split(b": ")[1]
        for line in structure.stdout.split(b"\n")
        if line.startswith(b"content-type")
    ]
    assert types == [
        b"multipart/mixed",
        b"multipart/alternative",
        b"text/plain",
        b"multipart/related",
        b"text/html",
        b"image/png",
        b"application/pdf",
    ]
    sections = [line[9:] for line in structure.stdout.split(b"\n") if line.startswith(b"section: ")]
    assert listing.returncode in {0, 1}
    with tempfile.TemporaryDirectory() as folder:
        for number, section in enumerate(sections):
            if types[number].startswith(b"multipart"):
                continue
            out = Path(folder, str(number))
            command = ["reformime", "-s", section.decode(), "-e"]
            done = subprocess.run(command, input=content, capture_output=True, check=True)
            out.write_bytes(done.stdout)
        text = Path(folder, "2").read_bytes().replace(b"\r\n", b"\n").decode()
        assert text == wanted(case)
        assert Path(folder, "5").read_bytes() == PDF[:500]
        assert Path(folder, "6").read_bytes() == PDF


@pytest.mark.skipif(not shutil.which("ripmime"), reason="wants Debian's ripmime")
def test_ripmime_finds_the_files(composer, case, tmp_path):
    source = tmp_path / "message.eml"
    source.write_bytes(message(composer, case))
    out = tmp_path / "out"
    subprocess.run(
        ["ripmime", "-i", source, "-d", out, "--overwrite"], check=True, capture_output=True
    )
    contents = [path.read_bytes() for path in out.iterdir()]
    assert PDF in contents
    assert PDF[:500] in contents


@pytest.mark.spamassassin
@pytest.mark.skipif(not shutil.which("spamassassin"), reason="wants SpamAssassin")
def test_spamassassin_finds_no_fault_in_the_newsletter(newsletter, tmp_path):
    content = bytes_of(newsletter, row(name="Jörg Müller", city="Łódź", points="240"))
    command = ["spamassassin", "-L", "-t", "-x"]
    done = subprocess.run(command, input=content, capture_output=True, check=True, timeout=100)
    report = done.stdout.decode("utf-8", "replace").partition("Content analysis details:")[2]
    rules = {found[1] for found in re.finditer(r"^ *-?[0-9.]+ ([A-Z_0-9]+) ", report, re.MULTILINE)}
    harmless = {"HTML_MESSAGE", "MAILING_LIST_MULTI", "NO_RECEIVED", "NO_RELAYS"}
    assert rules - harmless == set()
    assert "HTML_MESSAGE" in rules, report
