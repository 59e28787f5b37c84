"""Values without a value, values that are markup, values that name images."""

import math

import pytest

from mailer.errors import TemplateError
from tests.compose.conftest import bytes_of, read, row


def subject_and_text(composer, **fields) -> tuple[str, str]:
    message = read(bytes_of(composer, row(**fields)))
    return message["Subject"], message.get_body(("plain",)).get_content().strip()


class NAType:
    """As of pandas: neither equal to itself nor true nor false."""

    def __eq__(self, other):
        return self

    def __bool__(self):
        raise TypeError

    __hash__ = None


@pytest.mark.parametrize("null", [None, math.nan, NAType()], ids=["None", "NaN", "NA"])
@pytest.mark.parametrize(
    "template",
    [
        "Dear {{ first }}",
        "Dear {{ first|title }}",
        "{{ 'Dear ' ~ first }}",
        "{{ 'Dear %s'|format(first) }}",
        "{{ 'Dear {}'.format(first) }}",
        "{{ [first, 'x']|join(', ') }}",
        "{% set f = first %}{{ f }}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(first) }}",
        "{{ row.first }}",
        "{{ row['first']|trim }}",
        "{{ first|string }}",
        "{% for x in deep.list %}{{ x }}{% endfor %}",
        "{{ deep.city }}",
    ],
)
@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("file", ["body.html", "body.txt"])
def test_a_null_is_never_written_out(make, template, null, trusted, file):
    composer = make({file: template}, trusted=trusted)
    whole = {"first": "Ada", "deep": {"city": "Rome", "list": ["x"]}}
    composer.compose(row(**whole))  # what is recorded of one row is played for the next
    for do in (composer.check, composer.compose, composer.email):
        with pytest.raises(TemplateError, match=r"has no value \(it is null\).*\(row 7\)"):
            do(row(7, first=null, deep={"city": null, "list": [null]}))


@pytest.mark.parametrize(
    ("template", "meant"),
    [
        ("{{ first or 'friend' }}", "friend"),
        ("{{ first|default('friend') }}", "friend"),
        ("{{ first|default('friend', true) }}", "friend"),
        ("{{ first if first else 'friend' }}", "friend"),
        ("{% if first is none %}friend{% endif %}", "friend"),
        ("{% if first == none %}friend{% endif %}", "friend"),
        ("{% if first is not defined or not first %}friend{% endif %}", "friend"),
        ("{{ first|int }}", "0"),
        ("{{ {'a': first}|tojson }}", '{"a": null}'),
        ("{% for x in [first] if x %}{{ x }}{% else %}friend{% endfor %}", "friend"),
    ],
)
@pytest.mark.parametrize("trusted", [True, False])
def test_a_null_is_false_and_can_be_asked_for(make, template, meant, trusted):
    composer = make({"body.txt": template}, trusted=trusted)
    composer.compose(row(first="7"))
    assert subject_and_text(composer, first=None)[1] == meant
    assert subject_and_text(composer, first="7")[1] in {"7", '{"a": "7"}', ""}


def test_none_out_of_a_call_is_not_written_out(make):
    composer = make({"body.txt": "{{ d.get('x') }}"})
    assert subject_and_text(composer, d={"x": "y"})[1] == "y"
    for do in (composer.check, composer.compose):
        with pytest.raises(TemplateError, match=r"body\.txt:1: a value that is put out is none"):
            do(row(d={"z": "y"}))


def test_a_null_of_the_context_is_not_written_out(make):
    with pytest.raises(TemplateError, match="'season' has no value"):
        make({"body.txt": "{{ season }}"}, context={"season": None}).compose(row())


PARTS = {
    "parts.html": "{% set title = 'A & B' %}{% macro hi(x) %}Hi {{ x }}{% endmacro %}"
    "{% macro bold(x) %}<p>Hi <b>{{ x }}</b> <a href='https://x.example/'>here</a></p>{% endmacro %}",
    "line.html": "Hi {{ shop }}",
    "block.html": "<p>Hi <b>{{ shop }}</b></p>\n<p>x</p>\n",
}


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize(
    ("template", "meant"),
    [
        ("{% from 'parts.html' import hi %}{{ hi(shop) }}", "Hi Tom & <Jerry>"),
        ("{% from 'parts.html' import hi as ho %}{{ ho(x=shop) }}", "Hi Tom & <Jerry>"),
        ("{% import 'parts.html' as p %}{{ p.hi(shop) }}", "Hi Tom & <Jerry>"),
        ("{% include 'line.html' %}", "Hi Tom & <Jerry>"),
        (
            "{% from 'parts.html' import bold %}{{ bold(shop) }}",
            "Hi Tom & <Jerry> here <https://x.example/>",
        ),
        ("{% from 'parts.html' import title %}{{ title }}", "A & B"),
        ("{% if shop %}{% include 'line.html' %}{% endif %}", "Hi Tom & <Jerry>"),
    ],
)
def test_what_comes_out_of_an_html_file_is_text_in_a_text(make, template, meant, trusted):
    composer = make(
        {**PARTS, "subject.txt": template, "body.txt": f"{template}", "body.html": "<p>x</p>"},
        trusted=trusted,
    )
    assert subject_and_text(composer, shop="Tom & <Jerry>") == (meant, meant)


def test_an_include_of_blocks_becomes_lines(make):
    composer = make({**PARTS, "body.txt": "{% include 'block.html' %}"})
    assert subject_and_text(composer, shop="Tom & Jerry")[1].split() == [
        "Hi",
        "Tom",
        "&",
        "Jerry",
        "x",
    ]


def test_in_html_a_macro_s_markup_stays_markup(make):
    composer = make({**PARTS, "body.html": "{% from 'parts.html' import hi %}{{ hi(shop) }}"})
    message = read(bytes_of(composer, row(shop="Tom & Jerry")))
    assert message.get_body(("html",)).get_content().strip() == "Hi Tom &amp; Jerry"


# The transfer encoding is the message's own.


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        ("An ordinary letter. " * 30, "quoted-printable"),
        ("", "quoted-printable"),
        ("Viele Grüße aus der schönen Stadt Köln am Rhein", "quoted-printable"),
        ("Привет, как дела", "base64"),
        ("漢字仮名", "base64"),
        ("=" * 500, "quoted-printable"),
    ],
)
@pytest.mark.parametrize("template", ["{{ a }}", "{{ a }}\n", "{% if a %}{{ a }}{% endif %}"])
def test_the_encoding_suits_the_message_not_the_template(make, value, encoding, template):
    composer = make({"body.txt": template, "body.html": template})
    for warm_up in ("x", "漢", value):
        message = read(bytes_of(composer, row(a=warm_up)))
    parts = [part for part in message.walk() if not part.is_multipart()]
    assert {part["Content-Transfer-Encoding"] for part in parts} == {encoding}
    assert all(part.get_content().strip() == value.strip() for part in parts)


def test_text_that_is_ascii_is_never_base64(make):
    composer = make({"body.txt": "Привет {{ a }}", "body.html": "{{ a }}"})
    html = read(bytes_of(composer, row(a="x"))).get_body(("html",))
    assert html["Content-Transfer-Encoding"] == "quoted-printable"
