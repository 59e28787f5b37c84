"""Is everything reachable that mail needs: each thing well, and each thing missing."""

from time import time

import pytest

from mailer.config import Settings
from mailer.operate.health import (
    Check,
    nobody_works,
    readiness,
    refused,
    standstill,
    swept_lately,
)
from mailer.store import keys
from mailer.store.waiting import Waiting
from tests.conftest import free_port

NOW = 1_000_000.0


@pytest.fixture
def settings(redis_url):
    return Settings(redis=redis_url)


def checks(settings):
    return {one.name: one for one in readiness(settings)}


@pytest.mark.parametrize(
    ("every", "ago", "late"),
    [(3.0, 0.0, False), (3.0, 30.0, False), (3.0, 30.5, True), (10.0, 100.0, False), (10.0, 101.0, True)],
)  # fmt: skip
def test_a_sweep_is_late_after_ten_of_its_intervals_and_half_a_minute(every, ago, late):
    settings = Settings(worker={"sweep_every": every})
    said = swept_lately(settings, NOW - ago, NOW)
    assert said == (f"no worker has swept for {ago:.0f} s" if late else "")


def test_that_no_worker_ever_swept_says_how_to_start_one():
    said = swept_lately(Settings(), 0.0, NOW)
    assert said == "no worker has swept yet: start celery -A mailer worker"


def test_where_all_is_well_every_check_is(client, settings):
    Waiting(client).note_sweep(time())
    found = checks(settings)
    assert list(found) == ["redis", "broker", "sweep"]
    assert all(one.ok and one.needed for one in found.values())
    assert standstill(settings) is None
    assert nobody_works(settings) == refused(settings) == ""


def test_of_a_redis_that_is_away_only_that_is_said():
    settings = Settings(redis=f"redis://127.0.0.1:{free_port()}/0")
    (only,) = readiness(settings)
    assert only.name == "redis"
    assert not only.ok
    assert "cannot be reached" in only.said


def test_a_broker_that_is_away_is_named_and_the_rest_is_looked_at(client, redis_url):
    Waiting(client).note_sweep(time())
    settings = Settings(redis=redis_url, broker=f"redis://127.0.0.1:{free_port()}/0")
    found = checks(settings)
    assert (found["redis"].ok, found["broker"].ok, found["sweep"].ok) == (True, False, True)


def test_without_a_worker_all_mail_stands_still_and_it_is_said_what_it_goes_on_with(settings):
    found = standstill(settings)
    assert (found.what, found.until) == ("No worker runs", "it goes on when one starts")
    assert found.why == nobody_works(settings) == checks(settings)["sweep"].said


def test_a_redis_that_takes_no_writes_stands_before_a_missing_worker(client, settings):
    client.config_set("min-replicas-to-write", 1)
    try:
        found = standstill(settings)
        assert (found.what, found.until) == ("Redis takes no writes", "when it does, workers go on")
        assert found.why == refused(settings)
        assert not checks(settings)["redis"].ok
    finally:
        client.config_set("min-replicas-to-write", 0)
    assert refused(settings) == ""


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////nowhere/at/all/h.db", "unable to open database file"),
        ("mysql://h/x", "history.url"),
    ],
)
def test_a_history_that_cannot_be_asked_is_a_check_that_fails(client, redis_url, url, said):
    found = checks(Settings(redis=redis_url, history={"url": url}))
    assert said in found["history"].said
    assert found["history"].needed


def test_events_that_were_missed_are_told_and_need_no_restart(client, redis_url):
    settings = Settings(redis=redis_url, events={"hook": "shop.mail:told"})
    assert checks(settings)["events"] == Check("events", "", needed=False)
    client.hset(keys.EVENTS_MISSED, "hook", b'{"recipients": 7, "since": 1.0, "until": 2.0}')
    assert checks(settings)["events"] == Check("events", "hook missed 7 events", needed=False)
    assert "events" not in checks(Settings(redis=redis_url)), "nobody is told"
