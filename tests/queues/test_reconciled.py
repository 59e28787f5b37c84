"""A `celeryconfig.py` of somebody else's application takes nothing away that this worker needs."""

import subprocess
import sys

import pytest
from kombu import Queue

from mailer.queues.application import defaults

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


def test_what_they_set_wins_otherwise(reconciled):
    found = reconciled({"worker_concurrency": 3, "worker_prefetch_multiplier": 4})
    assert (found["worker_concurrency"], found["worker_prefetch_multiplier"]) == (3, 4)


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
