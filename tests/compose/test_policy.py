"""`EmailMessage` under our policy: right on every version of Python."""

import os
import subprocess
import sys
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.compose.policy import MAIL, MAIL_UTF8
from mailer.compose.verify import faults
from mailer.errors import HeaderError
from tests.compose.conftest import ROOT, read

URL = f"<https://shop.example/u/{'t' * 300}>"


def message(**headers: object) -> EmailMessage:
    made = EmailMessage(policy=MAIL)
    for name, value in {"From": "a@b.example", "To": "c@d.example", "Date": "x"}.items():
        made[name] = value
    made["Message-ID"] = "<1@b.example>"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content("Grüße\n")
    return made


@pytest.mark.parametrize(
    "name",
    ["List-Unsubscribe", "References", "In-Reply-To", "List-Help", "DKIM-Signature", "X-Url"],
)
def test_long_tokens_are_written_as_they_are(name):
    made = message(**{name: URL})
    assert f"{name}: {URL}\r\n".encode() in made.as_bytes()
    assert faults(made.as_bytes()) == []


def test_a_decoded_line_break_is_refused_cve_2024_6923():
    with pytest.raises(HeaderError):
        message(Subject='"Hello =?UTF-8?Q?=0A?=Bcc: x@y.example"')


@pytest.mark.parametrize("name", ["Subject", "From", "To", "X-Any", "List-ID", "Content-Type"])
@pytest.mark.parametrize("value", ["a\r\nBcc: x", "a\nb", "a\0", "=?utf-8?b?Cg==?="])
def test_no_header_takes_a_line_break(name, value):
    made = EmailMessage(policy=MAIL)
    with pytest.raises((HeaderError, ValueError)):
        made[name] = value
    assert name not in made


@pytest.mark.parametrize("name", ["From", "Subject", "Message-ID", "List-Unsubscribe", "List-ID"])
def test_what_must_be_single_is_single(name):
    made = EmailMessage(policy=MAIL)
    made[name] = "a@b.example"
    with pytest.raises(ValueError, match="at most 1"):
        made[name] = "c@d.example"


def test_a_name_does_not_lose_its_quotes_when_it_is_folded():
    name = "Evil, Inc. <boss@bank.example> " + "x " * 60 + "end"
    made = message(Reply_To=Address(name, "a", "b.example"))
    (address,) = read(made.as_bytes())["Reply-To"].addresses
    assert (address.display_name, address.addr_spec) == (name, "a@b.example")


def test_two_recipients_stay_two():
    pair = [Address("Müller, Hans " * 5 + "x", "a", "b.example"), Address("Ż", "c", "d.example")]
    made = message(Cc=pair)
    assert [a.addr_spec for a in read(made.as_bytes())["Cc"].addresses] == [
        "a@b.example",
        "c@d.example",
    ]


def test_addresses_are_never_encoded_words():
    made = message(Reply_To="Jörg <a@bücher.example>")
    assert b"<a@xn--bcher-kva.example>" in made.as_bytes()
    with pytest.raises(HeaderError, match="SMTPUTF8"):
        message(Reply_To="jörg@example.org")


def test_smtputf8_writes_the_local_part_as_it_is():
    made = EmailMessage(policy=MAIL_UTF8)
    made["To"] = "Jörg <jörg@bücher.example>"
    assert (
        made.as_bytes() == b"To: =?utf-8?b?SsO2cmc=?= <j\xc3\xb6rg@xn--bcher-kva.example>\r\n\r\n"
    )


def test_bodies_are_seven_bits_in_lines_of_76():
    made = message()
    made.set_content("Grüße " * 100 + "\n" + "漢字" * 200 + "\n")
    assert faults(made.as_bytes()) == []
    assert max(map(len, made.as_bytes().split(b"\r\n"))) <= 76


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=120))
def test_a_subject_is_what_was_set_or_is_refused(text):
    made = EmailMessage(policy=MAIL)
    try:
        made["Subject"] = text
    except HeaderError:
        assert "=?" in text
        return
    assert read(made.as_bytes())["Subject"] == str(made["Subject"]).strip(" ")


SCRIPT = """
import sys
sys.path[:0] = sys.argv[1:]
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from mailer.compose.policy import MAIL
from mailer.compose.verify import faults
from mailer.errors import HeaderError

made = EmailMessage(policy=MAIL)
made["From"] = Address("Käthe, Söhne & Co " * 6 + "x", "news", "shop.example")
made["To"] = Address('Ada "x" ' + "Lovelace " * 30 + "end", "ada", "example.org")
made["Subject"] = subject = "Größe 😀 漢字 " * 12 + "end"
made["Date"] = "Sun, 01 Mar 2026 09:30:00 +0000"
made["Message-ID"] = "<1@shop.example>"
made["List-Unsubscribe"] = url = "<https://shop.example/" + "u" * 300 + ">"
made.set_content("Grüße\\n.\\nFrom x\\n" + "z" * 2000 + "\\n")
made.add_alternative("<p>Grüße</p>", subtype="html")
made.add_attachment(b"1", maintype="application", subtype="pdf", filename="Süß €.pdf")
octets = made.as_bytes()
assert faults(octets) == [], faults(octets)
again = message_from_bytes(octets, policy=policy.default)
assert again["Subject"] == subject, again["Subject"]
assert again["List-Unsubscribe"] == url
assert again["To"].addresses[0].display_name == made["To"].addresses[0].display_name
assert [p.get_filename() for p in again.iter_attachments()] == ["Süß €.pdf"]
text = again.get_body(("plain",)).get_content().replace("\\r\\n", "\\n")
assert text == "Grüße\\n.\\nFrom x\\n" + "z" * 2000 + "\\n"
for value in ("a\\nb", "=?utf-8?q?=0A?=Bcc: x@y.example"):
    try:
        made["X-Evil"] = value
    except (HeaderError, ValueError):
        continue
    raise SystemExit("not refused: " + value)
print("ok")
"""


def interpreters() -> list[Path]:
    """The interpreters on this machine from 3.11 on: this one, and pyenv's."""
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    others = [p for minor in range(11, 15) for p in sorted(home.glob(f"3.{minor}.*/bin/python3"))]
    return [Path(sys.executable), *others]


@pytest.mark.parametrize("python", interpreters(), ids=lambda path: path.parts[-3])
def test_the_policy_is_right_on_other_versions_of_python(python, tmp_path):
    # Of what is installed here only pure Python is wanted: idna.
    (tmp_path / "idna").symlink_to(Path(idna.__file__).parent)
    # The package's own __init__ wants everything that is installed; a stand-in wants nothing.
    package = tmp_path / "mailer"
    (package / "compose").mkdir(parents=True)
    for name in (
        "errors.py",
        "compose/words.py",
        "compose/mailboxes.py",
        "compose/policy.py",
        "compose/verify.py",
    ):
        (package / name).symlink_to(ROOT / "mailer" / name)
    for name in ("__init__.py", "compose/__init__.py"):
        (package / name).touch()
    arguments = [python, "-W", "error", "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=180)
    assert done.stderr == ""
    assert done.stdout == "ok\n"
