"""A `celeryconfig.py` of somebody else's application takes nothing away that this worker needs."""

import json
import subprocess
import sys

import pytest
from kombu import Queue

from mailer.errors import ConfigError
from mailer.queues.application import Application, defaults
from mailer.queues.broker import Broker, Task

URL = "redis://127.0.0.1:1/0"


@pytest.fixture(scope="module")
def reconciled():
    from mailer.celery import reconciled as found  # noqa: PLC0415 - making the application reads files

    return lambda theirs: found(defaults(URL), theirs)


@pytest.mark.parametrize(
    "imports", [["shop.tasks"], ("shop.tasks",), "shop.tasks", ["shop.tasks", "mailer.tasks"]]
)
def test_the_task_is_imported_beside_theirs(reconciled, imports):
    assert reconciled({"imports": imports})["imports"] == ["mailer.tasks", "shop.tasks"]


@pytest.mark.parametrize(
    "queues",
    [
        [Queue("shop")],
        (Queue("shop"), Queue("mailer.bulk")),
        {"shop": {"exchange": "shop"}},
        None,
    ],
)
def test_the_queues_are_consumed_beside_theirs(reconciled, queues):
    found = reconciled({"task_queues": queues})["task_queues"]
    assert isinstance(found, dict) == isinstance(queues, dict)
    found = {queue if isinstance(queue, str) else queue.name for queue in found}
    assert {"mailer.bulk", "mailer.priority"} <= found
    assert "mailer.dead" not in found
    assert ("shop" in found) == (queues is not None)


def test_json_is_accepted_whatever_they_accept(reconciled):
    assert reconciled({"accept_content": ["pickle"]})["accept_content"] == ["json", "pickle"]


@pytest.mark.parametrize("theirs", [{"task_serializer": "pickle"}, {"task_serializer": "yaml"}])
def test_what_the_worker_queues_is_json_whatever_they_write(redis_url, client, theirs):
    """Else it would throw its own task messages away, and nothing would be sent."""
    from mailer.celery import reconciled as found  # noqa: PLC0415

    app = Application()
    app.config_from_object(found(defaults(redis_url), theirs))
    assert Broker(app).publish([Task("bulk", "c:1", 1, "primary")]) == 1
    (message,) = client.lrange("mailer.bulk", 0, -1)
    assert json.loads(message)["content-type"] == "application/json"


def test_what_they_set_wins_otherwise(reconciled):
    found = reconciled({"worker_concurrency": 3, "worker_prefetch_multiplier": 4})
    assert (found["worker_concurrency"], found["worker_prefetch_multiplier"]) == (3, 4)


def test_a_setting_of_none_is_one_that_is_left_alone(reconciled):
    nothing = dict.fromkeys(
        ("imports", "accept_content", "task_queues", "broker_transport_options")
    )
    assert reconciled(nothing) == reconciled({})


def test_options_of_the_connection_are_added_and_our_own_places_stay(reconciled):
    ours = defaults(URL)["broker_transport_options"]
    theirs = {"visibility_timeout": 43200, "unacked_key": "unacked", "socket_timeout": 9}
    found = reconciled({"broker_transport_options": theirs})["broker_transport_options"]
    assert found == {**ours, "visibility_timeout": 43200, "socket_timeout": 9}


@pytest.mark.parametrize("zone", ["Europe/Berln", "", "../UTC", "UTC+1 "])
def test_a_time_zone_that_is_none_is_refused(reconciled, zone):
    with pytest.raises(ConfigError, match="timezone names no time zone"):
        reconciled({"timezone": zone})
    assert reconciled({"timezone": "Europe/Berlin"})["timezone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    "theirs",
    [{"task_annotations": {"*": {"rate_limit": "1/m"}}}, {"task_default_rate_limit": "1/m"}],
)
def test_a_rate_for_all_tasks_is_refused_and_one_of_theirs_is_not(reconciled, theirs):
    with pytest.raises(ConfigError, match="rate_limit for all tasks"):
        reconciled(theirs)
    named = {"task_annotations": {"shop.video": {"rate_limit": "1/m"}, "*": {"acks_late": True}}}
    assert reconciled(named)["task_annotations"] == named["task_annotations"]


def test_keys_with_a_prefix_of_theirs_are_refused(reconciled):
    with pytest.raises(ConfigError, match="global_keyprefix"):
        reconciled({"broker_transport_options": {"global_keyprefix": "shop:"}})


def test_a_server_that_mailer_toml_has_verified_is_verified(reconciled):
    from mailer.celery import reconciled as found  # noqa: PLC0415

    ours = defaults("rediss://redis.example/0")
    assert found(ours, {})["broker_use_ssl"]["ssl_cert_reqs"] == "required"
    with pytest.raises(ConfigError, match="broker_use_ssl"):
        found(ours, {"broker_use_ssl": {"ssl_cert_reqs": "none"}})


def test_another_broker_is_refused_in_words(tmp_path):
    (tmp_path / "celeryconfig.py").write_text("broker_url = 'redis://elsewhere/1'\n")
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "mailer", "report"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "broker_url is another than mailer.toml's" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
