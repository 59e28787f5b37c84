"""Unsubscribing: tokens, URLs, what RFC 8058 wants."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

import itsdangerous
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.compose.unsubscribe import TokenSigner, Unsubscribe, read_token
from mailer.errors import InputError
from tests.compose.conftest import bytes_of, read, row

BODY = {"body.txt": "{{ unsubscribe_url }}"}


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_a_token_says_who_and_from_what(mailbox, campaign):
    token = TokenSigner("secret").token(mailbox, campaign)
    assert token.isascii()
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    said = read_token(token, "secret")
    assert (said.mailbox, said.campaign) == (mailbox, campaign)


def test_a_token_of_version_0_1_0_is_still_read():
    body = urlsafe_b64encode(b"ada@example.org\nspring").rstrip(b"=")
    signer = itsdangerous.Signer("secret", salt="mailer.unsubscribe", digest_method=sha256)
    said = read_token(signer.sign(body).decode(), "secret")
    assert (said.mailbox, said.campaign) == ("ada@example.org", "spring")


def test_a_token_tells_nothing_of_the_mailbox():
    token = TokenSigner("secret").token("ada@example.org", "spring")
    assert b"ada" not in urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert len(token) == len(TokenSigner("secret").token("bob@example.org", "summer"))


def test_a_token_is_read_under_a_secret_of_before():
    token = TokenSigner("old").token("ada@example.org", "spring")
    assert read_token(token, "new", "older", "old").mailbox == "ada@example.org"
    with pytest.raises(InputError):
        read_token(token, "new", "older")


@pytest.mark.parametrize(
    "spoil",
    [lambda t: t[:-1], lambda t: "x" + t, lambda t: t[1:], lambda t: "", lambda t: "é.x"],
)
def test_a_token_that_was_tampered_with_is_refused(spoil):
    token = TokenSigner("secret").token("ada@example.org", "spring")
    with pytest.raises(InputError, match="not one of ours"):
        read_token(spoil(token), "secret")
    with pytest.raises(InputError):
        read_token(token, "another secret")


def test_the_url_is_the_same_in_the_header_and_in_the_text(make):
    composer = make(BODY, unsubscribe=Unsubscribe("https://shop.example/u/{token}"), secret="s")
    message = read(bytes_of(composer, row()))
    url = message.get_content().strip()
    assert message["List-Unsubscribe"] == f"<{url}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_url_of_the_senders_own_takes_fields_of_the_row(make):
    composer = make(BODY, unsubscribe=Unsubscribe("https://crm.example/off?id={id}&l=7"))
    message = read(bytes_of(composer, row(id="a&b/ü")))
    assert message["List-Unsubscribe"] == "<https://crm.example/off?id=a%26b%2F%C3%BC&l=7>"


def test_a_mailto_comes_second(make):
    unsubscribe = Unsubscribe(
        "https://shop.example/u/{token}", mailto="off+{token}@shop.example?subject=off"
    )
    message = read(bytes_of(make(BODY, unsubscribe=unsubscribe, secret="s"), row()))
    first, second = message["List-Unsubscribe"].split(", ")
    assert first.startswith("<https://shop.example/u/")
    assert second.startswith("<mailto:off+")
    assert second.endswith("@shop.example?subject=off>")


def test_a_mailto_alone_is_no_one_click(make):
    composer = make({"body.txt": "x"}, unsubscribe=Unsubscribe(mailto="off@shop.example"))
    message = read(bytes_of(composer, row()))
    assert message["List-Unsubscribe"] == "<mailto:off@shop.example>"
    assert "List-Unsubscribe-Post" not in message


def test_a_field_that_the_row_lacks_names_the_row(make):
    composer = make({"body.txt": "x"}, unsubscribe=Unsubscribe("https://crm.example/{id}"))
    with pytest.raises(InputError, match=r"wants the field 'id', which is not there \(row 3\)"):
        composer.compose(row(3))


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"url": "http://shop.example/u"}, {"url": "shop.example/u"}, {"url": "https://x.example/a b"},
        {"url": "https://x.example/>"}, {"url": "https://x.example/ü"}, {"mailto": "a b@c.example"},
    ],
)  # fmt: skip
def test_what_could_not_work_is_refused(settings):
    with pytest.raises(InputError):
        Unsubscribe(**settings)


def test_http_is_taken_when_one_click_is_not_wanted(make):
    composer = make(
        {"body.txt": "x"}, unsubscribe=Unsubscribe("http://x.example/u", one_click=False)
    )
    assert "List-Unsubscribe-Post" not in read(bytes_of(composer, row()))


@pytest.mark.parametrize(
    ("url", "says"), [("https://x.example/u", False), ("https://x.example/{id}", True)]
)
def test_a_url_that_is_the_same_for_all_is_not_announced_as_one_click(url, says):
    assert Unsubscribe(url).is_one_click is says


def test_a_url_that_several_rows_share_is_refused_where_one_click_is_said(make):
    composer = make(BODY, unsubscribe=Unsubscribe("https://x.example/{plan}/off"))
    ada, bob = (
        row(n, email=f"{name}@x.example", plan="pro") for n, name in ((1, "ada"), (2, "bob"))
    )
    composer.check(ada)
    composer.check(ada)  # the same person twice in a list is a duplicate, and told as one
    with pytest.raises(InputError, match=r"the same URL for several recipients.*\(row 2\)"):
        composer.check(bob)


@pytest.mark.parametrize(
    ("url", "how"),
    [
        ("https://x.example/{plan}", {"one_click": False}),
        ("https://x.example/{plan}/{id}", {}),
        ("https://x.example/{plan}/{email}", {}),
        ("https://x.example/{plan}/{token}", {}),
    ],
)
def test_a_url_of_ones_own_or_without_one_click_may_hold_what_others_have_too(make, url, how):
    composer = make(BODY, unsubscribe=Unsubscribe(url, **how), secret="s")
    for number, name in enumerate(("ada", "bob")):
        composer.check(row(number, email=f"{name}@x.example", plan="pro", id=name))
