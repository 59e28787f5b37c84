"""Templates in the console: found, shown with a row, judged, and tried by a message to oneself."""

import json
import time

import pytest

from mailer.compose.template.names import template_names
from mailer.operate import campaigns
from mailer.store.breaker import Breaker
from tests.web.console.conftest import note_of

MARKUP = "<script>alert(1)</script>"
BODY = (
    "<html><head><meta name='color-scheme' content='light dark'><style>"
    "@media (prefers-color-scheme: dark) { p { color: #eee } }</style></head>"
    "<body><p>Dear {{ name }}</p><script>alert(1)</script></body></html>"
)


@pytest.fixture(autouse=True)
def templates(tmp_path):
    root = tmp_path / "templates"
    for name in ("news", "shop/welcome", "layouts"):
        (root / name).mkdir(parents=True)
    for name in ("news", "shop/welcome"):
        (root / name / "subject.txt").write_text("Hello {{ name }}")
        (root / name / "body.html").write_text(BODY)
    (root / "layouts/base.html").write_text("x")
    return root


def test_templates_are_found_also_in_folders(console, templates):
    assert template_names(templates) == ["news", "shop/welcome"]
    assert template_names(templates / "none") == []
    text = console.operator.get("/console/templates").text
    assert 'href="/console/templates/of/shop/welcome"' in text
    assert "layouts" not in text.partition("<main")[2]


@pytest.mark.parametrize("name", ["news", "shop/welcome"])
def test_a_template_is_shown_with_a_row_and_judged(console, name):
    row = json.dumps({"email": "bob@example.org", "name": "Bob"})
    text = console.operator.get(f"/console/templates/of/{name}", params={"row": row}).text
    assert "Hello Bob" in text
    assert "Dear Bob" in text
    assert "List-Unsubscribe" in text
    frame = console.operator.get(f"/console/templates/html/{name}", params={"row": row})
    assert "Dear Bob" in frame.text
    assert frame.headers["content-security-policy"].endswith("sandbox")


def test_in_the_dark_its_own_rules_for_the_dark_hold(console):
    light = console.operator.get("/console/templates/html/news").text
    dark = console.operator.get("/console/templates/html/news?dark=1").text
    assert "@media (prefers-color-scheme: dark)" in light
    assert "@media all" in dark
    assert "color-scheme: dark" in dark


@pytest.mark.parametrize(
    "row",
    [
        "{",
        "[]",
        "1",
        '{"email": 3}',
        '{"name": "x"}',
        "[" * 3000,
        MARKUP,
        '{"email": "a@x.example"}',
    ],
)
def test_a_row_that_does_not_fit_is_an_error_in_words(console, row):
    page = console.operator.get("/console/templates/of/news", params={"row": row})
    assert page.status_code == 200
    assert MARKUP not in page.text
    frame = console.operator.get("/console/templates/html/news", params={"row": row})
    assert frame.status_code == 400


@pytest.mark.parametrize(
    "name", ["none", "../../etc", "..%2f..%2fetc", "%00", "news/..", "/etc/passwd"]
)
def test_nothing_outside_the_folder_can_be_named(console, name):
    for path in (f"/console/templates/of/{name}", f"/console/templates/html/{name}"):
        answer = console.operator.get(path)
        assert answer.status_code in (200, 400, 404)
        assert "root:" not in answer.text


def test_values_of_a_row_are_no_templates_and_no_markup(console):
    row = json.dumps({"email": "a@x.example", "name": MARKUP + "{{ 7 * 7 }}"})
    text = console.operator.get("/console/templates/of/news", params={"row": row}).text
    assert MARKUP not in text
    assert "49" not in text.partition("As it looks")[2].partition("<details")[0]
    frame = console.operator.get("/console/templates/html/news", params={"row": row}).text
    assert MARKUP + "{{" not in frame


def test_a_test_is_sent_marked_and_outside_every_campaign(console, settings):
    page = "/console/templates/of/news"
    row = json.dumps({"email": "bob@example.org", "name": "Bob"})
    answer = console.press("/console/templates/test/news", page, to="me@example.org", row=row)
    assert "A test is queued to me@example.org" in note_of(console.operator, answer)
    status = campaigns.status(settings, "send.test")
    assert status.outcomes["queued"] == 1
    text = console.operator.get("/console/messages/send.test/0").text
    assert "[Test] Hello Bob" in text
    assert "me@example.org" in text


@pytest.mark.parametrize(
    "fields",
    [
        {"to": ""},
        {"to": "nobody"},
        {"to": "a@x.example", "row": "{"},
        {"to": "a@x.example", "account": "none"},
    ],
)
def test_a_test_that_cannot_be_sent_says_why(console, client, fields):
    answer = console.press("/console/templates/test/news", "/console/templates/of/news", **fields)
    assert answer.status_code == 303
    assert client.zcard("mailer:queued:priority") == 0


def test_a_test_goes_through_no_account_that_is_stopped(console, client):
    page = "/console/templates/of/news"
    Breaker(client).stop("primary", "operator", time.time())
    answer = console.press("/console/templates/test/news", page, to="a@x.example")
    assert "primary is stopped" in note_of(console.operator, answer)
    assert not client.keys("mailer:payload:*")


def test_a_viewer_looks_and_sends_nothing(console, client):
    text = console.viewer.get("/console/templates/of/news").text
    assert "Dear" in text
    assert 'method="post"' not in text
    answer = console.viewer.post("/console/templates/test/news", data={"to": "a@x.example"})
    assert answer.status_code == 403
    assert client.zcard("mailer:queued:priority") == 0
