"""What templates hold that other mailers stumbled over: styles, hidden text, links, names, macros."""

import pytest

from mailer.compose import Attachment
from mailer.compose.text import text_of
from mailer.compose.words import fold_parameters
from mailer.errors import TemplateError
from tests.compose.conftest import bytes_of, read, row

PNG = b"\x89PNG\r\n\x1a\n"


def part(composer, kind="html", **fields) -> str:
    body = read(bytes_of(composer, row(**fields))).get_body((kind,))
    return body.get_content().replace("\r\n", "\n")


# Styles: only what every row has is inlined.


@pytest.mark.parametrize(
    ("source", "inlined"),
    [
        ("{% for c in 'ab' %}.{{ c }} { color: red }{% endfor %}", False),
        ("{% if vip %}.a { color: gold }{% else %}.a { color: red }{% endif %}", False),
        ("{% block s %}{% if vip %}.a { color: gold }{% endif %}{% endblock %}", False),
        (".a { color: {{ 'red' if vip else 'blue' }} }", False),
        ("/* {% if vip %} */.a { color: red }/* {% endif %} */", False),
        ("{% set c = 'red' %}.a { color: {{ c }} }", False),
        ("{% block s %}.a { color: red }{% endblock %}", True),
        ("{# nothing #}.a { color: red }", True),
        (".a { color: red }", True),
    ],
)
def test_a_rule_in_a_condition_or_with_a_value_stays_where_it_is(make, source, inlined):
    body = f'<style>{source}</style><p class="a">x</p>'
    found = part(make({"body.html": body, "body.txt": "x"}), vip="")
    assert ('<p style="color: red" class="a">' in found) == inlined
    assert ('<p class="a">' in found) != inlined


@pytest.mark.parametrize(
    ("media", "inlined"),
    [
        ("", True),
        ("all", True),
        ("screen", True),
        ("SCREEN", True),
        (" screen ", True),
        ("print", False),
        ("tv", False),
        ("speech", False),
        ("not all", False),
        ("(max-width: 600px)", False),
        ("only screen and (max-width: 600px)", False),
        ("(prefers-color-scheme: dark)", False),
    ],
)
def test_a_style_sheet_for_some_media_is_not_inlined(make, media, inlined):
    body = f'<style media="{media}">.a {{ color: red }}</style><p class="a">x</p>'
    assert (
        "style=" in part(make({"body.html": body, "body.txt": "x"})).split("</style>")[1]
    ) == inlined


@pytest.mark.parametrize(
    "rule",
    [
        "@media print { .a { color: red } }",
        "@supports (display: grid) { .a { color: red } }",
        "@layer x { .a { color: red } }",
        "@font-face { font-family: x; src: url(x) }",
        "@import url(x.css);",
        ".a:hover { color: red }",
        ".a::before { color: red }",
        ".a + p { color: red }",
    ],
)
def test_rules_that_hold_sometimes_stay(make, rule):
    body = f'<style>{rule} .a {{ margin: 0 }}</style><p class="a">x</p>'
    assert '<p style="margin: 0" class="a">' in part(make({"body.html": body, "body.txt": "x"}))


@pytest.mark.parametrize(
    "name", ["o:p", "v:roundrect", "amp-img", "my-el.x", "svg:rect", "x-a-b", "P", "w:anchorlock"]
)
def test_names_stay_whole(make, name):
    body = f'<style>.a {{ color: red }}</style><{name} class="a">x</{name}>'
    found = part(make({"body.html": body, "body.txt": "x"}))
    assert f'<{name} style="color: red" class="a">x</{name}>' in found


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ("style=margin:0", 'style="color: red;margin:0"'),
        ("style='margin:0'", "style='color: red;margin:0'"),
        ('style="margin:0;"', 'style="color: red;margin:0;"'),
        ('STYLE="margin:0"', 'STYLE="color: red;margin:0"'),
        ('style="content:&quot;x&quot;"', 'style="color: red;content:&quot;x&quot;"'),
        ('data-style="q"', 'style="color: red" class="a" data-style="q"'),
    ],
)
def test_an_elements_own_style_is_kept(make, own, found):
    body = f'<style>.a {{ color: red }}</style><p class="a" {own}>x</p>'
    assert found in part(make({"body.html": body, "body.txt": "x"}))


@pytest.mark.parametrize(
    "rule",
    [
        ".a { color: red!important }",
        ".a { color: red ! important }",
        ".a { color: red !IMPORTANT; color: blue }",
        ".a { color: blue } .a.a { color: red!important } p { color: green!important }",
    ],
)
def test_important_wins_and_is_not_carried_over(make, rule):
    body = f'<style>{rule}</style><p class="a">x</p><p class="a" style="color:black">y</p>'
    found = part(make({"body.html": body, "body.txt": "x"})).split("</style>")[1]
    assert (
        '<p style="color: red" class="a">x</p><p class="a" style="color:black;color: red">' in found
    )
    assert "important" not in found.lower()


# Derived text.


@pytest.mark.parametrize(
    "style",
    [
        "display:none",
        "display:none!important",
        "DISPLAY : NONE",
        "color:red;display: none ;margin:0",
        "display:none!important;display:block",
        "display:block;display:none",
        "mso-hide:all;display:none",
        "visibility:hidden",
        "opacity:0",
        "opacity:0.0",
        "opacity:.0",
        "font-size:0",
        "font-size:0px",
        "font-size:0.0px",
        "font-size:0!important",
        "max-height:0;overflow:hidden",
        "max-height:0px;overflow:hidden",
        "height:0;overflow:hidden",
        "width:0;height:0;overflow:hidden",
        "overflow:hidden;max-width:0",
        "text-indent:-9999px",
        "position:absolute;left:-9999px",
    ],
)
@pytest.mark.parametrize("element", ["div", "span", "p", "td"])
def test_what_is_hidden_stays_out_of_the_text(style, element):
    assert (
        text_of(f'<{element} style="{style}">no<b>body</b></{element}><p>seen</p>').strip()
        == "seen"
    )


@pytest.mark.parametrize(
    "style",
    [
        "display:block",
        "display:none;display:block",
        "opacity:0.5",
        "opacity:01",
        "font-size:0.5em",
        "font-size:10px",
        "max-height:10px;overflow:hidden",
        "height:0",
        "line-height:0",
        "text-indent:-9px",
        "margin-left:-9999px",
        "border:0",
    ],
)
def test_what_is_seen_is_in_the_text(style):
    assert "shown" in text_of(f'<div style="{style}">shown</div><p>seen</p>')


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<a href="https://x.example/a(b)c">W</a>', "W <https://x.example/a(b)c>"),
        ('<a href="https://x.example/a b">W</a>', "W <https://x.example/a%20b>"),
        ('<a href="https://x.example/a&gt;b&lt;c">W</a>', "W <https://x.example/a%3Eb%3Cc>"),
        ('<a href="https://x.example/a\nb">W</a>', "W <https://x.example/ab>"),
        ('<a href=" https://x.example/ ">W</a>', "W <https://x.example/>"),
        ('<a href="https://x.example/">[W]</a>', "[W] <https://x.example/>"),
        (
            '<a href="https://x.example/a_(b)">see (this)</a>',
            "see (this) <https://x.example/a_(b)>",
        ),
        ('<a href="https://x.example/*a*_b_">*W* _x_</a>', "*W* _x_ <https://x.example/*a*_b_>"),
        ('<a href="https://ü.example/é">W</a>', "W <https://ü.example/é>"),
        ('<a href="https://x.example/">https://x.example/</a>', "<https://x.example/>"),
        ('<a href="https://x.example/">x.example</a>', "<https://x.example/>"),
        ('<a href="mailto:a@x.example">a@x.example</a>', "<mailto:a@x.example>"),
        ('<a href="tel:+49 30">call</a>', "call <tel:+49%2030>"),
        ('<a href="https://x.example/"><img src="y" alt="Logo"></a>', "Logo <https://x.example/>"),
        ('<a href="https://x.example/"><img src="y"></a>', "<https://x.example/>"),
        ('<a href="#top">Up</a>', "Up"),
        ('<a name="x">anchor</a>', "anchor"),
        ('<a href="">empty</a>', "empty"),
        ("1) a<br>- b<br># c<br>&gt; d", "1) a\n- b\n# c\n> d"),
        ("x * y [z] `q` _r_ \\s", "x * y [z] `q` _r_ \\s"),
    ],
)
def test_links_are_in_angle_brackets_and_the_rest_is_untouched(html, text):
    assert text_of(f"<p>{html}</p>").strip() == text


HTML_VALUES = [
    ("<p>One</p><p>Two</p>", "One\n\nTwo"),
    ('<a href="https://x.example/a">More</a>', "More <https://x.example/a>"),
    ("<ul><li>a</li><li>b</li></ul>", "  * a\n  * b"),
    ("a &amp; b", "a & b"),
    ("line<br>two", "line\ntwo"),
    ("<b>bold</b>word", "boldword"),
    ('<img alt="cat" src="https://x.example/c.png">', "cat"),
    ("<!-- c -->x", "x"),
    ("<style>.a {}</style>x", "x"),
    ("<p>open", "open"),
    ("</p>x", "x"),
    ("1 < 2", "1 < 2"),
    ('<span style="display:none">hidden</span>seen', "seen"),
]


@pytest.mark.parametrize("trusted", [True, False])
def test_html_in_a_value_is_derived_as_the_templates_own(make, trusted):
    composer = make({"body.html": "<p>A</p>{{ v|safe }}<p>B</p>"}, trusted=trusted)
    for value, text in HTML_VALUES:
        assert part(composer, "plain", v=value) == f"A\n\n{text}\n\nB\n"


# Values.


@pytest.mark.parametrize("value", [None, float("nan"), [None], {"a": None}], ids=repr)
@pytest.mark.parametrize(
    "source",
    [
        "{{ f }}", '{{ "Dear " ~ f }}', "{{ f|upper }}",
        '{{ f|join(",") }}', "{{ f.a }}", "{{ f|string }}",
        "{% for x in f %}{{ x }}{% endfor %}", '{{ "%s"|format(f) }}', "{{ [f]|join }}", "{{ f|e }}",
        "{{ f|trim }}", '{{ {"a": f} }}', "{{ [f] }}", "{{ f|list }}", "{{ f|first }}", "{{ f or f }}",
    ],
)  # fmt: skip
def test_nothing_is_never_written_out(make, value, source):
    composer = make({"body.txt": source})
    try:
        text = part(composer, "plain", f=value)
    except TemplateError as error:
        text = "" if "(row 1)" in str(error) else "none"
    assert not {"none", "nan", "null"} & set(text.lower().replace("'", " ").split())


# Encodings, names, images.


@pytest.mark.parametrize(
    ("body", "value", "encoding"),
    [
        ("äöü", "", "base64"),
        ("日本語", "", "base64"),
        ("日本語 {{ v }}", "x" * 200, "quoted-printable"),
        ("{{ v }}", "plain", "quoted-printable"),
        ("{{ v }}", "äöü", "base64"),
        ("x" * 60 + "{{ v }}", "äö", "quoted-printable"),
        ("x" * 60 + "ä", "", "quoted-printable"),
        ("", "", "quoted-printable"),
    ],
)
def test_the_encoding_suits_the_message_recorded_or_not(make, body, value, encoding):
    composer = make({"body.txt": body})
    for _ in range(2):
        message = read(bytes_of(composer, row(v=value)))
        assert message["Content-Transfer-Encoding"] == encoding
    for plan in composer._plans.values():
        plan.renderer.play = lambda _: None
    assert read(bytes_of(composer, row(v=value)))["Content-Transfer-Encoding"] == encoding


@pytest.mark.parametrize(
    "name",
    ["a b.pdf", "ü.pdf", 'a"b.pdf', "a;b.pdf", "it's.pdf", "a'b'c.pdf", "''.pdf",
     "bill (1)+2.pdf",
     "=?utf-8?q?x?=.pdf", ".htaccess", "a%20b.pdf", "x" * 190 + ".pdf", "日本.pdf", "a,b.pdf"],
)  # fmt: skip
def test_an_attachments_name_is_read_as_it_was_given(make, name):
    composer = make({"body.txt": "x"}, attachments=[Attachment.from_bytes(b"x", name)])
    (attached,) = read(bytes_of(composer, row())).iter_attachments()
    assert attached.get_filename() == name


@pytest.mark.parametrize("name", ["it's", "a/b", "a b", "a;b", "a@b", "a=b", "a?b", "(a)"])
def test_a_parameter_that_readers_could_misread_is_quoted(name):
    assert fold_parameters("X", "a/b", [("filename", name)]) == f'X: a/b; filename="{name}"\r\n'


@pytest.mark.parametrize(
    ("file", "written"),
    [
        ("my logo.png", "cid:my%20logo.png"),
        ("my logo.png", "cid:my logo.png"),
        ("logo(1).png", "cid:logo(1).png"),
        ("a+b.png", "cid:a+b.png"),
        ("a+b.png", "cid:a%2Bb.png"),
        ("ü.png", "cid:ü.png"),
        ("image001.png", "cid:image001.png@01DA5C3F.1B2E"),
        ("it's.png", "cid:it's.png"),
        ("a&b.png", "cid:a&amp;b.png"),
        ("LOGO.png", "CID:LOGO.png"),
        ("a,b.png", "cid:a,b.png"),
        ("#1.png", "cid:#1.png"),
    ],
)
def test_an_image_is_found_however_its_name_is_written(make, file, written):
    composer = make({file: PNG, "body.html": f'<img alt="" src="{written}">', "body.txt": "x"})
    message = read(bytes_of(composer, row()))
    (image,) = [inner for inner in message.walk() if inner.get_content_maintype() == "image"]
    assert f'src="cid:{image["Content-ID"][1:-1]}"' in message.get_body(("html",)).get_content()


@pytest.mark.parametrize(
    "written", ["cid:LOGO.png", "cid:/logo.png", "cid:no.png", "cid:../logo.png", "cid:"]
)
def test_an_image_that_is_not_there_is_refused_by_name(make, written):
    with pytest.raises(TemplateError, match=r"body\.html.*is not in the template's folder"):
        make({"logo.png": PNG, "body.html": f'<img alt="" src="{written}">', "body.txt": "x"})


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ('{% from "m.html" import m %}{{ m(name) }}', "Hi T & J <3"),
        ('{% import "m.html" as x %}{{ x.m(name) }}', "Hi T & J <3"),
        ('{% include "i.html" %}', "Hi T & J <3"),
        ('{% from "m.html" import m %}{{ m(name)|upper }}', "HI T & J <3"),
        ('{% from "m.html" import m %}{% set s = m(name) %}{{ s }}!', "Hi T & J <3!"),
        ('{% from "m.html" import m %}{{ "x" ~ m(name) }}', "xHi T & J <3"),
        ('{% from "m.html" import m %}{{ [m(name)]|join("|") }}', "Hi T & J <3"),
        ('{% from "m.html" import m %}{{ m(name)|length }}', "11"),
        ('{% extends "b.html" %}{% block t %}{{ name }} & co{% endblock %}', "T T & J <3 & co"),
        ('{% from "c.html" import c %}{% call c() %}{{ name }}{% endcall %}', "T & J <3"),
    ],
)
def test_a_subject_out_of_html_files_is_text(make, subject, expected):
    files = {
        "m.html": "{% macro m(n) %}Hi {{ n }}{% endmacro %}",
        "i.html": "Hi {{ name }}",
        "b.html": "T {% block t %}{% endblock %}",
        "c.html": "{% macro c() %}<b>{{ caller() }}</b>{% endmacro %}",
    }
    composer = make({**files, "subject.txt": subject, "body.txt": "x"})
    assert read(bytes_of(composer, row(name="T & J <3")))["Subject"] == expected
