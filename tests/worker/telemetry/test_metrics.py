"""A worker's own `/metrics`, for all its processes, read by Prometheus's own parser."""

import os
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import free_port
from tests.servers.waiting import PATIENCE, eventually

TOTAL = 120
POOLS = ("prefork", "threads", "solo")


@pytest.fixture
def port():
    return free_port()


def configure(cluster, port):
    text = (cluster.folder / "mailer.toml").read_text()
    cluster.configure(f'{text}\n[metrics]\nlisten = "127.0.0.1:{port}"\n')


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return text, {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def replies(found, **which):
    return sum(
        value
        for (name, *labels), value in found.items()
        if name == "mailer_replies_total" and which.items() <= dict(labels).items()
    )


@pytest.mark.parametrize("pool", POOLS)
def test_replies_are_counted_over_all_processes(cluster, smtp, port, pool):
    configure(cluster, port)
    smtp.gone |= {f"spring-{number}@example.org" for number in range(5, TOTAL, 10)}
    cluster.start("worker", "--pool", pool)
    cluster.enqueue("spring", "primary", TOTAL, batch=10)
    cluster.enqueue("ada", "primary", 1, queue="priority")
    eventually(lambda: cluster.final("spring") and cluster.final("ada"))
    # The counts are written just after the ledger's.

    eventually(lambda: replies(scrape(port)[1], account="primary") == TOTAL + 1)
    text, found = scrape(port)
    gone = TOTAL // 10
    assert replies(found, stage="final", code="250") == TOTAL + 1 - gone
    assert replies(found, stage="RCPT", code="550") == gone
    assert "@" not in text
    batches = ("mailer_batch_seconds_count", ("account", "primary"))
    eventually(lambda: scrape(port)[1].get(batches, 0) >= TOTAL // 10 + 1)
    found = scrape(port)[1]
    assert found["mailer_send_to_accepted_seconds_count",] == 1
    assert 0 < found["mailer_send_to_accepted_seconds_sum",] < 60
    eventually(lambda: scrape(port)[1]["mailer_sweep_seconds_count",] >= 2)


def test_a_login_that_is_refused_is_counted_once_a_login(cluster, smtp, port):
    configure(cluster, port)
    smtp.passwords["primary"] = "changed"
    cluster.start("worker")
    cluster.enqueue("spring", "primary", TOTAL)
    eventually(lambda: cluster.final("spring"))
    eventually(
        lambda: replies(scrape(port)[1], stage="AUTH", code="535") == smtp.refused["primary"]
    )
    assert replies(scrape(port)[1], stage="final") == 0


def test_a_child_that_takes_the_place_of_another_leaves_the_port_to_its_parent(cluster, smtp, port):
    configure(cluster, port)
    worker = cluster.start("worker", "--max-tasks-per-child", "1")
    cluster.enqueue("spring", "primary", TOTAL, batch=10)
    eventually(lambda: cluster.final("spring"))
    eventually(lambda: replies(scrape(port)[1], stage="final", code="250") == TOTAL)
    worker.kill()
    worker.wait(PATIENCE)
    eventually(lambda: refused(port))


def refused(port):
    try:
        scrape(port)
    except (urllib.error.URLError, ConnectionError):
        return True
    return False


def test_the_counts_folder_goes_with_its_worker_or_with_the_next(
    cluster, port, tmp_path, monkeypatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    left = lambda: list(tmp_path.glob("mailer-metrics-*"))  # noqa: E731
    configure(cluster, port)
    first = cluster.start("first")
    assert len(left()) == 1
    first.kill()
    first.wait(PATIENCE)
    (old,) = left()
    eventually(lambda: refused(port))
    second = cluster.start("second")
    assert len(left()) == 1
    assert old not in left()
    second.terminate()
    assert second.wait(PATIENCE) == 0
    assert left() == []


def test_a_port_that_is_taken_is_an_error_before_anything_begins(cluster, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        configure(cluster, taken.getsockname()[1])
        worker = cluster.start("worker", wait=False)
        assert worker.wait(PATIENCE) == 1
    last = cluster.log().strip().splitlines()[-1]
    assert last.startswith("mailer: metrics.listen: 127.0.0.1:")
    assert last.endswith("Address already in use; each worker of a host needs a port of its own")
    assert not list(Path(tempfile.gettempdir()).glob(f"mailer-metrics-{worker.pid}*"))


def test_the_ready_file_says_that_the_worker_sweeps(cluster, tmp_path):
    ready = tmp_path / "ready"
    text = (cluster.folder / "mailer.toml").read_text()
    cluster.configure(text.replace("[worker]\n", f'[worker]\nready_file = "{ready}"\n'))
    worker = cluster.start("worker")
    eventually(ready.exists)
    before = ready.stat().st_mtime
    eventually(lambda: ready.stat().st_mtime > before)
    worker.terminate()
    assert worker.wait(PATIENCE) == 0
    assert not ready.exists()


def test_codes_that_no_server_is_known_to_send_share_a_label():
    # In a process of its own, for prometheus_client then counts in files.
    script = (
        "from mailer.worker.telemetry.metrics import _code; from mailer.smtp.reply import Reply\n"
        "codes = {_code(Reply(code, None, ('x',))) for code in range(200, 600)}\n"
        "assert {'250', '550', '421', '2xx', '4xx', '5xx'} <= codes; assert len(codes) < 64, codes"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": folder}
        subprocess.run([sys.executable, "-c", script], env=environment, check=True)
