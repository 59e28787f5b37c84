"""Whatever a document leaves open, it is read in one pass: half a megabyte takes seconds, not hours."""

from contextlib import suppress
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from mailer.compose.lint import Page
from mailer.compose.spans import ENDS, TAGS, spans
from mailer.compose.template.styles import inline_styles
from mailer.compose.text import text_of
from mailer.errors import TemplateError

SHEET = "<style>p { color: red }</style>"
LENGTH = 500_000
REPEATED = (
    "<",
    "</",
    "x<",
    "<!--",
    "<![",
    "<a",
    "<a b c ",
    "<a b=",
    "<a b='",
    '<a "',
    "<style",
    "<style>",
    "<style>a{",
    "<script>",
    "<title>",
    "<textarea ",
    "<?xml ",
    "<p>",
    "&",
    "<a href=x>y</a>",
)
INSIDE = {
    "attributes": "<p %s>x</p>" % ("a b c " * 50_000),
    "blanks before =": "<p a%s=x>x</p>" % (" " * LENGTH),
    "declarations": '<p style="%s">x</p>' % ("height:0;" * 50_000),
    "blanks in a style": '<p style="%sdisplay">x</p>' % (" " * LENGTH),
    "selectors": f"<style>{'p,' * 20_000}p{{color:red}}</style><p>x</p>",
    "properties": "<style>@media print and (x) { p { %s } } p { %s }</style><p>x</p>"
    % ((";".join(f"a{n}:b" for n in range(20_000)),) * 2),
    "every rule on every tag": "<style>" + "p{color:red}" * 2_000 + "</style>" + "<p>x</p>" * 300,
}


def styled(document):
    tree = Environment().parse(document)
    inline_styles("x", lambda _: tree)


@pytest.mark.parametrize("read", [text_of, styled, Page], ids=["text", "styles", "lint"])
@pytest.mark.parametrize("document", [*REPEATED, *INSIDE])
def test_it_is_read_in_one_pass(read, document):
    whole = INSIDE.get(document) or SHEET + document * (LENGTH // len(document))
    began = process_time()
    with suppress(TemplateError):  # nested too deeply
        read(whole)
    assert process_time() - began < 20


@given(st.text("<>!-'\"= /abstyle", max_size=80))
def test_what_stands_between_the_spans_and_in_them_is_the_document(document):
    found = list(spans(document, TAGS, ENDS))
    ends = [0, *(span.end for span in found)]
    between = [document[end : span.start] for end, span in zip(ends, found, strict=False)]
    whole = "".join(a + b.text for a, b in zip(between, found, strict=True)) + document[ends[-1] :]
    assert whole == document
    assert all(span.start < span.end for span in found)
