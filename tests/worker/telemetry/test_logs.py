"""What a real worker writes into its log, in each format, and what it never writes there."""

import json
import logging
import re
import shlex

import pytest

from mailer.config.telemetry import Log
from mailer.worker.telemetry.logs import use_format
from tests.servers.waiting import PATIENCE, eventually

TOTAL = 30
GONE = "spring-3@example.org"
MESSAGE = re.compile(r"to=(\S+), relay=(\S+), account=primary, delay=([\d.]+), dsn=([\d.]*), ")


def run(cluster, smtp, chosen, *options):
    """Have a worker deliver a campaign with one refusal; returns the lines of its log."""
    smtp.gone |= {GONE}
    text = (cluster.folder / "mailer.toml").read_text()
    cluster.configure(f'{text}\n[log]\nformat = "{chosen}"\n')
    worker = cluster.start("worker", *options, wait=False)
    cluster.enqueue("spring", "primary", TOTAL)
    eventually(lambda: worker.poll() is not None or cluster.final("spring"))
    assert cluster.outcomes("spring") == {"accepted": TOTAL - 1, "rejected": 1}
    eventually(lambda: "batch 1 of spring" in cluster.log())
    worker.terminate()
    assert worker.wait(PATIENCE) == 0
    return [line for line in cluster.log().splitlines() if line.strip()]


def test_every_line_after_the_banner_is_json_and_says_campaign_batch_account_counts_and_seconds(
    cluster, smtp
):
    log = run(cluster, smtp, "json")
    first = next(number for number, line in enumerate(log) if line.startswith("{"))
    written = [line for line in log[first:] if not line.startswith("{")]
    assert [line for line in written if not line.startswith("worker:")] == [], (
        "Celery's own farewell"
    )
    lines = [json.loads(line) for line in log if line.startswith("{")]
    assert all(line["event"] for line in lines)
    (batch,) = [line for line in lines if line["logger"] == "mailer.batches"]
    assert batch["campaign"] == "spring"
    assert batch["batch"] == 1
    assert batch["account"] == "primary"
    assert (batch["accepted"], batch["rejected"]) == (TOTAL - 1, 1)
    assert 0 < batch["seconds"] < 30
    assert batch["level"] == "info"
    assert {"celery.app.trace"} <= {line["logger"] for line in lines}, "Celery's own lines, too"
    assert not [line for line in lines if line["logger"] == "mailer.messages"]


def test_logfmt_is_read_by_a_shells_rules(cluster, smtp):
    lines = [line for line in run(cluster, smtp, "logfmt") if "logger=mailer.batches" in line]
    (batch,) = [dict(pair.split("=", 1) for pair in shlex.split(line)) for line in lines]
    assert (batch["campaign"], batch["account"], batch["accepted"]) == ("spring", "primary", "29")
    assert batch["event"].startswith(
        "batch 1 of spring through primary: 29 accepted, 1 rejected in"
    )


def test_addresses_are_said_at_debug_alone(cluster, smtp):
    assert "@example.org" not in "\n".join(run(cluster, smtp, "text"))


def test_at_debug_each_message_has_a_line_as_a_mail_server_writes_it(cluster, smtp):
    lines = run(cluster, smtp, "text", "--loglevel", "DEBUG")
    found = {match[1]: (match, line) for line in lines if (match := MESSAGE.search(line))}
    assert len(found) == TOTAL
    match, line = found[GONE]
    assert match[2] == f"127.0.0.1:{smtp.port}"
    assert match[4].startswith("5.")
    assert "status=rejected" in line
    assert "reply=550" in line
    assert "message_id=<spring.3@shop.example>" in line
    assert all(float(one[3]) < 60 for one, _ in found.values())


@pytest.mark.parametrize("chosen", ["json", "logfmt"])
def test_foreign_text_forges_no_line_and_moves_no_terminal(chosen, caplog):
    logger, handler = logging.getLogger("tests.forged"), logging.StreamHandler()
    logger.handlers, logger.propagate = [handler], False
    use_format(logger, Log(format=chosen))
    record = logging.LogRecord(
        "tests.forged", logging.INFO, "f.py", 1, "said %s", ('x"\n\x1b[31m\ud800\u202e y',), None
    )
    line = handler.format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    line.encode("utf-8")
    if chosen == "json":
        assert json.loads(line)["event"] == 'said x"\\n\\x1b[31m\\ud800\\u202e y'
