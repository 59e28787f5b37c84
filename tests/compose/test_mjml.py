"""MJML with Jinja in it: what its authors write, on Windows too, and faults by their own lines."""

import re
from contextlib import suppress
from pathlib import Path
from time import process_time

import pytest

from mailer.compose.template.mjml import html_of_mjml
from mailer.errors import TemplateError
from tests.compose.conftest import bytes_of, read, row


def page(body: str, head: str = "") -> str:
    return f"<mjml>{head}<mj-body><mj-section><mj-column>{body}</mj-column></mj-section></mj-body></mjml>"


def html(composer, **fields) -> str:
    return read(bytes_of(composer, row(**fields))).get_body(("html",)).get_content()


ATTRIBUTES = """<mj-head>
  <mj-attributes>
    <mj-all padding="0"></mj-all>
    <!-- a comment -->
  </mj-attributes>
  <mj-style>/* c */ <!-- .a > .b { color: red } -->
    @media (width < 600px) { .a { color: red } }</mj-style>
</mj-head>
"""
SOURCES = {
    "as it is": page("<mj-text>Hi {{ name }}</mj-text>"),
    "a declaration": '<?xml version="1.0"?>\n<!DOCTYPE mjml>\n'
    + page("<mj-text>Hi {{ name }}</mj-text>"),
    "attributes, comments, styles": page("\n<mj-text>\nHi {{ name }}\n</mj-text>\n", ATTRIBUTES),
    "comments in the body": page("<!-- c --><mj-text>Hi {{ name }}<!-- c --></mj-text>"),
    "outlook's comments": page(
        "<mj-raw><!--[if mso]><table><tr><td><![endif]--></mj-raw><mj-text>Hi {{ name }}</mj-text>"
        "<mj-raw><!--[if mso]></td></tr></table><![endif]--></mj-raw>"
    ),
    "a comparison": page(
        "<mj-raw>{% if 1 < n and n > 1 %}</mj-raw><mj-text>Hi {{ name }}</mj-text>"
        "<mj-raw>{% endif %}</mj-raw>"
    ),
    "a comparison in entities": page(
        "<mj-raw>{% if 1 &lt; n &lt; 3 %}</mj-raw><mj-text>Hi {{ name }}</mj-text>"
        "<mj-raw>{% endif %}</mj-raw>"
    ),
    "quotes in an attribute": page(
        '<mj-button href="https://x.example/{{ row["name"] }}">Hi {{ name }}</mj-button>'
    ),
    "a value over lines": page("<mj-text>Hi {{\n  name\n}}</mj-text>"),
    "a comment of jinja's": page("<mj-text>{# <b> < #}Hi {{ name }}</mj-text>"),
    "a raw block": page("<mj-text>Hi {{ name }}{% raw %}{{ x }}{% endraw %}</mj-text>"),
}


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_it_compiles_whatever_its_line_ends(make, source, ends):
    composer = make({"body.mjml": source.replace("\n", ends), "body.txt": "x"})
    found = html(composer, n=2)
    assert "Hi Ada" in found
    assert "xJinja" not in found
    assert ("{{ x }}" in found) == ("raw" in source and "endraw" in source)


def test_loops_and_conditions_do_what_they_say(make):
    body = (
        "<mj-raw>{% for i in items %}</mj-raw><mj-text>Item {{ i }}</mj-text><mj-raw>{% else %}</mj-raw>"
        "<mj-text>Nothing</mj-text><mj-raw>{% endfor %}</mj-raw>"
    )
    composer = make({"body.mjml": page(body)})
    assert html(composer, items=["a", "b"]).count("Item") == 2
    assert "Nothing" in html(composer, items=[])


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("<mjml>\n<mj-body>\n<mj-section>\n</mj-body>\n</mjml>", r"body\.mjml:3: not valid MJML"),
        ("<mjml>\n{# a\nb #}<mj-body>\n<mj-text>\n</mjml>", r"body\.mjml:4: not valid MJML"),
        (
            page("\n\n<mj-text>\n{{ nobody }}</mj-text>"),
            r"body\.mjml:4: 'nobody' is undefined \(row 1\)",
        ),
        (
            page("<mj-text>{{ name }}</mj-text>\n<mj-text>{{ nobody }}</mj-text>"),
            r"body\.mjml:2: 'nobody'",
        ),
        (page("<mj-text>{{ name }} {{\nnobody }}</mj-text>"), r"body\.mjml:2: 'nobody'"),
        (page("\n<mj-raw>{% if %}</mj-raw>\n<mj-text>x</mj-text>"), r"body\.mjml:2: "),
        (page("\n<mj-text>{{ name|nofilter }}</mj-text>"), r"body\.mjml:2: No filter"),
        (
            page('\n<mj-button foo="{{ name }}">x</mj-button>'),
            r"body\.mjml:2: MJML drops what stands here",
        ),
        (
            page('\n<mj-include path="top.mjml" />'),
            r"body\.mjml:2: <mj-include>: there is no file 'top",
        ),
        (
            page(
                "<mj-text>x</mj-text>",
                '<mj-head>\n<mj-html-attributes><mj-selector path="a"></mj-selector>'
                "</mj-html-attributes></mj-head>",
            ),
            r"body\.mjml:2: <mj-html-attributes> is not supported",
        ),
        (page("{# a\nb #}\n<mj-list><li>x</li></mj-list>"), r"body\.mjml:3: MJML has no <mj-list>"),
        (
            page(
                "<mj-text>x</mj-text>",
                '<mj-head><mj-style inline="inline">/* <p>\n{{ a }} */'
                "p { color: red }</mj-style></mj-head>\n\n",
            ).replace("<mj-text>x", "<mj-text>{{ nobody }}"),
            r"body\.mjml:4: 'nobody'",
        ),
    ],
)
def test_a_fault_is_told_by_the_line_of_the_source(make, source, said, ends):
    with pytest.raises(TemplateError, match=said):
        make({"body.mjml": source.replace("\n", ends)}).compose(row())


def test_a_word_that_looks_like_ours_is_left_alone():
    compiled = html_of_mjml(page("<mj-text>xJinja0x {{ name }} xJinjaj</mj-text>"), "x")
    assert "xJinja0x {{\n name }} xJinjaj" in compiled.html


CONSTRUCTS = sorted((Path(__file__).parent / "mjml").glob("*.mjml"))
"""One for each construct that public collections of MJML templates hold."""


@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("file", CONSTRUCTS, ids=[file.stem for file in CONSTRUCTS])
def test_whatever_templates_hold_compiles_with_its_values(make, file, ends):
    composer = make({"body.mjml": file.read_text().replace("\n", ends), "body.txt": "x"})
    found = html(composer, name="Ada&<Q>")
    assert "Ada&amp;&lt;Q&gt;" in found
    assert "xJinja" not in found
    assert "<mj-" not in found


def test_a_fault_in_html_that_is_no_xml_is_told_by_its_line(make):
    source = page(
        "\n<mj-text><p>one<br>\n\n{{ nobody }}</mj-text>\n<mj-text><br>{{ name }}</mj-text>"
    )
    with pytest.raises(TemplateError, match=r"body\.mjml:4: 'nobody'"):
        make({"body.mjml": source}).compose(row())


@pytest.mark.parametrize(
    "unclosed", ["{{", "{%", "{#", "<!--", "<mj-raw>", "<mj-style>", "<mj-text>", "<"]
)
def test_a_source_of_openings_is_read_in_one_pass(unclosed):
    began = process_time()
    with suppress(TemplateError):
        html_of_mjml(page(unclosed * (100_000 // len(unclosed))), "x")
    assert process_time() - began < 5


def test_a_comment_in_an_inlined_style_sheet_may_speak_of_tags(make):
    style = "/* for <p> and <h1> */ .a { color: teal }"
    head = f'<mj-head><mj-style inline="inline">{style}</mj-style></mj-head>'
    composer = make({"body.mjml": page('<mj-text><p class="a">{{ name }}</p></mj-text>', head)})
    assert 'style="color: teal' in html(composer)


def test_the_container_of_mjml_3_is_the_body(make):
    source = (
        "<mjml><mj-body>\n<mj-container background-color='#123456'>\n<mj-section><mj-column>"
        "<mj-text>Hi {{ name }}</mj-text></mj-column></mj-section></mj-container\n></mj-body></mjml>"
    )
    found = html(make({"body.mjml": source}))
    assert "Hi Ada" in found
    assert "#123456" in found
    assert "<mj-" not in found


@pytest.mark.parametrize("blank", [" ", "\t\n", " \n\t"])
def test_blanks_between_elements_are_no_text(make, blank):
    source = page(
        "<mj-social>~<mj-social-element name='facebook'>f</mj-social-element>~</mj-social>~"
        "<mj-navbar>~<!-- c -->\n<mj-navbar-link href='#'>z</mj-navbar-link>~</mj-navbar>~"
        "<mj-text>{{ name }} <b>b</b> <i>i</i></mj-text>~",
        "<mj-head>~<mj-title>t</mj-title>~<mj-attributes>~<mj-all padding='0'/>~"
        "<mj-text color='red'></mj-text>~</mj-attributes>~</mj-head>~",
    )
    assert "Ada <b>b</b> <i>i</i>" in html(make({"body.mjml": source.replace("~", blank)}))


@pytest.mark.parametrize(
    "comment", ["<!-- a -- b -->", "<!----- a ----->", "<!-- a --->", "<!---->"]
)
def test_a_comment_may_hold_dashes(make, comment):
    source = page(f"{comment}<mj-text>{{{{ name }}}}</mj-text>")
    assert "Ada" in html(make({"body.mjml": source}))


_OUTLOOK = re.compile(r"<!--.*?-->", re.DOTALL)


def test_what_stands_raw_in_a_wrapper_is_seen_by_all(make):
    section = "<mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section>"
    source = (
        "<mjml><mj-body><mj-wrapper><mj-raw><p>first</p></mj-raw>"
        f"{section}<mj-raw>{{% if name %}}</mj-raw><mj-raw><!-- c --><p>then</p></mj-raw>{section}"
        "<mj-raw>{% endif %}</mj-raw><mj-raw><p>last</p></mj-raw></mj-wrapper></mj-body></mjml>"
    )
    seen = _OUTLOOK.sub("", html(make({"body.mjml": source})))
    assert [word for word in ("first", "then", "last") if f"<p>{word}</p>" in seen] == [
        "first",
        "then",
        "last",
    ]
    assert "endif" not in seen
    assert "-->" not in seen
