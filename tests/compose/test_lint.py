"""Lint: one rule, one fault, and nothing to say about what is right."""

import pytest

from mailer.compose import Attachment, Composer, Design, Unsubscribe
from mailer.compose.lint import lint
from tests.compose.conftest import NEWSLETTER, ROOT, SETTINGS, row

PAGE = (
    "<html lang='en'><head><title>T</title><meta name='viewport' content='width=device-width'></head>"
    "<body>{body}<p>"
    + "Words to read. " * 20
    + "<a href='{{{{ unsubscribe_url }}}}'>Unsubscribe</a></p></body></html>"
)
GOOD = {"subject.txt": "News in March", "body.txt": "x"}
SET_UP = {"unsubscribe": Unsubscribe("https://shop.example/u/{token}"), "secret": "s"}


def page(body: str) -> dict[str, str]:
    return {**GOOD, "body.html": PAGE.format(body=body)}


def rules(make, files, **settings) -> set[tuple[str, str]]:
    composer = make(files, **{**SET_UP, **settings})
    return {(finding.level, finding.rule) for finding in lint(composer, row(1))}


def test_a_good_message_has_no_findings(make):
    image = (
        "<img src='cid:logo.png' alt='Shop'><a href='https://shop.example/?a=1&amp;b=2'>Shop</a>"
    )
    assert rules(make, {**page(image), "logo.png": b"PNG"}) == set()


def test_the_example_templates_have_no_findings_but_advice():
    assert lint(Composer(Design(**NEWSLETTER)), row(city="Berlin", points="5")) == []
    welcome = Design(
        **SETTINGS | {"template": "welcome", "templates_path": ROOT / "templates", "bulk": False}
    )
    for language in ("en", "de"):
        found = lint(Composer(welcome), row(language=language))
        assert [finding.rule for finding in found] == ["text-part"]


@pytest.mark.parametrize(
    ("body", "level", "rule"),
    [
        ("<img src='cid:logo.png'>", "warning", "alt"),
        ("<img src='http://x.example/a.png' alt=''>", "warning", "https"),
        ("<img src='a.png' alt=''>", "error", "image-source"),
        ("<img src='data:image/png;base64,AA' alt=''>", "warning", "data-url"),
        ("<a href='http://x.example'>x</a>", "warning", "https"),
        ("<a href='/relative'>x</a>", "error", "link-target"),
        ("<a href=''>x</a>", "error", "link-target"),
        ("<a href='https://x.example'></a>", "warning", "link-text"),
        ("<a href='https://x.example'>Click  here</a>", "advice", "link-text"),
        ("<script>x</script>", "error", "active"),
        ("<form></form>", "error", "active"),
        ("<link rel='stylesheet' href='https://x.example/a.css'>", "warning", "external-css"),
        ("</div>", "warning", "well-formed"),
        ("x" * 110_000, "warning", "clipped"),
        ("<img src='cid:logo.png' alt='a'>" * 5, "warning", "mostly-images"),
    ],
)
def test_each_fault_of_the_html_is_found_and_nothing_else(make, body, level, rule):
    assert rules(make, {**page(body), "logo.png": b"PNG"}) == {(level, rule)}


@pytest.mark.parametrize(
    ("subject", "rule"),
    [
        ("", "subject"),
        ("x" * 61, "subject-length"),
        ("BIG SALES TODAY ONLY", "shouting"),
        ("Sale!!", "shouting"),
        ("Re: your order", "false-reply"),
    ],
)
def test_each_fault_of_the_subject_is_found(make, subject, rule):
    (found,) = rules(make, {**page(""), "subject.txt": subject})
    assert found[1] == rule


def test_bulk_mail_wants_to_be_unsubscribed(make):
    html = (
        PAGE.format(body="")
        .replace("Unsubscribe", "Bye")
        .replace("{{ unsubscribe_url }}", "https://x.example")
    )
    files = {**GOOD, "body.html": html}
    assert rules(make, files, unsubscribe=None) == {
        ("error", "unsubscribe"),
        ("error", "unsubscribe-link"),
    }
    assert rules(make, files, unsubscribe=None, bulk=False) == set()
    mailto = Unsubscribe(mailto="off@shop.example")
    assert ("warning", "one-click") in rules(make, files, unsubscribe=mailto)


def test_what_is_missing_is_said(make):
    bare = {
        "subject.txt": "News",
        "body.html": "<p>x <a href='{{ unsubscribe_url }}'>unsubscribe</a></p>",
    }
    assert rules(make, bare) == {
        ("advice", "text-part"), ("advice", "lang"), ("advice", "title"), ("warning", "viewport"),
    }  # fmt: skip


def test_a_message_of_text_alone_is_a_matter_of_taste(make):
    assert rules(make, GOOD) == {("advice", "html-part")}


def test_a_huge_attachment_is_found(make):
    file = Attachment.from_bytes(bytes(9_000_000), "a.bin")
    assert rules(make, page(""), attachments=[file]) == {("warning", "size")}


def test_a_template_that_cannot_be_rendered_is_a_finding(make):
    composer = make({"body.txt": "{{ nobody }}"})
    (finding,) = lint(composer, row(3))
    assert (finding.level, finding.rule) == ("error", "renders")
    assert "body.txt:1: 'nobody' is undefined" in finding.message


def test_the_gravest_comes_first(make):
    composer = make({"subject.txt": "", "body.html": "<p>x</p>"}, **SET_UP)
    levels = [finding.level for finding in lint(composer, row())]
    assert levels == sorted(levels, key=["error", "warning", "advice"].index)
