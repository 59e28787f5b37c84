"""Which mail an entry is about, and how a List-ID is read."""

import pytest

from mailer.errors import InputError
from mailer.mail.barring.scopes import ALL, BULK, checked, list_of, mail_of


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("news.shop.example", "news.shop.example"),
        ("Shop news <News.Shop.example>", "news.shop.example"),
        ('"a <b> c" <news.shop.example>', "news.shop.example"),
        ("", ""),
        (None, ""),
        ("news", ""),
        ("<news@shop.example>", ""),
        ("<a b.example>", ""),
        ("<.>", ""),
    ],
)
def test_a_list_id_is_read_as_headers_have_it(field, found):
    assert list_of(field) == found


def test_a_campaign_without_a_list_is_bulk_and_a_receipt_is_neither():
    assert mail_of("<news.shop.example>") == "news.shop.example"
    assert mail_of(None) == BULK
    assert mail_of("<news.shop.example>", bulk=False) == ALL


def test_what_is_no_scope_is_refused_in_words():
    assert [checked(one) for one in (ALL, BULK, "News.shop.example")] == [
        ALL,
        BULK,
        "news.shop.example",
    ]
    with pytest.raises(InputError, match="write all, bulk, or a List-ID"):
        checked("news")
