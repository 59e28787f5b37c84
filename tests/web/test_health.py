"""Who restarts or routes asks here, and is told what is."""

import time

import pytest

from mailer.config import Settings
from mailer.errors import LedgerUnavailableError
from mailer.history import open_history
from mailer.store import Store, keys
from mailer.store.connection import connect, serves
from mailer.store.events import Rewinds, Rewound
from tests.servers.redis_servers import redis_process
from tests.store.batches import open_campaign
from tests.store.test_addresses import RIGHTS
from tests.web.conftest import Served


def test_a_process_that_lives_says_so(served):
    answer = served.client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_ready_is_redis_broker_and_a_recent_sweep(served, client):
    assert served.client.get("/readyz").json() == {"redis": "ok", "broker": "ok", "sweep": "failed"}
    Store(client).waiting.note_sweep(time.time())
    answer = served.client.get("/readyz")
    assert (answer.status_code, set(answer.json().values())) == (200, {"ok"})


def test_a_sweep_of_long_ago_is_none(served, client):
    Store(client).waiting.note_sweep(time.time() - 3600)
    answer = served.client.get("/readyz")
    assert (answer.status_code, answer.json()["sweep"]) == (503, "failed")


def test_a_history_that_is_configured_must_be_reachable_with_its_tables(
    redis_url, client, tmp_path
):
    url = f"sqlite:///{tmp_path}/history.db"
    settings = Settings.model_validate({"redis": redis_url, "history": {"url": url}})
    Store(client).waiting.note_sweep(time.time())
    with Served(settings) as server:
        answer = server.client.get("/readyz")
        assert (answer.status_code, answer.json()["history"]) == (503, "failed")
        history = open_history(url)
        history.upgrade()
        history.close()
        answer = server.client.get("/readyz")
        assert (answer.status_code, answer.json()["history"]) == (200, "ok")
        assert answer.json()["events"] == "ok"
        client.hset(keys.EVENTS_MISSED, "history", '{"recipients": 7}')
        answer = server.client.get("/readyz")  # mail goes out, and who routes here may go on
        assert (answer.status_code, answer.json()["events"]) == (200, "look")
        client.delete(keys.EVENTS_MISSED)
        Rewinds(client, "history").note(Rewound(7, 1.0, 2.0), 1)
        assert server.client.get("/readyz").json()["events"] == "look"


def test_without_redis_it_lives_and_is_not_ready():
    with Served(Settings(redis="redis://:hunter2@127.0.0.1:1/0")) as server:
        assert server.client.get("/healthz").status_code == 200
        answer = server.client.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"redis": "failed"})
        assert server.client.get("/metrics").status_code == 503
        assert "hunter2" not in answer.text


TAKEN = {
    "-evalsha": "redis",
    "-hincrby": "redis",
    "-@sortedset": "redis",
    "-@write": "redis",
    "resetkeys ~mailer:*": "broker",
    "resetkeys ~mailer.* ~_kombu.*": "redis",
}


@pytest.mark.redis_server
@pytest.mark.parametrize("taken", TAKEN)
def test_a_right_that_was_taken_away_is_seen(tmp_path, taken):
    """One that ends a script in its middle, too: it is tried before anybody relies on it."""
    user = f"user mailer on >x {RIGHTS}"
    with redis_process(tmp_path / "redis", user) as server:
        settings = Settings(redis=f"redis://mailer:x@127.0.0.1:{server.port}/0")
        store = Store(connect(settings.redis))
        store.waiting.note_sweep(time.time())
        with Served(settings) as web:
            assert web.client.get("/readyz").status_code == 200
            server.admin().execute_command("ACL", "SETUSER", "mailer", *taken.split())
            answer = web.client.get("/readyz")
            assert (answer.status_code, answer.json()[TAKEN[taken]]) == (503, "failed")
            if TAKEN[taken] == "redis":
                with pytest.raises(LedgerUnavailableError, match=r"docs/redis\.md"):
                    serves(store.client)
                with pytest.raises(LedgerUnavailableError, match=r"docs/redis\.md"):
                    open_campaign(store.client, "c")
                assert server.admin().keys("mailer:campaign:*") == []
            server.admin().execute_command("ACL", "SETUSER", "mailer", "+@all", *RIGHTS.split())
            assert web.client.get("/readyz").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_done_there(served, method):
    assert served.client.request(method, "/healthz").status_code == 405
