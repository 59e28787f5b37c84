"""The fast path says what Jinja says: for any template and any rows.

Templates are made at random out of everything that Jinja offers and that a field can get into; each is
composed for several rows, so that recordings are made, played for rows that they were not made of, and
grown. Whatever happens, the text and the HTML of the message must be what Jinja alone renders.
"""

import tempfile
from pathlib import Path

import markupsafe
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from mailer.compose import Composer, Design, compiled, quoted
from mailer.compose.template.tracing import escaped
from mailer.compose.verify import faults
from mailer.errors import TemplateError
from mailer.mail.recipients import Recipient
from tests.compose.conftest import SETTINGS, bytes_of, read, row, write

TEXT = st.text(
    st.one_of(
        st.sampled_from("<&>\"'.= \n\r\té😀\x00\x0b\u2028{}%#"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=12,
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_nan=False),
    TEXT,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    st.sampled_from(["vip", "x" * 100, ".", "From x", "=" * 80, "2026-03-01", "<b>bold</b>"]),
    st.lists(st.integers(0, 3) | TEXT, max_size=3),
    st.dictionaries(st.sampled_from(["x", "y", "items"]), st.integers(0, 2) | TEXT, max_size=3),
)
ROWS = st.fixed_dictionaries({"a": VALUES, "b": VALUES, "c": VALUES}, optional={"d": VALUES})

ATOMS = st.sampled_from(
    ["a", "b", "c", "d", "k", "ks", "kd", "1", "0", "'vip'", "'x'", "none", "i", "v", "row", "loop"]
)
FILTERS = st.sampled_from(
    "upper lower title e safe string length int float list first last join trim capitalize sort "  # noqa: SIM905
    "reverse abs round default('n') default('n',true) replace('a','b') truncate(5) wordcount "
    "urlencode tojson striptags batch(2)|list map('upper')|list select|list unique|list number "
    "dictsort items|list center(9) indent format(1) xmlattr sum max min random "
    "groupby(0)|list".split()
)
TESTS = st.sampled_from(
    "defined none string number mapping iterable even odd sameas(none) eq('vip') in(ks) true "  # noqa: SIM905
    "undefined sequence lower callable".split()
)
OPERATORS = st.sampled_from("+ - * ~ == != < >= and or in % //".split())  # noqa: SIM905


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({}|{})".format, inner, FILTERS),
        st.builds("({} {} {})".format, inner, OPERATORS, inner),
        st.builds("({} is {})".format, inner, TESTS),
        st.builds("(not {})".format, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("{}.x".format, ATOMS),
        st.builds("{}[{}]".format, ATOMS, inner),
        st.builds("{}[:2]".format, st.sampled_from("abcdv")),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{'p': {}}}".format, inner),
        st.builds(
            "{}.{}".format, ATOMS, st.sampled_from(["upper()", "strip()", "get('x')", "items()"])
        ),
        st.builds("m({}, {})".format, inner, inner),
        st.builds("range({})|list".format, inner),
        st.builds("'%s' % {}".format, inner),
    )


EXPRESSIONS = st.recursive(ATOMS, compound, max_leaves=4)
WORDS = st.sampled_from(["Grüße ", "<p>", "\n", ". ", "=\n", " ", "From here\n", "x" * 77, "\n.\n"])


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    expression = EXPRESSIONS
    return st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, expression, inner, inner),
        st.builds("{{% if {} %}}{}{{% endif %}}".format, expression, inner),
        st.builds(
            "{{% for i in {} %}}{{{{ loop.index }}}}{}{{% else %}}{}{{% endfor %}}".format,
            expression,
            inner,
            inner,
        ),
        st.builds("{{% for i in {} if i %}}{}{{% endfor %}}".format, expression, inner),
        st.builds("{{% set v = {} %}}{}".format, expression, inner),
        st.builds("{{% set v %}}{}{{% endset %}}{{{{ v }}}}{}".format, inner, inner),
        st.builds("{{% with v = {} %}}{}{{% endwith %}}".format, expression, inner),
        st.builds(
            "{{% filter {} %}}{}{{% endfilter %}}".format, st.sampled_from(["upper", "e"]), inner
        ),
        st.builds("{{% call w({}) %}}{}{{% endcall %}}".format, expression, inner),
        st.builds(
            "{{% autoescape {} %}}{}{{% endautoescape %}}".format,
            st.sampled_from(["true", "false"]),
            inner,
        ),
        st.builds("{{% include 'part.html' %}}{}".format, inner),
        st.builds(
            "{{% set n = namespace(v={}) %}}{{% set n.v = {} %}}{{{{ n.v }}}}{}".format,
            expression,
            expression,
            inner,
        ),
    )


BODIES = st.recursive(
    st.one_of(WORDS, EXPRESSIONS.map("{{{{ {} }}}}".format)), blocks, max_leaves=8
)
MACROS = (
    "{% macro m(p, q) %}<i>{{ p }}</i>{% if q %}{{ q }}{% endif %}{% endmacro %}"
    "{% macro w(p) %}[{{ caller() }}{{ p }}]{% endmacro %}"
)
CONTEXT = {"k": "K&K", "ks": ["vip", 1, "<li>"], "kd": {"x": "X", "vip": 10}}


def outcome(make: object) -> object:
    """What *make* gives, or that it refused."""
    try:
        return make()
    except TemplateError:
        return TemplateError


def by_jinja(composer: Composer, recipient: Recipient) -> dict[str, str]:
    """The bodies that the template's own files make, rendered by Jinja."""
    plan = composer._plan(recipient.fields)
    variables = composer._variables(recipient, composer.headers.unsubscribe_url(recipient))
    rendered = plan.renderer.variant.rendered({**plan.renderer._shared, **variables})
    return {s: quoted.finished(rendered[s]) for s in ("text", "html") if s in rendered}


def bodies_of(octets: bytes) -> dict[str, str]:
    message = read(octets)
    bodies = {"text": message.get_body(("plain",)), "html": message.get_body(("html",))}
    return {s: b.get_content().replace("\r\n", "\n") for s, b in bodies.items() if b is not None}


def assert_all_equal(files: dict[str, str], rows: list[dict[str, object]]) -> Composer | None:
    with tempfile.TemporaryDirectory() as folder:
        root = write(Path(folder), {"subject.txt": "S", "part.html": "<u>{{ a }}</u>", **files})
        try:
            composer = Composer(Design(templates_path=root, context=CONTEXT, **SETTINGS))
        except TemplateError:
            return None
        for number, fields in enumerate(rows, 1):
            recipient = row(number, **fields)
            octets = outcome(lambda recipient=recipient: bytes_of(composer, recipient))
            meant = outcome(lambda recipient=recipient: by_jinja(composer, recipient))
            if octets is TemplateError or meant is TemplateError:
                assert octets is meant, "one refuses what the other composes"
                continue
            assert faults(octets) == []
            assert bodies_of(octets).items() >= meant.items()
        return composer


SLOW = settings(
    max_examples=60,
    deadline=None,
    # Explaining traces every line, which takes minutes here.
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@SLOW
@given(BODIES, st.lists(ROWS, min_size=2, max_size=5))
def test_any_template_and_any_rows_give_what_jinja_gives(body, rows):
    assume("random" not in body)  # by its nature
    files = {"body.html": MACROS + body, "body.txt": MACROS + body}
    assert_all_equal(files, rows)


@SLOW
@given(BODIES, BODIES, st.lists(ROWS, min_size=2, max_size=4))
def test_inheritance_gives_what_jinja_gives(base, block, rows):
    assume("random" not in base + block)
    files = {
        "base.html": MACROS + "<html>{% block one %}" + base + "{% endblock %}</html>",
        "body.html": "{% extends 'base.html' %}"
        + MACROS
        + "{% block one %}({{ super() }})"
        + block
        + "{% endblock %}",
    }
    assert_all_equal({**files, "body.txt": "x"}, rows)


@settings(max_examples=25)
@given(st.lists(ROWS, min_size=1, max_size=4))
def test_the_newsletter_is_the_same_both_ways(rows):
    from tests.compose.conftest import NEWSLETTER  # noqa: PLC0415 - beside its only use

    composer = Composer(Design(**NEWSLETTER))
    for number, fields in enumerate(rows, 1):
        recipient = row(number, **{**fields, "city": str(fields["a"]), "points": number})
        octets = bytes_of(composer, recipient)
        assert faults(octets) == []
        assert bodies_of(octets).items() >= by_jinja(composer, recipient).items()


# What of Jinja must be recorded, and not only be right by falling back.
RECORDED = {
    "a loop over constants": "{% for k in ks %}{{ loop.index }}{{ k }}{{ a }}{% endfor %}",
    "a loop over a field": "{% for i in a %}{{ loop.last }}{{ i|upper }}{% endfor %}",
    "conditions": "{% if a == 'vip' %}x{% elif a %}{{ a }}{% else %}y{% endif %}",
    "filters": "{{ a|string|upper|replace('A', 'b')|truncate(9) }}{{ 3.5|currency('EUR') }}",
    "a macro": "{% macro m(p) %}<b>{{ p }}</b>{% endmacro %}{{ m(a) }}{{ m(k) }}",
    "call": "{% macro w() %}[{{ caller() }}]{% endmacro %}{% call w() %}{{ a }}{% endcall %}",
    "a set block": "{% set v %}<i>{{ a }}</i>{% endset %}{{ v }}{{ v|upper }}{{ v|length }}",
    "concatenation": "{{ 'x' ~ a ~ k }}{{ '<' ~ b }}",
    "a lookup by a field": "{{ kd[b] if b in ['x'] else 0 }}{{ row.b }}{{ row['a'] }}",
    "methods": "{{ b.upper() }}{{ b.split(',')|join('-') }}",
    "an include": "{% include 'part.html' %}",
    "tests": "{{ a is defined }}{{ a is string }}{{ zz is defined }}",
    "namespaces": "{% set n = namespace(s=0) %}{% for i in a %}{% set n.s = n.s + 1 %}{% endfor %}"
    "{{ n.s }}",
    "a filter block": "{% filter upper %}x{{ a }}{% endfilter %}",
}


@pytest.mark.parametrize("body", RECORDED.values(), ids=RECORDED)
def test_these_are_recorded(body):
    rows = [
        {"a": "vip", "b": "x"},
        {"a": "<&>", "b": "x,y"},
        {"a": "", "b": ""},
        {"a": "ö", "b": "é"},
    ]
    composer = assert_all_equal({"body.html": body, "body.txt": "x"}, rows)
    (plan,) = composer._plans.values()
    (program,) = plan.renderer._programs.values()
    assert program.leaves >= 1
    assert plan.renderer._failures == 0


NOT_RECORDED = {
    "a random filter": "{{ ['a', 'b']|random }}{{ a }}",
    "an iterator that is used up": "{% set m = [a]|map('upper') %}{{ m|list }}{{ m|list }}",
    "a function of the caller's": "{{ k.__class__ }}{{ cycler(a, b).next() }}{{ lipsum(n=0) }}",
}


@pytest.mark.parametrize("body", NOT_RECORDED.values(), ids=NOT_RECORDED)
def test_these_are_rendered_by_jinja(body):
    composer = assert_all_equal(
        {"body.txt": body.replace("['a', 'b']", "['a', 'a']")}, [{"a": "x", "b": "y"}]
    )
    (plan,) = composer._plans.values()
    assert plan.renderer._failures == 1


@pytest.mark.parametrize("end", ["", "\n", "=\n", " ", "=", "\n\n"])
@pytest.mark.parametrize("before", ["x", "x\n", ""])
def test_a_value_at_the_very_end_ends_the_body_as_it_should(before, end):
    assert_all_equal({"body.txt": before + "{{ a }}"}, [{"a": "x"}, {"a": end}, {"a": "y" + end}])


def test_a_row_that_takes_another_way_is_recorded_and_the_first_way_stays(make):
    composer = make({"body.txt": "{% if a %}{{ a }}{% else %}nobody{% endif %}"})
    for value in ("x", "", "y", "", "z"):
        assert (value or "nobody").encode() in bytes_of(composer, row(a=value))
    (plan,) = composer._plans.values()
    assert [program.leaves for program in plan.renderer._programs.values()] == [2]


def test_rows_that_all_differ_stop_being_recorded(make):
    composer = make({"body.txt": "{% for i in a %}{{ i }}{% endfor %}"})
    for length in range(90):
        composer.compose(row(a=list(range(length))))
    (plan,) = composer._plans.values()
    assert 40 < sum(program.leaves for program in plan.renderer._programs.values()) < 60


@pytest.mark.parametrize("kept", [1, 2, 5000])
def test_a_value_is_the_same_however_many_came_before(make, monkeypatch, kept):
    """Values are encoded once and kept for a while: what comes again says what it said."""
    monkeypatch.setattr(compiled, "_MAX_CHUNKS", kept)
    composer = make(
        {"subject.txt": "x", "body.txt": "{{ a }}|{{ b }}", "body.html": "<p>{{ a }}<b>{{ b }}"}
    )
    values = ["Ada", "a<b", "=20", ".", "From ", "é" * 90, "", " ", "a\nb", "a\rb"]
    for a in values:
        for b in values:
            text = read(bytes_of(composer, row(a=a, b=b))).get_body(("plain",)).get_content()
            assert text.replace("\r\n", "\n") == f"{a}|{b}\n".replace("\r", "\n")


def test_text_and_html_share_what_a_value_is_encoded_to(make, monkeypatch):
    asked = []
    chunk = quoted.chunk
    monkeypatch.setattr(quoted, "chunk", lambda text: asked.append(str(text)) or chunk(text))
    composer = make({"subject.txt": "x", "body.txt": "{{ a }}", "body.html": "<p>{{ a }}"})
    for name in ("Ada", "Bob", "Ada"):
        composer.compose(row(a=name))
    assert sorted(text for text in asked if text in {"Ada", "Bob"}) == ["Ada", "Bob"]


@given(VALUES | TEXT.map(markupsafe.Markup))
def test_a_value_is_escaped_as_markupsafe_does(value):
    found, wanted = escaped(value), markupsafe.escape(value)
    assert (found, type(found)) == (wanted, type(wanted))
