"""The link in a mail: one click by a provider, a form for a person, and nothing by looking."""

import email
import re
import socket
from email import policy

import pytest

from mailer import Campaign
from mailer.compose.unsubscribe import TokenSigner
from mailer.config import Settings, load
from mailer.mail.barring.scopes import BULK
from mailer.mail.recipients import fingerprint
from mailer.store import Store
from mailer.store.events import EventStream
from mailer.store.feedback.records import Feedback
from mailer.store.suppression import Suppressed
from tests.servers.shop import template
from tests.web.conftest import Served

ADA = "ada@example.org"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def settings(redis_url, tmp_path, monkeypatch):
    template(tmp_path, "News", "Hello", name="news")
    (tmp_path / "mailer.toml").write_text(
        f'redis = "{redis_url}"\nsender = "Shop & Co <news@shop.example>"\n'
        '[unsubscribe]\nsecret_env = "KEY"\n[web]\nurl = "https://mail.shop.example"\n'
        '[accounts.primary]\nurl = "smtp://localhost:1"\n'
    )
    monkeypatch.setenv("KEY", "secret")
    return load(tmp_path / "mailer.toml")


@pytest.fixture
def link(settings):
    """The path of the link in the message to Ada, as her mail client has it."""
    campaign = Campaign("spring", template="news", settings=settings)
    campaign.enqueue([{"email": ADA}])
    message = email.message_from_bytes(
        bytes(campaign.message({"email": ADA})), policy=policy.default
    )
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    (url,) = re.findall(r"<(https://[^>]+)>", message["List-Unsubscribe"])
    assert ADA not in url
    return url.removeprefix("https://mail.shop.example")


def is_off(client, mailbox=ADA):
    return Store(client).suppression.among([fingerprint(mailbox)], BULK)[0]


def test_the_configuration_needs_an_address_and_a_secret_only(link):
    assert link.startswith("/u/")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_looking_changes_nothing(served, client, link, method):
    for _ in range(50):
        served.client.request(method, link)
    assert not is_off(client)


@pytest.mark.parametrize(
    "body",
    [
        {"data": ONE_CLICK},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {},
        {"content": b"\xff\x00 not a form", "headers": {"Content-Type": "multipart/form-data"}},
        {"json": {"List-Unsubscribe": "One-Click"}},
    ],
    ids=["urlencoded", "multipart", "nothing", "broken", "json"],
)
def test_one_click_takes_off_however_it_is_sent(served, client, link, body):
    answer = served.client.post(link, **body)
    assert (answer.status_code, answer.text) == (200, "unsubscribed\n")
    assert not answer.history
    assert "set-cookie" not in answer.headers
    assert is_off(client)
    assert served.client.post(link, **body).status_code == 200


@pytest.mark.parametrize("half", [b"", b"do=un", b"do=undo&List-Unsubscribe=One"])
def test_a_client_that_hangs_up_in_mid_body_has_asked_for_nothing(served, client, link, half):
    request = f"POST {link} HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(request + half)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert served.client.get("/healthz").status_code == 200
    assert not is_off(client)


@pytest.mark.parametrize("charset", ["idna", "punycode", "unicode_escape", "no-such", "utf-7"])
def test_a_form_in_an_odd_charset_ends_nothing(served, client, link, charset):
    part = b'--x\r\nContent-Disposition: form-data; name="do"\r\n\r\n\\ud800xn--\xff-\r\n--x--\r\n'
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    answer = served.client.post(link, content=part, headers={"Content-Type": kind})
    assert answer.status_code == 200


def test_a_form_of_a_thousand_fields_is_read_as_far_as_it_goes(served, client, link):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert served.client.post(link, content=b"a=&" * 1000, headers=kind).status_code == 200


def test_it_is_counted_once(served, client, link):
    for _ in range(3):
        served.client.post(link, data=ONE_CLICK)
    assert Feedback(client).counts("spring") == {"unsubscribe": 1}


def test_who_follows_what_happens_is_told_once(served, client, link):
    EventStream(client).take("events")
    for _ in range(3):
        served.client.post(link, data=ONE_CLICK)

    (event,) = EventStream(client).read("events", 10).events
    assert (event.outcome, event.mailbox, event.position) == ("unsubscribed", ADA, 0)


def test_who_follows_is_told_when_a_person_takes_it_back_and_leaves_again(served, client, link):
    EventStream(client).register("hook")
    for act in ("undo", "leave", "undo", "undo", "leave", "leave"):
        served.client.post(link, data={"do": act})

    events = EventStream(client).read("hook", 10).events
    assert [one.outcome for one in events] == ["unsubscribed", "resubscribed", "unsubscribed"]
    assert {(one.mailbox, one.position, one.stage) for one in events} == {(ADA, 0, "page")}
    assert len({one.identifier for one in events}) == 3


def test_a_person_presses_and_may_take_it_back(served, client, link):
    page = served.client.get(link, headers={"Accept-Language": "de-AT,de;q=0.9,en;q=0.8"})
    assert 'lang="de"' in page.text
    assert "Abmelden" in page.text
    assert "Shop &amp; Co" in page.text
    assert "script" not in page.text.lower()
    assert 'value="undo"' in served.client.post(link, data={"do": "leave"}).text
    assert is_off(client)
    assert 'value="undo"' in served.client.get(link).text
    assert 'value="leave"' in served.client.post(link, data={"do": "undo"}).text
    assert not is_off(client)
    served.client.post(link, data={"do": "leave"})
    assert is_off(client)


def test_a_bounce_is_not_undone_by_the_page(served, client, link):
    entry = Suppressed(ADA, "mailbox_unknown", 1.0)
    Store(client).suppression.add([(fingerprint(ADA), entry)])
    served.client.post(link, data={"do": "undo"})
    assert is_off(client)


@pytest.mark.parametrize("change", ["cut", "changed", "foreign", "nonsense", "path"])
def test_a_forged_token_does_nothing(served, client, link, change):
    token = link.removeprefix("/u/")
    forged = {
        "cut": token[:-3],
        "changed": token[:10] + ("A" if token[10] != "A" else "B") + token[11:],
        "foreign": TokenSigner("another").token(ADA, "spring"),
        "nonsense": "%00%ff",
        "path": "..%2f..%2fetc%2fpasswd",
    }[change]
    for answer in (served.client.get(f"/u/{forged}"), served.client.post(f"/u/{forged}")):
        assert answer.status_code == 404
        assert ADA not in answer.text
    assert not is_off(client)


def test_a_secret_of_before_is_still_read(served, settings, client, monkeypatch, link):
    token = TokenSigner("of before").token(ADA, "spring")
    assert served.client.post(f"/u/{token}").status_code == 404
    changed = settings.model_copy(
        update={"feedback": settings.feedback.model_copy(update={"previous_secret_env": "OLD"})}
    )
    monkeypatch.setenv("OLD", "of before\n")
    with Served(changed) as later:
        assert later.client.post(f"/u/{token}").status_code == 200
    assert is_off(client)


def test_a_campaign_that_redis_has_forgotten_still_lets_people_go(served, client, link):
    token = TokenSigner("secret").token("bob@example.org", "of-years-ago")
    assert served.client.post(f"/u/{token}", data=ONE_CLICK).status_code == 200
    assert is_off(client, "bob@example.org")


def test_without_redis_the_provider_is_told_to_come_again(link, settings):
    away = settings.model_copy(update={"redis": "redis://127.0.0.1:1/0"})
    with Served(away) as server:
        answer = server.client.post(link, data=ONE_CLICK)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "60"


def test_a_sender_cannot_put_markup_into_the_page(served, settings, client):
    campaign = Campaign(
        "evil",
        template="news",
        sender='"<script>alert(1)</script>" <x@shop.example>',
        settings=settings,
    )
    campaign.enqueue([{"email": ADA}])
    page = served.client.get(f"/u/{TokenSigner('secret').token(ADA, 'evil')}")
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


def test_a_template_of_ones_own_is_shown(settings, tmp_path, link):
    own = tmp_path / "pages"
    own.mkdir()
    (own / "unsubscribe.html").write_text("<p>{{ page.state }} {{ words.button }}</p>")
    changed = settings.model_copy(
        update={"web": settings.web.model_copy(update={"templates": own})}
    )
    with Served(changed) as server:
        assert server.client.get(link).text == "<p>ask Unsubscribe</p>"


def test_without_a_secret_no_token_is_believed(redis_url):
    with Served(Settings(redis=redis_url)) as server:
        token = TokenSigner("").token(ADA, "spring")
        assert server.client.post(f"/u/{token}").status_code == 404
