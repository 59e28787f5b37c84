"""A trace from the producer to the mail server, as a collector gets it from real processes."""

import os
import subprocess
import sys

import pytest

from tests.servers.collector import Collector
from tests.servers.waiting import PATIENCE, eventually

GONE = "grace@example.org"
PRODUCER = """
from mailer import Campaign, send
rows = [{"email": name + "@example.org"} for name in ("ada", "grace", "edsger")]
Campaign("spring", template="hello", sender="news@shop.example", account="primary").enqueue(rows)
send("hello", to="ada@example.org", sender="news@shop.example", account="primary")
"""


@pytest.fixture
def collector():
    with Collector() as started:
        yield started


def attributes(span):
    return {
        one.key: one.value.string_value or one.value.int_value or one.value.double_value
        for one in span.attributes
    }


def produce(cluster):
    folder = cluster.folder / "templates/hello"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("hello")
    (folder / "body.html").write_text("<p>hello {{ email }}</p>")
    environment = os.environ | {"MAILER_CONFIG": str(cluster.folder / "mailer.toml")}
    subprocess.run([sys.executable, "-c", PRODUCER], env=environment, check=True)


def configure(cluster, url):
    text = (cluster.folder / "mailer.toml").read_text()
    cluster.configure(f'{text}\n[traces]\nendpoint = "{url}"\n')


def test_from_the_producer_by_a_link_to_each_transaction(cluster, smtp, collector):
    smtp.gone |= {GONE}
    configure(cluster, collector.url)
    produce(cluster)
    worker = cluster.start("worker")
    eventually(lambda: cluster.final("spring") and cluster.final("send.hello"))
    worker.terminate()
    assert worker.wait(PATIENCE) == 0
    (enqueued,) = collector.spans("mailer.enqueue")
    (sent,) = collector.spans("mailer.send")
    batches = {attributes(one)["mailer.campaign"]: one for one in collector.spans("mailer.deliver")}
    for queued, campaign in ((enqueued, "spring"), (sent, "send.hello")):
        (link,) = batches[campaign].links
        assert (link.trace_id, link.span_id) == (queued.trace_id, queued.span_id)
    spring = batches["spring"]
    said = attributes(spring)
    assert (said["mailer.accepted"], said["mailer.rejected"]) == (2, 1)
    assert (said["mailer.account"], said["server.port"]) == ("primary", smtp.port)
    below = [
        one for one in collector.spans("mailer.transaction") if one.parent_span_id == spring.span_id
    ]
    assert sorted(attributes(one)["smtp.reply.code"] for one in below) == [250, 250, 550]
    assert [one.status.code for one in below if attributes(one)["smtp.stage"] == "RCPT"] == [2]
    for one in below:
        assert one.start_time_unix_nano <= one.end_time_unix_nano
        assert spring.start_time_unix_nano <= one.start_time_unix_nano


def test_no_address_and_no_words_of_a_server_leave_the_house(cluster, smtp, collector):
    smtp.gone |= {GONE}
    configure(cluster, collector.url)
    produce(cluster)
    cluster.start("worker")
    eventually(lambda: cluster.final("spring") and cluster.final("send.hello"))
    cluster.stop()  # which sends what was not sent yet
    eventually(lambda: len(collector.spans("mailer.transaction")) == 4)
    everything = b"".join(collector.raw)
    assert b"@example.org" not in everything
    assert b"no such" not in everything.lower()


def test_a_collector_that_is_away_holds_up_no_mail(cluster, smtp, monkeypatch):
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_TIMEOUT", "2"
    )  # seconds, which each process takes at its end
    configure(cluster, "http://127.0.0.1:9")
    produce(cluster)
    worker = cluster.start("worker")
    eventually(lambda: cluster.final("spring") and cluster.final("send.hello"))
    assert cluster.outcomes("spring") == {"accepted": 3}
    worker.terminate()
    assert worker.wait(PATIENCE) == 0


def test_an_applications_own_tracing_gets_the_spans(cluster):
    script = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
kept = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(kept))
with trace.get_tracer("shop").start_as_current_span("sign up"):
    exec(PRODUCER)
print(*(f"{one.name}<{bool(one.parent)}" for one in kept.get_finished_spans()), sep="|")
"""
    folder = cluster.folder / "templates/hello"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("hello")
    (folder / "body.html").write_text("<p>hello</p>")
    environment = os.environ | {"MAILER_CONFIG": str(cluster.folder / "mailer.toml")}
    command = [sys.executable, "-c", f"PRODUCER = {PRODUCER!r}\n{script}"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "mailer.enqueue<True|mailer.send<True|sign up<False"


def test_where_nobody_traces_no_exporter_is_loaded(tmp_path):
    script = (
        "import mailer.tasks, mailer.produce.send, sys; "
        "sys.exit('opentelemetry.exporter.otlp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False).returncode == 0
