# ruff: noqa: E501 - tables of templates, a line each
"""Inlining changes nothing that a browser shows: computed styles, on a phone and on a desktop.

A corpus of templates, written for every construct that inliners get wrong and made at random besides, is
composed; the message's HTML and the source's own rendering, its styles left where they are, stand side by
side in frames of 375 and 800 pixels in headless Chromium, which compares every computed property of every element.
"""

import html as html_module
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mailer.compose import Composer, Design
from mailer.compose.template.environment import Plain, set_up
from mailer.compose.template.folder import Folder
from tests.compose.conftest import SETTINGS, bytes_of, read, row, write

ROW = {
    "vip": "yes",
    "color": "#abcdef",
    "cls": "b",
    "items": ["x", "y", "z"],
    "empty": [],
    "width": "120px",
}
PHONE = "@media (max-width: 600px)"
BODY = (
    '<div class="a"><p class="b" id="i">One <b>two</b></p><p class="c">Three</p></div>'
    '<table><tr><td class="a b">1</td><td>2</td></tr></table>'
)


def page(css: str, body: str = BODY, *, attributes: str = "") -> str:
    return f"<!DOCTYPE html><html><head><style{attributes}>{css}</style></head><body>{body}</body></html>"


CORPUS = {
    "plain": page(".b { color: red; margin: 3px } p { color: blue; padding: 1px }"),
    "a rule in a condition": page(
        ".b { color: red } {% if vip == 'no' %}.b { color: gold }{% endif %}"
    ),
    "a rule in a condition that holds": page(
        ".b { color: red } {% if vip %}p.b { color: gold }{% endif %}"
    ),
    "a weaker rule in a condition": page(
        "p.b { color: red } {% if vip %}.b { color: gold }{% endif %}"
    ),
    "two branches": page("{% if vip == 'no' %}.b{color:gold}{% else %}.b{color:red}{% endif %}"),
    "a sheet in a condition": "{% if vip == 'no' %}<style>p{color:gold}</style>{% endif %}"
    + page("p{margin:1px}"),
    "a declaration in a condition": page(
        ".b { {% if vip == 'no' %}color: gold;{% endif %} margin: 2px }"
    ),
    "a selector in a condition": page("{% if vip == 'no' %}.b, {% endif %}.c { color: gold }"),
    "a rule in a loop": page(
        "{% for i in empty %}.b { color: gold }{% endfor %} p { margin: 1px }"
    ),
    "a value in a rule": page(".b { color: {{ color }}; padding: 1px } p { color: red }"),
    "a value that is a selector": page("p { color: red } .{{ cls }} { color: gold }"),
    "a value that is a rule": page(
        "p { color: red } {{ '.b{color:gold}'|safe }} .c { margin: 1px }"
    ),
    "a value that is a name": page(".b { {{ 'color' }}: gold; margin: 1px } p { color: red }"),
    "media print": page(".b { color: red }", attributes=' media="print"'),
    "media screen": page(".b { color: red }", attributes=' media="screen"'),
    "media of a phone": page(".b { color: red }", attributes=' media="(max-width: 600px)"'),
    "media of a desktop": page(
        ".b { color: red } p { color: blue }", attributes=' media="screen and (min-width: 700px)"'
    ),
    "a media query": page(f".b {{ color: red }} {PHONE} {{ .b {{ color: blue }} }}"),
    "a media query by another selector": page(
        f".b {{ width: 50% }} {PHONE} {{ div > p {{ width: 100% }} }}"
    ),
    "a media query that is important": page(
        f".b {{ color: red }} {PHONE} {{ .b {{ color: blue !important }} }}"
    ),
    "hidden, shown on phones": page(
        f".b {{ display: none !important }} {PHONE} {{ .b.b {{ display: block !important }} }}"
    ),
    "a media query before the rule": page(
        f"{PHONE} {{ .b {{ color: blue }} }} .b {{ color: red }}"
    ),
    "a media query of a shorthand": page(
        f".b {{ margin-left: 3px }} {PHONE} {{ .b {{ margin: 9px }} }}"
    ),
    "a media query of a part": page(
        f".b {{ margin: 3px }} {PHONE} {{ .b {{ margin-left: 9px }} }}"
    ),
    "font and line-height": page(
        f".b {{ line-height: 3 }} {PHONE} {{ .b {{ font: 9px/1 serif }} }}"
    ),
    "border parts": page(
        f".b {{ border-left: 3px solid red }} {PHONE} {{ .b {{ border-color: blue }} }}"
    ),
    "a weaker part below": page(
        f"p {{ margin: 9px }} .b {{ margin-left: 3px }} {PHONE} {{ p.b {{ margin-left: 7px }} }}"
    ),
    "supports": page(".b { color: red } @supports (display: grid) { .b { color: blue } }"),
    "nested at-rules": page(
        f".b {{ color: red }} @media screen {{ {PHONE} {{ .b {{ color: blue }} }} }}"
    ),
    "important and own": page(
        ".b { color: red !important }", '<p class="b" style="color: blue">x</p>'
    ),
    "important against important": page(
        "p { color: red !important } .b { color: blue !important; margin: 1px }"
    ),
    "important against normal": page("p { color: red !important } #i { color: blue }"),
    "own style": page("p { color: red; margin: 4px }", '<p style="color: blue">x</p>'),
    "own style, single quotes": page(
        "p { font-family: 'a b'; margin: 4px }", "<p style='color: blue'>x</p>"
    ),
    "own style, unquoted": page(
        "p { color: red; margin: 4px }", "<p style=color:blue>x</p><p STYLE=color:blue id=x>y</p>"
    ),
    "own style, of a value": page(
        "p { color: red }",
        '<p style="color: {{ color }}">x</p><p style="{{ "color:" ~ color }}">y</p>',
    ),
    "own style, in a condition": page(
        "p { color: red; margin: 1px }", "<p {% if vip %}style='color: blue'{% endif %}>x</p>"
    ),
    "own style, not in a condition": page(
        "p { color: red }", "<p {% if vip == 'no' %}style='color: blue'{% endif %}>x</p>"
    ),
    "attributes of a value": page("p { color: red }", "<p {{ 'style=color:blue'|safe }}>x</p>"),
    "quotes in a value": page('p { font-family: "A B", \'C\' ; background: url("data:,x") }'),
    "a class of a value": page(
        "p { color: red } .b { color: gold }",
        '<p class="{{ cls }}">x</p><p class="c {{ cls }}">y</p>',
    ),
    "a class of a value above": page(
        "p { color: red } .b p { color: gold }", '<div class="{{ cls }}"><p>x</p></div><p>y</p>'
    ),
    "a class in a condition": page(
        "p { color: red } .b { color: gold }", "<p {% if vip %}class='b'{% endif %}>x</p>"
    ),
    "a class not in a condition": page(
        "p { color: red } .b { color: gold }", "<p {% if vip == 'no' %}class='b'{% endif %}>x</p>"
    ),
    "part of a class in a condition": page(
        ".b { color: red } .c { color: gold }",
        "<p class='b {% if vip == 'no' %}c{% endif %}'>x</p>",
    ),
    "one of two elements": page(
        ".b p { color: red } .c p { color: gold }",
        "{% if vip == 'no' %}<div class='b'>{% else %}<div class='c'>{% endif %}<p>x</p></div>",
    ),
    "an id of a value": page("p { color: red } #q { color: gold }", '<p id="{{ "q" }}">x</p>'),
    "names with colons and hyphens": page(
        "* { margin: 0 } p, amp-img { color: red }",
        "<p>a<o:p>&nbsp;</o:p></p><amp-img class=b>x</amp-img><v:rect fill=t>y</v:rect>",
    ),
    "first of a loop": page(
        "li { color: red } li:first-child { color: gold } li + li { margin: 3px }",
        "<ul>{% for i in items %}<li>{{ i }}</li>{% endfor %}</ul>",
    ),
    "nth of a table": page(
        "td { color: red } tr:nth-child(2n) td { color: gold }",
        "<table>{% for i in items %}<tr><td>{{ i }}</td></tr>{% endfor %}</table>",
    ),
    "siblings": page("p { color: red } p ~ p { color: gold } p + p { margin: 3px }"),
    "not, is and where": page("p { color: red } p:not(.b) { color: gold } :is(.b) { margin: 3px }"),
    "attributes": page(
        "p { color: red } p[class=b] { color: gold } [title] { margin: 3px }",
        "<p class=b title=x>x</p>",
    ),
    "links": page(
        "a { color: red } a:link { color: gold } a:hover { color: blue }",
        "<a href='https://x.example'>x</a>",
    ),
    "pseudo-elements": page(
        "p { color: red } p::before { content: 'x'; color: gold } p:first-line { color: blue }"
    ),
    "the implied tbody": page(
        "table > tr > td { color: red } table > tbody > tr > td { margin: 1px; color: blue }"
    ),
    "fallbacks": page(".b { color: red; color: rgb(1 2 3 / 50%); display: block; display: flexx }"),
    "custom properties": page(
        f":root {{ --c: red }} p {{ color: var(--c) }} {PHONE} {{ :root {{ --c: blue }} }}"
    ),
    "all": page(f".b {{ color: red }} {PHONE} {{ .b {{ all: unset }} }}"),
    "inherit": page(
        f"div {{ color: red }} p {{ color: inherit }} {PHONE} {{ div {{ color: blue }} }}"
    ),
    "a comment in a rule": page(
        "/* .b { color: gold } */ .b { /* x */ color: red /* y */; } <!-- p { margin: 1px } -->"
    ),
    "broken rules": page(
        ".b { color: red } } .c { color: gold } p { margin 3px; padding: 1px } .d {"
    ),
    "upper case": page("P { COLOR: Red } .B { margin: 3px }", "<P CLASS=b>x</P>"),
    "crlf": page(
        ".b {\r\n color: red;\r\n}\r\np {\r\n margin: 3px }\r\n{% if vip == 'no' %}\r\np { color: gold }\r\n{% endif %}"
    ),
    "outlook's comments": "<!--[if mso]><style>p { color: gold }</style><![endif]-->"
    + page("p { color: red }"),
    "a sheet in the body": page("p { color: red }", "<style>.b { color: gold }</style>" + BODY),
    "a macro": page(
        "p { color: red } .a p { color: gold }",
        "{% macro m(x) %}<p class='b'>{{ x }}</p>{% endmacro %}<div class='a'>{{ m('x') }}</div>{{ m('y') }}",
    ),
    "a set block": page(
        "p { color: red } .a p { color: gold }",
        "{% set s %}<p>x</p>{% endset %}<div class='a'>{{ s }}</div>",
    ),
    "a call block": page(
        "p { color: red } .a p { color: gold }",
        "{% macro m() %}<div class='a'>{{ caller() }}</div>{% endmacro %}{% call m() %}<p>x</p>{% endcall %}",
    ),
    "an include in two places": page(
        "p { color: red } .a p { color: gold }",
        "<div class='a'>{% include 'part.html' %}</div>{% include 'part.html' %}",
    ),
    "a layout": "{% extends 'layout.html' %}{% block css %}.b { color: gold }{% endblock %}{% block body %}<p class='b'>x</p>{{ super() }}{% endblock %}",
    "an imported macro": page(
        "p { color: red } .a p { color: gold }",
        "{% from 'macros.html' import m %}<div class='a'>{{ m() }}</div>{% import 'macros.html' as ui %}{{ ui.m() }}",
    ),
    "escaped names": page(
        r".sm\:b { color: red } .w-1\/2 { margin: 3px }", '<p class="sm:b w-1/2">x</p>'
    ),
    "dark mode": page(
        "p { color: black } @media (prefers-color-scheme: dark) { p { color: white } }"
    ),
    "dark and light": page(
        "p { color: black } @media (prefers-color-scheme: light) { p { color: blue } }"
    ),
    "layers": page("@layer a { .b { color: gold } } p { color: red }"),
    "nesting": page("div { color: red; & p { color: gold } .c { margin: 3px } } p { color: blue }"),
    "keyframes and fonts": page(
        "@font-face { font-family: x; src: url(y) } @keyframes k { from { color: gold } } p { color: red }"
    ),
    "an import": page("@import url(https://x.example/a.css); p { color: red }"),
}
OTHERS = {
    "part.html": "<p class='b'>x</p>",
    "layout.html": "<!DOCTYPE html><head><style>p { color: red; margin: 2px } {% block css %}{% endblock %}</style>"
    "</head><body>{% block body %}<p>super</p>{% endblock %}</body>",
    "macros.html": "{% macro m() %}<p class='b'>x</p>{% endmacro %}",
}


def at_random(seed: int) -> str:
    """A template with a dozen rules of few names, so that they override each other."""
    rng = random.Random(seed)
    selectors = [
        ".a",
        ".b",
        "p",
        "td",
        "#i",
        "div p",
        ".a .b",
        "div > p",
        "*",
        "p.b",
        ".a > *",
        "table td",
        "p:hover",
        "p:first-child",
        "p + p",
        "[class]",
        ".x, .b",
        "div:not(.z) .b",
    ]
    declarations = [
        "color: red",
        "color: blue",
        "color: gold !important",
        "margin: 1px",
        "margin-left: 7px",
        "margin: 5px !important",
        "font: 11px serif",
        "line-height: 2",
        "font-size: 17px",
        "border: 1px solid red",
        "border-left-width: 5px",
        "border-color: blue",
        "padding: 2px 3px",
        "padding-top: 9px",
        "display: block",
        "width: 50%",
        "background: #eee",
        "background-color: #ffe",
        "text-align: center",
        "color: {{ color }}",
        "width: {{ width }}",
    ]
    css = ""
    for _ in range(rng.randint(3, 14)):
        rule = f"{rng.choice(selectors)} {{ {'; '.join(rng.sample(declarations, rng.randint(1, 3)))} }} "
        css += rng.choice(
            [
                "{}",
                "{}",
                "{}",
                "{}",
                PHONE + " {{ {} }} ",
                "{{% if vip == 'no' %}}{}{{% endif %}}",
                "{{% if vip %}}{}{{% endif %}}",
                "@media print {{ {} }} ",
            ]
        ).format(rule)
    own = rng.choice(
        [
            "",
            ' style="color: green"',
            " style=margin:3px",
            " {% if vip %}class='b'{% endif %}",
            ' class="{{ cls }}"',
        ]
    )
    return page(
        css,
        f"<p{own}>x</p><p class='x'>y</p>{{% for i in items %}}<p class='b'>{{{{ i }}}}</p>{{% endfor %}}{BODY}",
    )


CHROMIUM = [
    *(
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--dump-dom",
    ),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--virtual-time-budget=20000",
]
SCRIPT = """
const shown = (document, found) => [...document.querySelectorAll('body, body *')].filter(e => e.tagName != 'STYLE');
const differences = (one, other) => {
  const left = shown(one.contentDocument), right = shown(other.contentDocument), found = [];
  if (left.length != right.length) return ['elements: ' + left.length + ' and ' + right.length];
  left.forEach((e, i) => {
    const a = one.contentWindow.getComputedStyle(e), b = other.contentWindow.getComputedStyle(right[i]);
    for (const name of a) if (a.getPropertyValue(name) != b.getPropertyValue(name))
      found.push(e.tagName + '.' + e.className + ' ' + name + ': ' + a.getPropertyValue(name) + ' became ' + b.getPropertyValue(name));
  });
  return found.slice(0, 5);
};
addEventListener('load', () => {
  const result = {};
  const frames = [...document.querySelectorAll('iframe')];
  for (let i = 0; i < frames.length; i += 2) {
    const found = differences(frames[i], frames[i + 1]);
    if (found.length) result[frames[i].title] = found;
  }
  const pre = document.createElement('pre'); pre.id = 'result';
  pre.textContent = JSON.stringify({frames: frames.length, result}); document.body.append(pre);
});
"""


def differences(pairs: dict[str, tuple[str, str]], folder: Path) -> dict[str, list[str]]:
    """What Chromium computes differently for the two documents of each pair, at both widths."""
    frames = ""
    for name, documents in pairs.items():
        for width in (375, 800):
            for document in documents:
                source = html_module.escape(document)
                frames += f'<iframe width="{width}" height="600" title="{name} at {width}" srcdoc="{source}"></iframe>\n'
    file = folder / "page.html"
    file.write_text(
        f"<!DOCTYPE html><meta charset=utf-8><script>{SCRIPT}</script><body>{frames}</body>"
    )
    done = subprocess.run(
        ["chromium", *CHROMIUM, f"--user-data-dir={folder / 'profile'}", file.as_uri()],
        capture_output=True, timeout=500, check=True,
    )  # fmt: skip
    found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
    assert found, done.stderr.decode()[-500:]
    said = json.loads(html_module.unescape(found[1]))
    assert said["frames"] == 4 * len(pairs)
    return said["result"]


def rendered(source: str, folder: Path) -> tuple[str, str]:
    """The HTML as its source says it, rendered by Jinja alone; and the message's."""
    root = write(folder, {"subject.txt": "x", "body.txt": "x", "body.html": source, **OTHERS})
    files = Folder(root, "t", "x")
    environment = set_up(Plain, files, "en", {})
    recipient = row(**ROW)
    plain = environment.get_template("body.html").render(recipient.fields)
    composer = Composer(Design(**{**SETTINGS, "templates_path": root}))
    body = read(bytes_of(composer, recipient)).get_body(("html",))
    return plain, body.get_content()


@pytest.mark.chromium
def test_computed_styles_are_those_of_the_source(tmp_path, chance):
    seed = chance.randrange(10**6)  # each difference is named by the seed of its template
    pairs = {
        name: rendered(source, tmp_path / str(n)) for n, (name, source) in enumerate(CORPUS.items())
    }
    for n in range(8):
        pairs[f"random {seed + n}"] = rendered(at_random(seed + n), tmp_path / f"r{n}")
    assert differences(pairs, tmp_path) == {}


@pytest.mark.parametrize(
    ("source", "written"),
    [
        (page(".b { color: red }", "<p class=b>x</p>"), '<p style="color: red" class=b>'),
        (
            page("p { color: red !important }", "<p style='margin:0'>x</p>"),
            "<p style='margin:0;color: red'>",
        ),
        (page("p { color: red }", "<p style=margin:0>x</p>"), '<p style="color: red;margin:0">'),
        (
            page("p { color: red }", '<p style="margin:0;">x</p>'),
            '<p style="color: red;margin:0;">',
        ),
        (page("o\\:p { color: red }", "<o:p>x</o:p>"), '<o:p style="color: red">'),
        (page("p { color: red; color: blue }", "<p>x</p>"), '<p style="color: blue">'),
        (
            page(f"p {{ color: red; margin: 0 }} {PHONE} {{ p {{ color: blue }} }}", "<p>x</p>"),
            '<p style="margin: 0">',
        ),
        (
            page(
                "p { color: red; margin: 0 } {% if vip %}p { color: blue }{% endif %}", "<p>x</p>"
            ),
            '<p style="margin: 0">',
        ),
        (page("p { margin: 0; color: {{ color }} }", "<p>x</p>"), '<p style="margin: 0">'),
        (
            page("p { color: red } @media print { p { color: blue } }", "<p>x</p>"),
            '<p style="color: red">',
        ),
        (page("p { color: red }", "<!-- <p> --><p>x</p>"), '<!-- <p> --><p style="color: red">'),
        (page("* { color: red }", "<p>x</p>"), '<p style="color: red">'),
    ],
)
def test_what_is_written_where(source, written, tmp_path):
    assert written in rendered(source, tmp_path)[1]


@pytest.mark.parametrize("source", CORPUS.values(), ids=CORPUS)
def test_nothing_is_changed_but_style_attributes(source, tmp_path):
    plain, ours = rendered(source, tmp_path)
    bare = re.compile(r"""\s+style=("[^"]*"|'[^']*'|[^\s>"']+)""", re.IGNORECASE)
    lines = "\r\n", "\n"
    assert bare.sub("", ours.replace(*lines)).split() == bare.sub("", plain.replace(*lines)).split()
    assert "\uf8ff" not in ours


def test_it_is_linear_in_the_number_of_tags_and_rules(tmp_path):
    """Twice the template is less than three times the work: counted as the calls of Python functions."""

    def calls(n: int) -> int:
        css = "".join(f".c{i} {{ color: red; margin: {i}px }} " for i in range(n))
        source = page(css, "".join(f"<p class=c{i}>{{{{ name }}}}</p>" for i in range(n)))
        root = write(tmp_path / str(n), {"subject.txt": "x", "body.txt": "x", "body.html": source})
        count = 0

        def profile(frame, event, arg):
            nonlocal count
            count += event == "call"

        sys.setprofile(profile)
        try:
            Composer(Design(**{**SETTINGS, "templates_path": root}))
        finally:
            sys.setprofile(None)
        return count

    assert calls(400) < 3 * calls(200)


def test_rules_of_a_large_sheet_meet_on_one_element(tmp_path):
    css = "".join(f".c{n} {{ color: red; margin: {n}px }} " for n in range(700))
    _, ours = rendered(page(css, "<p class='c3 c650'>x</p><p class=c699>y</p>"), tmp_path)
    assert "<p style=\"color: red;margin: 650px\" class='c3 c650'>" in ours
    assert '<p style="color: red;margin: 699px" class=c699>' in ours
