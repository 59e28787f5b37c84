"""A provider's request counts when it is proven and its message is ours; then it is in Redis, once."""

import hashlib
import hmac
import json
import time

import pytest

from mailer import Campaign
from mailer.config import Settings, load
from mailer.errors import ConfigError
from mailer.feedback.hooks import Hooks
from mailer.feedback.returns import returns_of
from mailer.mail.barring.scopes import ALL
from mailer.mail.recipients import fingerprint
from mailer.operate import feedback
from mailer.store import Store
from tests.servers.shop import template
from tests.web.conftest import Served

ADA = "ada@example.org"
SAID = "550 5.1.1 no such user"


@pytest.fixture
def settings(redis_url, tmp_path, monkeypatch):
    template(tmp_path, "News", "Hello", name="news")
    (tmp_path / "mailer.toml").write_text(
        f'redis = "{redis_url}"\nsender = "news@shop.example"\n'
        '[feedback]\nreturn_path = "bounces@shop.example"\nsecret_env = "KEY"\n'
        '[webhooks.generic]\nsecret_env = "HOOK"\n[webhooks.postmark]\nsecret_env = "PASSWORD"\n'
        '[accounts.primary]\nurl = "smtp://localhost:1"\n'
    )
    for name, value in {"KEY": "secret", "HOOK": "hooked", "PASSWORD": "us:them"}.items():
        monkeypatch.setenv(name, value)
    return load(tmp_path / "mailer.toml")


@pytest.fixture
def message_id(settings):
    campaign = Campaign("spring", template="news", settings=settings)
    campaign.enqueue([{"email": ADA}])
    return campaign.message({"email": ADA})["Message-ID"]


def signed(payload, secret="hooked", at=None):
    body = json.dumps(payload).encode()
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {
        "content": body,
        "headers": {"X-Mailer-Timestamp": stamp, "X-Mailer-Signature": digest},
    }


def bounced(message_id):
    return {
        "events": [
            {
                "event": "bounced",
                "recipient": ADA,
                "message_id": message_id,
                "response": SAID,
                "permanent": True,
            }
        ]
    }


def kinds(settings):
    return [one.kind for one in feedback.returned(settings, "spring")]


def is_off(client):
    return Store(client).suppression.among([fingerprint(ADA)], ALL)[0]


def test_a_proven_bounce_is_recorded_once_and_takes_the_mailbox_off(
    served, settings, client, message_id
):
    for _ in range(3):
        assert (
            served.client.post("/hooks/generic", **signed(bounced(message_id))).status_code == 204
        )
    assert kinds(settings) == ["bounce"]
    assert is_off(client)


@pytest.mark.parametrize("fault", ["secret", "late", "unsigned", "no json"])
def test_what_proves_nothing_changes_nothing(served, settings, client, message_id, fault):
    request = {
        "secret": signed(bounced(message_id), secret="other"),
        "late": signed(bounced(message_id), at=time.time() - 3600),
        "unsigned": {"json": bounced(message_id)},
        "no json": {"content": b"{" * 100_000},
    }[fault]
    assert served.client.post("/hooks/generic", **request).status_code == 401
    assert kinds(settings) == []
    assert not is_off(client)


def test_an_address_alone_takes_nobody_off(served, settings, client):
    """Who has the provider's key could otherwise name anybody."""
    assert served.client.post("/hooks/generic", **signed(bounced(None))).status_code == 204
    assert not is_off(client)


def test_a_password_in_the_address_proves_a_provider_that_signs_nothing(served, message_id):
    body = {"RecordType": "Bounce", "Type": "HardBounce", "Email": ADA, "Details": f"smtp;{SAID}"}
    assert served.client.post("/hooks/postmark", json=body).status_code == 401
    assert served.client.post("/hooks/postmark", json=body, auth=("us", "them")).status_code == 204


@pytest.mark.parametrize("path", ["/hooks/sendgrid", "/hooks/nobody", "/hooks/"])
def test_only_configured_webhooks_answer(served, path):
    assert served.client.post(path, json={}).status_code == 404
    assert served.client.get("/hooks/generic").status_code == 405


def test_without_redis_the_provider_is_told_to_come_again(settings, message_id):
    away = settings.model_copy(update={"redis": "redis://127.0.0.1:1/0"})
    with Served(away) as server:
        answer = server.client.post("/hooks/generic", **signed(bounced(message_id)))
    assert answer.status_code == 503


@pytest.mark.parametrize(
    ("table", "words"),
    [({"sendgird": {"secret_env": "X"}}, "no such provider"), ({"sendgrid": {}}, "wants a secret")],
)
def test_a_wrong_table_is_refused_when_it_starts(redis_url, table, words):
    settings = Settings.model_validate({"redis": redis_url, "webhooks": table})
    with pytest.raises(ConfigError, match=words):
        Hooks(settings, returns_of(settings))
