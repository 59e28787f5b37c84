"""Header fields: encoded-words, quoting, folding. Rules are numbered as in the module."""

import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.compose import words
from mailer.errors import HeaderError

TEXTS = st.text(
    st.one_of(
        st.sampled_from(' =?_ü😀漢א,;"\\<>@()'),
        st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]),
    ),
    min_size=1,
    max_size=200,
).filter(lambda text: text == text.strip() and "=?" not in text)
CONTROLS = ["\r", "\n", "\r\n", "\0", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"]


def unfolded(field: str) -> str:
    assert field.endswith("\r\n")
    return field[:-2].replace("\r\n", "").partition(": ")[2]


def assert_lines(field: str, limit: int = 998) -> None:
    lines = field[:-2].split("\r\n")
    for line in lines:
        assert len(line) <= limit
        assert line.strip()
    for line in lines[1:]:
        assert line.startswith(" ")
    assert field.isascii()
    for word in re.findall(r"=\?utf-8\?[qb]\?\S*\?=", field):
        assert len(word) <= 75
        assert "?==?" not in word


@given(TEXTS)
def test_free_text_is_read_back_by_the_stdlib(text):
    field = words.fold_text("Subject", text)
    assert_lines(field)
    message = message_from_bytes(field.encode() + b"\r\n", policy=policy.default)
    assert message["Subject"] == text


@given(TEXTS)
def test_free_text_is_read_back_by_the_older_stdlib_parser(text):
    if text.isascii():
        return  # it collapses nothing, but has nothing to decode either
    value = unfolded(words.fold_text("Subject", text))
    assert str(make_header(decode_header(value))) == text


@given(st.text(st.sampled_from("ü😀漢"), min_size=40, max_size=200))
def test_rule_2_a_word_never_splits_a_character(text):
    for word in words.encoded_words(text, 40):
        _, charset, _, _ = word.split("?", 3)
        assert charset == "utf-8"
        decode_header(word)[0][0].decode("utf-8")  # raises for half a character


@given(TEXTS)
def test_a_display_name_is_read_back(name):
    field = words.fold_mailboxes("To", [(name, "ada@example.org")])
    assert_lines(field)
    address = message_from_bytes(field.encode() + b"\r\n", policy=policy.default)["To"].addresses[0]
    assert address.addr_spec == "ada@example.org"
    if field.count("=?utf-8?") <= 1:  # of several, the stdlib keeps the blanks between
        assert address.display_name == name
    else:
        phrase = unfolded(field).rpartition(" <")[0]
        assert str(make_header(decode_header(phrase))) == name


@pytest.mark.parametrize("control", CONTROLS)
def test_rule_1_a_control_character_is_refused_everywhere(control):
    for fold in (words.fold_text, words.fold_tokens):
        with pytest.raises(HeaderError, match=r"^header X: the value holds a control character"):
            fold("X", f"a{control}b")
    with pytest.raises(HeaderError):
        words.fold_mailboxes("To", [(f"Ada{control}", "ada@example.org")])
    with pytest.raises(HeaderError):
        words.fold_parameters("Content-Disposition", "attachment", [("filename", f"a{control}")])


@pytest.mark.parametrize(
    "hidden",
    [
        "=?utf-8?q?=0A?=",
        "=?UTF-8?B?DQpCY2M6?=",
        "=?iso-8859-1?Q?a=0D?=",
        "=?x?q?=00?=",
        "=?a?b?Cg?=",
    ],
)
def test_rule_1_holds_inside_an_encoded_word(hidden):
    with pytest.raises(HeaderError):
        words.fold_text("Subject", f"Hello {hidden} Bcc: x@y.example")


def test_rule_3_a_long_url_is_neither_encoded_nor_cut():
    url = f"<https://shop.example/u/{'a' * 400}>"
    assert words.fold_tokens("List-Unsubscribe", url) == f"List-Unsubscribe: {url}\r\n"


def test_rule_4_tokens_are_folded_at_their_blanks():
    urls = ", ".join(f"<https://shop.example/{'u' * 60}/{n}>" for n in range(3))
    field = words.fold_tokens("List-Unsubscribe", urls)
    assert_lines(field, 120)
    assert field.count("\r\n ") == 2
    assert unfolded(field) == urls


def test_rule_4_a_token_that_no_line_can_hold_is_refused():
    with pytest.raises(HeaderError, match="longer than 998"):
        words.fold_tokens("List-Unsubscribe", "<https://shop.example/" + "u" * 1000 + ">")


def test_a_word_of_a_thousand_letters_in_free_text_is_encoded():
    field = words.fold_text("Subject", "a" * 1000)
    assert_lines(field, 78)
    assert str(make_header(decode_header(unfolded(field)))) == "a" * 1000


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("Lovelace, Ada", '"Lovelace, Ada"'),
        ('Ada "the" L\\', '"Ada \\"the\\" L\\\\"'),
        ("ada@evil.example", '"ada@evil.example"'),
        ("Jörg", "=?utf-8?b?SsO2cmc=?="),
    ],
)
def test_display_names_are_quoted_or_encoded_as_they_need(name, written):
    field = words.fold_mailboxes("To", [(name, "a@b.example")])
    assert field == f"To: {written} <a@b.example>\r\n"


def test_a_domain_is_written_in_a_labels():
    assert words.fold_mailboxes("To", [(None, "a@Bücher.example")]) == (
        "To: a@xn--bcher-kva.example\r\n"
    )


def test_a_local_part_beyond_ascii_wants_smtputf8():
    with pytest.raises(HeaderError, match="SMTPUTF8"):
        words.fold_mailboxes("To", [(None, "jörg@example.org")])
    assert "jörg@example.org" in words.fold_mailboxes("To", [(None, "jörg@example.org")], utf8=True)


@pytest.mark.parametrize("mailbox", ["a@b c", "a@b>", "ada", "@b", "a@b\\", 'a@b"', "a@b,c@d"])
def test_what_is_no_mailbox_is_refused(mailbox):
    with pytest.raises(HeaderError):
        words.fold_mailboxes("To", [(None, mailbox)])


@pytest.mark.parametrize("name", ["", "A b", "A:", "Ä", "A\n", "x" * 77])
def test_what_is_no_name_of_a_field_is_refused(name):
    with pytest.raises(HeaderError):
        words.check_name(name)


def test_a_file_name_beyond_ascii_is_one_extended_parameter():
    field = words.fold_parameters("Content-Disposition", "attachment", [("filename", "Süß €.pdf")])
    assert unfolded(field) == "attachment; filename*=utf-8''S%C3%BC%C3%9F%20%E2%82%AC.pdf"
