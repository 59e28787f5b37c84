"""The text that is made from the HTML: what a reader without HTML should find."""

import pytest

from mailer.compose.text import text_of
from mailer.errors import TemplateError
from tests.compose.conftest import bytes_of, read, row


def text(composer, **fields) -> str:
    body = read(bytes_of(composer, row(**fields))).get_body(("plain",))
    return body.get_content().replace("\r\n", "\n")


HIDDEN = {
    "display": '<div style="display:none">Teaser</div>',
    "display, important": '<div style="color:#fff; DISPLAY : none !important;">Teaser</div>',
    "visibility": '<span style="visibility:hidden">Teaser</span>',
    "opacity": '<span style="opacity:0;">Teaser</span>',
    "opacity, at the end": '<span style="color:red;opacity: 0.0">Teaser</span>',
    "no height": '<div style="max-height:0;overflow:hidden;">Teaser</div>',
    "no height, with a unit": '<div style="overflow:hidden;height:0px">Teaser</div>',
    "no size": '<span style="font-size:0px;line-height:0">Teaser</span>',
    "outside": '<div style="position:absolute;left:-9999px">Teaser</div>',
    "the attribute": "<div hidden>Teaser</div>",
    "within": '<div style="display:none"><table><tr><td><b>Teaser</b></td></tr></table></div>',
    "by a rule": "<style>.p{display:none}</style><span class=p>Teaser</span>",
    "by a rule, important": "<style>.p{display:none !important}</style><span class=p>Teaser</span>",
    "by a rule for screens": "<style media=screen>.p{opacity:0}</style><span class=p>Teaser</span>",
    "by a rule by the media's side": "<style>.p{display:none} @media (max-width:600px)"
    "{.p{color:red}}</style><span class=p>Teaser</span>",
    "a comment": "<!-- Teaser --><!--[if mso]>Teaser<![endif]-->",
    "a title": "<head><title>Teaser</title></head>",
}


@pytest.mark.parametrize("markup", HIDDEN.values(), ids=HIDDEN)
def test_what_is_hidden_stays_out_however_it_is_hidden(markup):
    assert text_of(f"<html><body>{markup}<p>Body</p></body></html>") == "Body\n"


@pytest.mark.parametrize("markup", HIDDEN.values(), ids=HIDDEN)
def test_what_is_hidden_stays_out_of_a_message(make, markup):
    composer = make({"body.html": f"<html><body>{markup}<p>Dear {{{{ name }}}}</p></body></html>"})
    assert text(composer) == "Dear Ada\n"


@pytest.mark.parametrize(
    "style",
    [
        "opacity:0.5",
        "opacity: .9",
        "max-height:0",  # nothing cuts off what flows over
        "height:10px;overflow:hidden",
        "mso-hide:all",  # hidden from Outlook alone
        "font-size:10px",
    ],
)
def test_what_is_shown_stays_in(style):
    assert text_of(f'<div style="{style}">Words</div>') == "Words\n"


def test_a_cell_without_a_size_shows_the_columns_in_it():
    markup = '<td style="font-size:0"><div style="font-size:13px">Words</div></td>'
    assert text_of(f"<table><tr>{markup}</tr></table>") == "Words\n"


def test_a_rule_for_print_hides_nothing():
    markup = "<style media='print'>.p{display:none}</style><p class=p>Words</p>"
    assert text_of(markup) == "Words\n"


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ('<a href="https://en.example/A_(b)">Wiki</a>', "Wiki <https://en.example/A_(b)>"),
        ('<a href="https://x.example/a b">See</a>', "See <https://x.example/a%20b>"),
        (
            '<a href="https://x.example">See [this] (now)</a>',
            "See [this] (now) <https://x.example>",
        ),
        ('<a href="https://x.example">]( </a>', "]( <https://x.example>"),
        ('<a href="https://x.example/">https://x.example/</a>', "<https://x.example/>"),
        ('<a href="https://x.example/">x.example</a>', "<https://x.example/>"),
        ('<a href="mailto:a@x.example">a@x.example</a>', "<mailto:a@x.example>"),
        ('<a href="https://x.example"><img alt="Logo" src=x></a>', "Logo <https://x.example>"),
        ('<a href="https://x.example"><img src=x></a>', "<https://x.example>"),
        ('<a href="https://x.example"><b>A</b> <i>b</i></a>.', "A b <https://x.example>."),
        ('<a href="#top">Up</a>', "Up"),
        ("<a name=x>Anchor</a>", "Anchor"),
        ("my [own](brackets) and [1](2)", "my [own](brackets) and [1](2)"),
        ('<img src=x alt="A cat"> <img src=y alt=""> <img src=z>', "A cat"),
        ("a &lt;b&gt; &amp; c", "a <b> & c"),
    ],
)
def test_links_stand_in_angle_brackets_and_images_are_their_words(markup, shown):
    assert text_of(f"<p>{markup}</p>").strip() == shown


@pytest.mark.parametrize(
    "markup",
    [
        '<h1 align="center">Heading</h1>',
        '<h1 style="text-align:center">Heading</h1>',
        '<table width="600"><tr><td align="center"><h1>Heading</h1></td><td>x</td></tr></table>',
        '<center><table align="right"><tr><td><table><tr><td align="center"><h1>Heading</h1></table>',
        '<table role="none"><tr><td>A longer line</td></tr><tr><td align="right">Heading</td></tr>',
    ],
)
def test_nothing_is_aligned_by_blanks(markup):
    lines = text_of(markup).split("\n")
    assert "Heading" in lines


def test_a_table_of_data_keeps_its_columns():
    rows = "<tr><th>Item</th><th>Price</th></tr><tr><td>Tea</td><td align=right>3</td></tr>"
    assert text_of(f"<table>{rows}</table>") == "Item  Price\nTea   3\n"


SAFE = [
    "<p>One.</p><p>Two <a href='https://x.example/r'>read</a></p>",
    "<ul><li>a</li><li>b</li></ul>",
    "plain",
    "<div style='display:none'>x</div>y",
    "a &amp; b",
]


@pytest.mark.parametrize("value", SAFE)
@pytest.mark.parametrize("trusted", [True, False])
def test_markup_in_a_value_becomes_text_as_the_template_s_own_does(make, value, trusted):
    body = "<html><body><h1>News</h1>{}<p>End</p></body></html>"
    composer = make({"body.html": body.format("{{ a|safe }}")}, trusted=trusted)
    # Recorded with another value first, so that the recording is tried too.
    for first in ("words", value):
        assert text(composer, a=first) == text_of(body.format(first))


def test_a_value_is_shown_as_html_shows_it(make):
    composer = make({"body.html": "<p>{{ a }}</p>"})
    for value in ("a", "x  y\n z", "<b> & c"):
        assert text(composer, a=value) == " ".join(value.split()) + "\n"


def test_elements_nested_too_deep_are_refused_and_do_not_end_the_process(make):
    for markup in ("<div>" * 20_000, "<b>" * 5000 + "x"):
        with pytest.raises(TemplateError, match="nested more than 400 elements"):
            text_of(markup)
    composer = make({"body.html": "<p>{{ a|safe }}</p>"})
    for do in (composer.check, composer.compose):
        with pytest.raises(TemplateError, match="nested more than 400 elements"):
            do(row(a="<i>" * 20_000))
