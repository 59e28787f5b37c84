"""Templates of strangers: whatever they do, an error within seconds, and the process lives on."""

import os
import resource
import signal
import threading

import pytest

from mailer.compose import Attachment
from mailer.compose.fenced.fence import FENCE
from mailer.compose.fenced.inside import MEMORY, SECONDS
from mailer.errors import InputError, TemplateError
from tests.compose.conftest import assert_equal, row

pytestmark = pytest.mark.timeout(600)

TOO_MUCH = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a range": "{% for a in range(1000000000) %}{{ a }}{% endfor %}",
    "text times a number": "{{ 'x' * 4000000000 }}",
    "a list times a number": "{{ [0] * 4000000000 }}",
    "a wide filter": "{{ 'x'|center(4000000000) }}",
    "a wide format": "{{ '%4000000000d'|format(1) }}",
    "doubling": "{% set ns = namespace(x='x') %}{% for a in range(40) %}{% set ns.x = ns.x ~ ns.x %}"
    "{% endfor %}{{ ns.x|length }}",
    "endless recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "a deep expression": "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
    "a long sum": "{{ " + "+".join(["1"] * 200_000) + " }}",
    "nested tags": "{% if 1 %}" * 20_000 + "{% endif %}" * 20_000,
    "many lines out": "{% for a in range(99999) %}{{ 'x' * 99999 }}{% endfor %}",
    "wrapping": "{{ ('x ' * 30000000)|wordwrap(1) }}",
}


def children():
    """Processor time of all processes that were begun here and ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def text(composer, recipient):
    return composer.email(recipient).get_content().strip()


@pytest.mark.parametrize("body", TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_takes_too_much_is_an_error_within_seconds_and_megabytes(make, body):
    before, used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, children()
    with pytest.raises(TemplateError, match=r"more than|nests|[Rr]ecursion|Range|Memory"):
        make({"body.txt": body}, trusted=False).compose(row())
    FENCE.close()
    assert children() - used < 3 * SECONDS, "what it takes to begin among them"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert grown < MEMORY / 4, "what is taken is taken elsewhere"
    after = make({"body.txt": "Hello {{ name }}\n"}, trusted=False)
    assert text(after, row()) == "Hello Ada"


def test_so_is_html_that_parsers_choke_on(make):
    with pytest.raises(TemplateError):
        make({"body.html": "<p>" * 200_000}, trusted=False).compose(row())


def test_a_rule_of_very_many_selectors_stays_where_it_stands(make):
    html = "<style>" + "p," * 50_000 + "p{color:red}</style>" + "<p>x</p>" * 5_000
    composed = make({"body.html": html}, trusted=False).compose(row())
    assert b"<style>" in b"".join(composed.content)


def test_a_row_that_takes_too_much_is_named_and_after_three_the_template_is_run_no_more(make):
    body = "{% if loops %}" + TOO_MUCH["nested loops"] + "{% endif %}Hi"
    composer = make({"body.txt": body}, trusted=False)
    for number in (7, 8, 9):
        assert text(composer, row(loops=False)) == "Hi"
        with pytest.raises(TemplateError, match=rf"than {SECONDS:g} seconds \(row {number}\)"):
            composer.compose(row(number, loops=True))
    used = children()
    with pytest.raises(TemplateError, match=r"for 3 rows, and is run for no other \(row 10\)"):
        composer.compose(row(10, loops=True))
    assert children() == used


def test_the_messages_are_those_that_the_template_makes_here(make, tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 500)
    files = {
        "body.html": "<style>p { color: red }</style><p>{{ name }} {{ when|date }}</p>",
        "headers.toml": 'X-Who = "{{ name }}"',
    }
    settings = {
        "attachments": (Attachment.from_path(tmp_path / "a.bin"),),
        "context": {"when": "2026-03-01"},
    }
    here, there = (make(files, trusted=trusted, **settings) for trusted in (True, False))
    assert_equal(here.email(row(name="Grüße")), there.email(row(name="Grüße")))
    assert here.email(row())["X-Who"] == there.email(row())["X-Who"] == "Ada"
    assert (here.files, here.has_text, here.shared) == (there.files, there.has_text, there.shared)


def test_a_fault_is_told_as_if_it_were_here(make):
    for trusted in (True, False):
        with pytest.raises(TemplateError, match=r"body\.txt:2: 'nobody' is undefined \(row 3\)"):
            make({"body.txt": "x\n{{ nobody }}"}, trusted=trusted).check(row(3))


def test_what_cannot_be_handed_over_is_named(make):
    composer = make({"body.txt": "{{ name }}"}, trusted=False)
    with pytest.raises(InputError, match=r"gets text, numbers, .*\(row 1\)"):
        composer.compose(row(lock=threading.Lock()))
    assert composer.compose(row())


def test_a_process_that_somebody_else_ended_is_an_error_once(make):
    composer = make({"body.txt": "Hi {{ name }}"}, trusted=False)
    composer.compose(row())
    os.kill(FENCE._process.pid, signal.SIGKILL)
    FENCE._process.wait()
    assert composer.compose(row()), "it was noticed before the question"


def test_threads_and_forks_ask_side_by_side(make):
    composers = [make({"body.txt": f"{n} {{{{ name }}}}"}, trusted=False) for n in range(4)]
    found = [[] for _ in composers]

    def work(n):
        found[n] += [text(composers[n], row(name=f"A{i}")) for i in range(50)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[n][i] == f"{n} A{i}" for n in range(4) for i in range(50))
    child = os.fork()
    if not child:
        os._exit(0 if text(composers[3], row()) == "3 Ada" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert text(composers[3], row()) == "3 Ada"


def test_composers_that_are_gone_are_forgotten_behind_the_fence(make):
    kept = make({"body.txt": "kept"}, trusted=False)
    gone = make({"body.txt": "gone"}, trusted=False)
    number = gone.number
    del gone
    kept.load()
    with pytest.raises(TemplateError, match="KeyError"):
        FENCE.ask(kept.generation, "check", number, row())
    assert kept.compose(row())
