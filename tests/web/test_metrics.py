"""`/metrics` is read by Prometheus's own parser, and says what the ledger says."""

import re
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mailer.config import load
from mailer.store import keys
from mailer.store.breaker import Breaker
from mailer.store.events import Aside, EventStream, Rewinds, Rewound
from mailer.store.feedback.records import Brake, Feedback, Note, Returned
from mailer.store.views.dead_groups import DeadGroups
from tests.servers.cluster import Cluster
from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import eventually
from tests.web.conftest import Served

TOTAL = 60


def samples(served):
    answer = served.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.fixture
def smtp():
    with ScriptedServer({"primary": "right", "other": "right"}) as server:
        yield server


@pytest.fixture
def cluster(tmp_path, redis_url, smtp):
    made = Cluster(tmp_path, redis_url, smtp.port, primary="right", other="right")
    yield made
    made.close()


def test_an_empty_redis_has_figures(served):
    found = samples(served)
    assert found["mailer_recipients", "queued"] == 0
    assert found["mailer_account_running", "primary"] == 1
    assert found["mailer_oldest_queued_seconds", "bulk"] == 0
    # What is not there before it grows has grown by nothing, for `increase` and `offset`.
    assert found["mailer_messages_total", "primary", "rejected"] == 0
    assert found["mailer_dead_letters", "auth"] == 0


def test_dead_letters_are_asked_for_once_a_scrape(served, client, monkeypatch):
    asked, groups = [], DeadGroups.all
    monkeypatch.setattr(DeadGroups, "all", lambda self, now: asked.append(now) or groups(self, now))
    samples(served)
    assert len(asked) == 1


def test_of_an_account_the_state_of_its_breaker_is_one(served, client):
    Breaker(client).stop("primary", "operator", time.time())
    text = served.client.get("/metrics").text
    states = dict(re.findall(r'mailer_account_state{account="primary",state="(\w+)"} (\S+)', text))
    assert states == {"stopped": "1.0", "running": "0.0", "cooling": "0.0", "unknown": "0.0"}


def test_who_is_behind_with_events_is_shown_with_its_age(served, client):
    EventStream(client).take("history")
    assert samples(served)["mailer_events_lag_seconds", "history"] == 0
    client.xadd(keys.EVENTS, {"n": 1}, id=f"{int((time.time() - 90) * 1000)}-0")
    Aside(client).put("history", b"{}", 1, "why")
    client.hset(keys.EVENTS_MISSED, "history", '{"recipients": 7}')
    assert "mailer_ledger_forgotten 0.0" in served.client.get("/metrics").text
    Rewinds(client, "history").note(Rewound(8, 1.0, 2.0), 1)

    found = samples(served)

    assert 90 <= found["mailer_events_lag_seconds", "history"] < 150
    assert found["mailer_events_set_aside", "history"] == 1
    assert found["mailer_events_missed", "history"] == 7
    assert "mailer_ledger_forgotten 8.0" in served.client.get("/metrics").text


def test_the_figures_are_the_ledgers(cluster, smtp):
    smtp.gone |= {f"spring-{number}@example.org" for number in range(7)}
    smtp.passwords["other"] = "changed"
    cluster.start("worker")
    cluster.enqueue("spring", "primary", TOTAL)
    cluster.enqueue("news", "other", TOTAL // 2)
    eventually(lambda: cluster.final("spring") and cluster.final("news"))
    Feedback(cluster.client).note(
        Note(
            "spring",
            b"somebody",
            Returned("complaint", "a@example.org", 1.0),
            None,
            Brake(None, None),
        )
    )
    with Served(load(cluster.folder / "mailer.toml", {})) as served:
        found = samples(served)
        eventually(lambda: served.client.get("/readyz").status_code == 200)
        found = samples(served)
    assert found["mailer_feedback_total", "complaint", "primary"] == 1
    assert found["mailer_messages_total", "accepted", "primary"] == TOTAL - 7
    assert found["mailer_messages_total", "primary", "rejected"] == 7
    assert found["mailer_messages_total", "dead", "other"] == TOTAL // 2
    for name in ("accepted", "rejected", "dead"):
        both = [cluster.outcomes(campaign).get(name, 0) for campaign in ("spring", "news")]
        assert found["mailer_recipients", name] == sum(both)
    assert found["mailer_dead_letters", "auth"] == TOTAL // 2
    assert found["mailer_account_running", "other"] == 0
    assert found["mailer_account_running", "primary"] == 1
    assert found["mailer_logins_total", "failed", "other"] == smtp.refused["other"]
    assert time.time() - found["mailer_last_sweep_timestamp_seconds",] < 60


def test_no_label_holds_an_address_or_a_servers_words(cluster, smtp):
    smtp.answer("AUTH", "535 5.7.8 ada@example.org is not welcome", user="primary")
    cluster.start("worker")
    cluster.enqueue("spring", "primary", 5)
    eventually(lambda: cluster.final("spring"))
    with Served(load(cluster.folder / "mailer.toml", {})) as served:
        text = served.client.get("/metrics").text
    assert "@" not in text
    assert "welcome" not in text
