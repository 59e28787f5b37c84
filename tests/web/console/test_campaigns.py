"""Campaigns in the console: found, looked at, paused, resumed, cancelled; by a form of ours alone."""

import json
import re
import time

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from mailer.mail.policy import CampaignPolicy
from mailer.mail.status import Detail, Status
from mailer.operate import audit, campaigns
from mailer.operate.refusals import SAMPLE, refusals
from mailer.operate.timeline import STEPS, timeline
from mailer.store import Store, keys
from mailer.store.ledger import BULK, Fresh
from mailer.web.application import application
from tests.web.console.conftest import Console, note_of, token_of

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"{{7*7}}"


def made(client, name="spring", total=5, now=None, **summary):
    """A campaign with *total* queued recipients."""
    store, at = Store(client), now or time.time()
    told = {"account": "primary", "template": "news", **summary}
    run = store.campaigns.open(
        name, digest="d", summary=told, policy=CampaignPolicy(), accept_changes=False, now=at
    ).run
    if total:
        store.ledger.enqueue(
            store.campaigns.next_batch(name),
            run=run,
            queue=BULK,
            account="primary",
            payload=b"",
            recipients=[Fresh(f"{n:08x}".encode(), 7) for n in range(total)],
            now=at,
        )
    store.campaigns.close(name)


def refused(client, name, details):
    """Write down that recipients were rejected, each with a detail, as commits of workers do."""
    from mailer.mail.payload import encode_detail  # noqa: PLC0415

    for position, detail in enumerate(details):
        client.hset(keys.detail(name), str(position), encode_detail(detail))
        client.setrange(keys.status(name), position, Status.REJECTED.value)


def state(settings, name="spring"):
    return campaigns.status(settings, name).state


def test_an_empty_list_says_how_to_begin(console):
    assert "There is no campaign yet" in console.operator.get("/console/campaigns").text


def test_the_list_is_found_by_name_and_state_and_goes_page_by_page(console, client, settings):
    for number in range(60):
        made(client, f"news-{number:02}", 1, now=1_700_000_000.0 + number)
    campaigns.pause(settings, "news-07")

    def names(**query):
        text = console.operator.get("/console/campaigns", params=query).text
        return re.findall(r'<h2><a href="[^"]+">([^<]+)</a>', text), text

    first, text = names()
    assert first == [f"news-{n}" for n in range(59, 34, -1)]
    (older,) = re.findall(r'href="([^"]+)">Older', text)
    second = console.operator.get(older.replace("&amp;", "&")).text
    assert "news-34" in second
    assert "news-35" not in second
    assert names(name="NEWS-5")[0] == [f"news-{n}" for n in range(59, 49, -1)]
    assert names(state="paused")[0] == ["news-07"]
    assert names(state="cancelled")[0] == []
    assert names(start="-1", state="nonsense")[0] == first


@pytest.mark.parametrize("start", ["99999999999", "x", "-5", "1e9", "٣"])
def test_a_nonsensical_page_is_an_empty_or_the_first_one(console, start):
    assert console.operator.get("/console/campaigns", params={"start": start}).status_code == 200


def test_a_campaign_is_paused_resumed_and_cancelled(console, client, settings):
    made(client)
    page = "/console/campaigns/spring"
    assert "Paused" in note_of(console.operator, console.press(f"{page}/pause", page))
    assert state(settings) == "paused"
    assert "Resumed" in note_of(console.operator, console.press(f"{page}/resume", page))
    assert state(settings) == "running"
    question = console.operator.get(f"{page}/cancel")
    assert "5 recipients of 5" in question.text
    assert state(settings) == "running"
    said = note_of(console.operator, console.press(f"{page}/cancel", f"{page}/cancel"))
    assert "5 recipients" in said
    assert state(settings) == "cancelled"
    again = console.operator.post(f"{page}/pause", data={"token": token_of(question.text)})
    assert "was cancelled" in note_of(console.operator, again)
    deeds = audit.newest(settings, 10)
    assert [(one.who, one.what, one.about, one.ok) for one in deeds] == [
        ("ada", "pause campaign", "spring", False),
        ("ada", "cancel campaign", "spring", True),
        ("ada", "resume campaign", "spring", True),
        ("ada", "pause campaign", "spring", True),
    ]
    log = console.operator.get("/console/audit").text
    assert log.count("pause campaign") == 2
    assert "failed" in log


def test_an_act_is_in_the_log_too(console, client, caplog):
    made(client)
    with caplog.at_level("INFO", "mailer.audit"):
        console.press("/console/campaigns/spring/pause", "/console/campaigns/spring")
    assert "ada: pause campaign spring: Paused" in caplog.text


def test_a_start_is_moved_and_moved_to_now(console, client, settings):
    made(client)
    page = "/console/campaigns/spring"
    answer = console.press(f"{page}/schedule", page, at="2099-05-01T08:00")
    assert "01 May 2099, 08:00:00 UTC" in note_of(console.operator, answer)
    assert campaigns.status(settings, "spring").start == 4081305600.0
    text = console.operator.get(page).text
    assert "waiting" in text
    assert "01 May 2099" in text
    assert "begins now" in note_of(
        console.operator, console.press(f"{page}/schedule", page, now="yes")
    )
    assert campaigns.status(settings, "spring").start <= time.time()
    client.hset(keys.campaign("spring"), "started", str(time.time()))
    answer = console.press(f"{page}/schedule", page, at="2099-05-01T08:00")
    assert "What is left of it waits until 01 May 2099" in note_of(console.operator, answer)


@pytest.mark.parametrize("at", ["", "tomorrow", "2026-99-01T08:00", "9" * 50, "0001-01-01T00:00"])
def test_a_time_that_is_none_moves_nothing(console, client, settings, at):
    made(client)
    page = "/console/campaigns/spring"
    answer = console.press(f"{page}/schedule", page, at=at)
    assert answer.status_code == 303
    if not at.startswith("0001"):
        assert "give date and time" in note_of(console.operator, answer)
        assert campaigns.status(settings, "spring").start == 0.0


@pytest.mark.parametrize(
    ("url", "origin", "status"),
    [
        (None, "https://mail.shop.example", 403),
        ("https://mail.shop.example", "https://mail.shop.example", 303),
        ("https://mail.shop.example", "https://evil.example", 403),
    ],
)
def test_behind_a_proxy_with_another_host_the_configured_address_counts(
    client, settings, url, origin, status
):
    made(client)
    web = settings.web.model_copy(update={"url": url})
    page = "/console/campaigns/spring"
    with Console(settings.model_copy(update={"web": web})) as server:
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        assert server.press(f"{page}/pause", page, headers=headers).status_code == status


def test_mounted_elsewhere_every_path_leads_there(client, settings):
    made(client)
    outer = Starlette(routes=[Mount("/mail", app=application(settings))])
    with Console(settings, app=outer) as server:
        page = server.operator.get("/mail/", follow_redirects=True)
        assert page.status_code == 200
        links = re.findall(r'(?:href|src|action)="([^"#]+)"', page.text)
        assert links
        assert {link.split("/")[1] for link in links} == {"mail"}
        assert all(server.operator.get(link).status_code == 200 for link in links)
        there = "/mail/console/campaigns/spring"
        answer = server.press(f"{there}/pause", there)
        assert answer.headers["location"].startswith(f"{there}?note=")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_looking_changes_nothing(console, client, settings, method):
    made(client)
    for act in ("pause", "resume", "cancel"):
        console.operator.request(method, f"/console/campaigns/spring/{act}")
    assert state(settings) == "running"
    assert audit.newest(settings, 5) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},  # another port is another site
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_of_another_site_does_nothing(console, client, settings, headers):
    made(client)
    page = "/console/campaigns/spring"
    answer = console.press(f"{page}/pause", page, headers=headers)
    assert answer.status_code == 403
    assert state(settings) == "running"


@pytest.mark.parametrize("forged", ["", "x", "cut", "viewer's"])
def test_a_form_without_our_token_does_nothing(console, client, settings, forged):
    made(client)
    page = "/console/campaigns/spring"
    token = token_of(console.operator.get(page).text)
    if forged == "viewer's":
        from itsdangerous import URLSafeTimedSerializer  # noqa: PLC0415

        from mailer.operate.audit import key_of_forms  # noqa: PLC0415

        signer = URLSafeTimedSerializer(key_of_forms(settings), salt="mailer.web.form")
        token = signer.dumps("vic")
    token = {"cut": token[:-2], "viewer's": token}.get(forged, forged)
    answer = console.operator.post(f"{page}/pause", data={"token": token})
    assert answer.status_code == 403
    assert state(settings) == "running"
    assert console.operator.post(f"{page}/pause", json={"token": token}).status_code == 403


def test_a_giant_form_is_cut_and_one_with_many_fields_refused(console, client, settings):
    made(client)
    page = "/console/campaigns/spring"
    token = token_of(console.operator.get(page).text)
    many = {f"f{n}": "x" for n in range(5000)}
    for fields in ({"token": token, "x": "y" * 2_000_000}, {**many, "token": token}):
        answer = console.operator.post(f"{page}/pause", data=fields)
        assert answer.status_code in (403, 413)
    files = {f"f{n}": (f"f{n}", b"x") for n in range(20)}
    answer = console.operator.post(f"{page}/pause", data={"token": token}, files=files)
    assert answer.status_code == 403
    assert state(settings) == "running"


def test_a_viewer_sees_no_button(console, client):
    made(client)
    for path in ("/console/campaigns/spring", "/console/campaigns/spring/cancel"):
        text = console.viewer.get(path).text
        assert "<button" not in text
        assert 'name="token"' not in text


def test_a_note_is_shown_only_where_we_have_signed_it(console, client):
    made(client)
    text = console.operator.get("/console/campaigns?note=W3RydWUsImV2aWwiXQ.x.y").text
    assert "evil" not in text


# What servers and lists say.


def test_markup_from_outside_is_shown_and_never_run(console, client, settings):
    made(client, MARKUP, account=MARKUP, template=MARKUP, sender=MARKUP, reply_to=MARKUP)
    detail = Detail(f"x@{MARKUP}", "RCPT", 550, "5.1.1", MARKUP, MARKUP, MARKUP, 1, 1.0, 1.0)
    refused(client, MARKUP, [detail] * 3)
    campaigns.pause(settings, MARKUP)
    client.hset(keys.campaign(MARKUP), "why", MARKUP)
    from urllib.parse import quote  # noqa: PLC0415

    own = "/console/campaigns/" + quote(MARKUP, safe="")
    for path in ("/console/campaigns", own, own + "/cancel"):
        text = console.operator.get(path, params={"name": "<script>"}).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "49" not in re.sub(r"<[^>]*>|[\d:.]{3,}", "", text.partition("<main")[2])
    text = console.operator.get(
        f"/console/campaigns?name={quote(MARKUP)}&state={quote(MARKUP)}"
    ).text
    assert "<script>alert" not in text


def test_live_figures_carry_no_markup_of_others(console, client):
    made(client, "spring", 3, account=MARKUP)
    with console.operator.stream("GET", "/console/campaigns/spring/live") as stream:
        lines = stream.iter_lines()
        told = json.loads(next(line for line in lines if line.startswith("data:"))[5:])
    assert told["state"] == "sending"
    assert "3" in told["html"]
    assert "<script" not in told["html"]


def test_live_figures_end_with_the_campaign(console, client, settings):
    made(client, "spring", 3)
    campaigns.cancel(settings, "spring")
    with console.operator.stream("GET", "/console/campaigns/spring/live") as stream:
        text = "".join(stream.iter_text())
    assert '"final": true' in text
    assert console.operator.get("/console/campaigns/none/live").status_code == 404


def test_invisible_text_is_written_out(console, client):
    made(client, "spring", 1, template="evil\u202egnp.exe\x1b[31m")
    text = console.operator.get("/console/campaigns/spring").text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "\\u202e" in text


def test_refusals_are_grouped_by_what_was_said_without_what_is_particular(client, settings):
    made(client, "spring", 30)
    details = [
        Detail(
            f"reader{n}@{'a' if n % 3 else 'b'}.example",
            "RCPT",
            550,
            "5.1.1",
            f"<reader{n}@a.example>: User unknown, id QX{n:06}77",
            "fail_recipient",
            "mailbox unknown",
        )
        for n in range(30)
    ]
    refused(client, "spring", details)
    found = refusals(settings, campaigns.status(settings, "spring"))
    (group,) = found.said
    assert group.recipients == 30
    assert "@" not in group.said.text
    assert "QX" not in group.said.text
    assert group.said.rule == "mailbox unknown"
    assert dict(found.domains) == {"a.example": 20, "b.example": 10}
    assert dict(found.accounts) == {"primary": 30}
    assert found.whole


def test_many_refusals_are_sampled_and_it_is_said(console, client, settings):
    made(client, "spring", 3 * SAMPLE)
    full = Detail("x@a.example", "RCPT", 552, "5.2.2", "mailbox full")
    gone = Detail("x@b.example", "RCPT", 550, "5.1.1", "no such user")
    refused(client, "spring", [full, gone, gone] * SAMPLE)
    found = refusals(settings, campaigns.status(settings, "spring"))
    assert found.looked_at == SAMPLE
    assert sum(one.recipients for one in found.said) == pytest.approx(3 * SAMPLE, rel=0.01)
    by_code = {one.said.code: one.recipients for one in found.said}
    assert by_code[550] == pytest.approx(2 * SAMPLE, rel=0.15)
    assert "drawn at random" in console.operator.get("/console/campaigns/spring").text


def test_a_timeline_has_few_steps_without_a_gap(client, settings):
    now = time.time()
    made(client, "spring", 1, now=now - 20 * 86400)
    client.hset(keys.campaign("spring"), "active", str(now))
    first = int((now - 10 * 86400) // 60)
    for minute in (first, first + 1, int(now // 60)):
        client.hset(keys.minutes("spring", minute // 1440), f"{minute % 1440}a", "2")
        client.hset(keys.minutes("spring", minute // 1440), f"{minute % 1440}r", "1")
    found = timeline(settings, campaigns.status(settings, "spring"))
    assert sum(step.accepted for step in found.steps) == 6
    assert sum(step.refused for step in found.steps) == 3
    assert len(found.steps) <= STEPS
    gaps = {b.at - a.at for a, b in zip(found.steps, found.steps[1:], strict=False)}
    assert gaps == {found.minutes * 60}


def test_without_redis_it_says_so(settings):
    away = settings.model_copy(update={"redis": "redis://:hunter2@127.0.0.1:1/0"})
    with Console(away) as server:
        answer = server.operator.get("/console/campaigns")
    assert answer.status_code == 503
    assert "hunter2" not in answer.text
    assert answer.headers["retry-after"]
