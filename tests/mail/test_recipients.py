"""Rows become recipients, or say why not."""

import subprocess
import sys

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from mailer.mail.recipients import Recipient, Rejected, fingerprint, parse
from mailer.mail.rows import BrokenRow


def accepted(email: str, **fields: object) -> Recipient:
    recipient = parse({"email": email, **fields}, 1)
    assert isinstance(recipient, Recipient), recipient
    return recipient


def rejected(row: object) -> str:
    verdict = parse(row, 7)  # type: ignore[arg-type]
    assert isinstance(verdict, Rejected)
    assert (verdict.row, verdict.kind) == (7, "invalid")
    return verdict.reason


@pytest.mark.parametrize(
    ("email", "mailbox"),
    [
        ("ada@example.org", "ada@example.org"),
        ("  Ada.L+x@Example.ORG \t", "Ada.L+x@example.org"),
        ("ada@Bücher.example", "ada@xn--bcher-kva.example"),
        ('"ada lovelace"@example.org', '"ada lovelace"@example.org'),
        ("root@localhost", "root@localhost"),
        ("a@b.test", "a@b.test"),
    ],
)
def test_the_mailbox_has_its_domain_in_a_labels_and_its_local_part_untouched(email, mailbox):
    recipient = accepted(email)
    assert (recipient.mailbox, recipient.email, recipient.smtputf8) == (
        mailbox,
        email.strip(),
        False,
    )


def test_a_local_part_beyond_ascii_wants_smtputf8():
    recipient = accepted("jörg@bücher.example")
    assert (recipient.mailbox, recipient.smtputf8) == ("jörg@xn--bcher-kva.example", True)


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        ("", "the row has no email address"),
        ("   ", "the row has no email address"),
        (None, "the row has no email address"),
        (5, "the email address is a int, not text"),
        ("ada", "malformed"),
        ("ada@", "malformed"),
        ("ada@@example.org", "malformed"),
        ("ada@example", "no dot"),
        ("ada lovelace@example.org", "malformed"),
        ("ada@exam ple.org", "malformed"),
        ("ada@10.0.0.1", "ends in a number"),
        ("x" * 65 + "@example.org", "64 octets"),
        ("ada@" + "x" * 64 + ".org", "malformed"),
        ("ada@" + "x." * 126 + "org", "malformed"),
        ("ada\r\nBcc: x@example.org", "control character"),
        ("ada@example.org\0", "control character"),
        ("ada@example.org, bob@example.org", "malformed"),
        ("Ada <ada>", "malformed"),
        ("Ada <ada@example.org", "malformed"),
        ("a\u200bda@example.org", "invisible character (U+200B)"),
        ("\u202eada@example.org", "invisible character (U+202E)"),
        ("ada@example.org\ufeff", "invisible character (U+FEFF)"),
        (".ada@example.org", "malformed"),
        ("ada@-example.org", "malformed"),
        ("\ud800@example.org", "control character"),
    ],
)
def test_what_is_no_address_says_why(email, reason):
    assert reason in rejected({"email": email})


@given(st.text() | st.none() | st.integers() | st.binary() | st.lists(st.text()))
def test_no_data_is_bad_enough_to_raise(value):
    assert isinstance(parse({"email": value, "name": value}, 1), Recipient | Rejected)


LOCAL = st.text(st.sampled_from("aZ09._+-!#$%&'*/=?^`{|}~ \"@"), min_size=1, max_size=8)
DOMAIN = st.lists(
    st.text(st.sampled_from("aZ0-"), min_size=1, max_size=5), min_size=1, max_size=3
).map(".".join)


@given(st.builds("{}@{}".format, LOCAL, DOMAIN))
def test_what_is_taken_without_a_further_look_is_what_email_validator_takes(email):
    verdict = parse({"email": email}, 1)
    try:
        valid = validate_email(
            email, check_deliverability=False, allow_quoted_local=True, globally_deliverable=False
        )
    except EmailNotValidError:
        assert isinstance(verdict, Rejected)
        return
    if isinstance(verdict, Recipient):
        assert verdict.mailbox == f"{valid.local_part}@{valid.ascii_domain}"
    else:
        assert "no dot" in verdict.reason or "number" in verdict.reason


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada@example.org", "ADA@Example.ORG"),
        ("jörg@example.org", "JO\u0308RG@example.org"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("straße@example.org", "STRAẞE@example.org"),
        ("ΣΟΦΙΑΣ@example.org", "σοφιας@example.org"),
    ],
)
def test_two_spellings_of_a_mailbox_are_one_recipient(one, other):
    assert accepted(one).key == accepted(other).key
    assert len(accepted(one).key) == 8


def test_the_fingerprint_never_changes_for_the_suppression_list_holds_it():
    assert fingerprint("ada@example.org").hex() == "94c98cf6f23eed72"


@pytest.mark.parametrize(
    "column", ["email", "Email", "E-Mail", "e-mail", "Email Address", "EMAIL_ADDRESS"]
)
def test_the_column_with_the_address_goes_by_several_names(column):
    recipient = parse({column: "ada@example.org", "city": "London"}, 1)
    assert isinstance(recipient, Recipient)
    assert recipient.fields["email"] == "ada@example.org"
    assert recipient.fields["city"] == "London"


@pytest.mark.parametrize(("value", "name"), [(" Ada ", "Ada"), ("", None), (None, None), (5, None)])
def test_the_name_is_text_or_none(value, name):
    assert accepted("ada@example.org", name=value).name == name


def test_a_line_break_in_a_name_is_made_a_blank_with_a_word_about_it():
    recipient = accepted("ada@example.org", name="Ada \r\n Lovelace\u2028King")
    assert recipient.name == recipient.fields["name"] == "Ada Lovelace King"
    assert recipient.note == "the line break in the name was made a blank"
    assert accepted("ada@example.org", name="Ada").note == ""


def test_a_name_with_another_control_character_is_refused():
    assert "control character" in rejected({"email": "ada@example.org", "name": "Ada\x00"})


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("Ada <ada@example.org>", "Ada"),
        ('"Lovelace, Ada" <ada@example.org>', "Lovelace, Ada"),
        ('"Ada \\"Countess\\" L" <ada@example.org>', 'Ada "Countess" L'),
        ("<ada@example.org>", None),
        (" Zoë Müller  <ada@example.org> ", "Zoë Müller"),
    ],
)
def test_an_address_may_stand_behind_its_name(cell, name):
    recipient = accepted(cell)
    assert (recipient.email, recipient.name) == ("ada@example.org", name)
    assert recipient.fields["email"] == "ada@example.org"
    assert accepted(cell, name="Own").name == "Own"


def test_the_name_may_stand_in_a_column_of_another_case():
    assert accepted("ada@example.org", Name="Ada").name == "Ada"
    assert accepted("ada@example.org", NAME="Ada").name == "Ada"
    assert accepted("ada@example.org", Name="x", name="Ada").name == "Ada"


@pytest.mark.parametrize(
    "column",
    [
        "E-Mail-Adresse",
        "Adresse de messagerie",
        "Dirección de correo electrónico",
        "E-mail 1 - Value",
    ],
)
def test_the_address_is_found_in_an_address_book_s_own_words(column):
    verdict = parse({column: "ada@example.org"}, 1)
    assert isinstance(verdict, Recipient)


def test_two_fields_with_an_address_are_named_and_not_guessed():
    assert "'Email' and 'Mail'" in rejected({"Email": "a@b.de", "Mail": "c@d.de"})
    assert accepted("a@b.de", Mail="c@d.de").mailbox == "a@b.de"


def test_sharp_s_is_not_double_s():
    assert accepted("straße@example.org").key != accepted("strasse@example.org").key


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("\ud83d", "the field 'x' holds half a character (a lone surrogate)"),
        ({"deep": ["\udc00"]}, "the field 'x' holds half a character"),
        pytest.param(10**5000, "a field cannot be written down", id="digits"),
    ],
)
def test_a_value_that_nothing_can_write_is_refused_by_name(value, said):
    assert said in rejected({"email": "ada@example.org", "x": value})
    assert accepted("ada@example.org", x="👩‍👩‍👧").fields["x"] == "👩‍👩‍👧"


def test_a_broken_row_is_rejected_with_its_reason():
    assert rejected(BrokenRow("the row has 2 fields where there are 3 columns")).startswith(
        "the row"
    )


FIELDS = st.dictionaries(
    st.text(max_size=5),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    max_size=5,
)


@given(FIELDS, st.randoms())
def test_the_digest_does_not_depend_on_the_order_of_fields(fields, random):
    items = [*fields.items(), ("email", "ada@example.org")]
    random.shuffle(items)
    recipient = parse(dict(items), 1)
    ordered = parse({**fields, "email": "ada@example.org"}, 2)
    if isinstance(recipient, Recipient):
        assert isinstance(ordered, Recipient)
        assert recipient.digest == ordered.digest
        assert 0 <= recipient.digest < 2**31


def test_the_digest_changes_when_a_field_does():
    digests = {
        accepted("ada@example.org", **fields).digest
        for fields in (
            {},
            {"a": 1},
            {"a": "1"},
            {"a": None},
            {"a": True},
            {"b": 1},
            {"a": [1]},
            {"a": {"b": 1}},
        )
    }
    assert len(digests) == 8


def test_the_digest_is_the_same_in_every_process():
    code = (
        "from mailer.mail.recipients import parse; "
        "print(parse({'email': 'a@b.de', 'x': {'y': [1, 'ü']}}, 1).digest)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_neither_repr_nor_reason_tells_the_address():
    assert "ada" not in repr(accepted("ada@example.org", name="ada"))
    assert "lovelace" not in rejected({"email": "lovelace@ada@example.org"})


LONG = 50_000


@pytest.mark.parametrize(
    "email",
    [
        "a" + " " * LONG + "!",
        "a" + " " * LONG + "b>",
        "a <" + " " * LONG + ">",
        '"' + "a " * LONG + ">",
        '"' + '\\"' * LONG + ">",
        "a <" * LONG + ">",
        "<" * LONG + ">",
        "ada@example.org" + "\t" * LONG + ">",
    ],
)
def test_a_field_that_is_no_address_is_refused_in_one_pass(email):
    """A pattern that tries white space in several places at once would take hours for a long field."""
    assert isinstance(parse({"email": email}, 1), Rejected)


@pytest.mark.parametrize(
    ("email", "name"),
    [
        ("Ada L. <ada@example.org>", "Ada L."),
        ('"Ada, L." <ada@example.org>', "Ada, L."),
        ('"A \\"da\\" L" <ada@example.org>', 'A "da" L'),
        ("<ada@example.org>", None),
        ("  Ada" + " " * LONG + "<ada@example.org>  ", "Ada"),
    ],
)
def test_a_name_beside_the_address_is_taken_apart_from_it(email, name):
    one = parse({"email": email}, 1)
    assert isinstance(one, Recipient)
    assert (one.mailbox, one.name) == ("ada@example.org", name)


@pytest.mark.parametrize(
    "email", ['Ada "L <ada@example.org>', "Ada <L> <ada@example.org>", "Ada <a b@example.org>"]
)
def test_a_name_that_cannot_be_told_from_the_address_is_no_address(email):
    assert isinstance(parse({"email": email}, 1), Rejected)
