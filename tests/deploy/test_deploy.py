"""What lies in deploy/ fits the program: metrics exist, files are valid, alerts are explained."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml

from mailer.config import Settings
from mailer.operate.figures import Figures
from mailer.web.metrics import exposition

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
ALERTS = DEPLOY / "prometheus/alerts.yml"
DASHBOARD = DEPLOY / "grafana/mailer.json"


def metrics():
    """The names that `/metrics` has, whatever their values are."""
    empty = Figures(
        {"queued": 0},
        {("accepted", "a"): 1},
        {"auth": 0},
        {"bulk": 0.0},
        {"bulk": 0},
        {},
        (),
        0.0,
        {"history": 0.0},
        {"hook": 1},
    )
    names = re.findall(r"^# TYPE (\S+) (\S+)$", exposition(empty).decode(), re.MULTILINE)
    return {name for name, _ in names} | workers_metrics()


@cache
def workers_metrics():
    """The names of the samples that a worker serves itself."""
    # In a process of its own, for prometheus_client then counts in files.
    script = (
        "from mailer.worker.telemetry import metrics as m\n"
        "m._REPLIES.labels('a', 'b', 'c'), m._BATCHES.labels('a'), m._LOST.labels('a')\n"
        "metrics = (m.Sweeps(), m._BATCHES, m._LOST, m._REPLIES, m._SEND_TO_ACCEPTED)\n"
        "print(*{s.name for m in metrics for f in m.collect() for s in f.samples})"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": folder}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
    return set(done.stdout.split())


def test_there_is_a_metric_of_all_that_operators_ask_for():
    assert metrics() >= {
        f"mailer_{name}"
        for name in (
            "messages_total",
            "recipients",
            "replies_total",
            "oldest_queued_seconds",
            "queued_batches",
            "connections",
            "logins_total",
            "account_running",
            "account_state",
            "dead_letters",
            "limit_used_ratio",
            "lease_losses_total",
            "sweep_seconds_sum",
            "events_lag_seconds",
            "send_to_accepted_seconds_bucket",
        )
    }


def asked_for(expressions):
    return {name for text in expressions for name in re.findall(r"\bmailer_\w+", text)}


def rules():
    return [
        rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
    ]


def test_alerts_ask_for_metrics_that_exist():
    assert asked_for(rule["expr"] for rule in rules()) <= metrics()


def test_every_alert_says_what_to_do():
    headings = set(
        re.findall(r"^### (\w+)$", (ROOT / "docs/operating.md").read_text(), re.MULTILINE)
    )
    assert headings == {rule["alert"] for rule in rules()}


def test_the_dashboard_shows_metrics_that_exist():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert asked_for(target["expr"] for panel in panels for target in panel["targets"]) <= metrics()


@pytest.mark.promtool
def test_prometheus_accepts_the_alerts():
    done = subprocess.run(
        [shutil.which("promtool"), "check", "rules", ALERTS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.promtool
def test_each_alert_fires_for_what_it_is_about_and_is_quiet_otherwise(tmp_path):
    for file in (ALERTS, Path(__file__).with_name("alerts.test.yml")):
        shutil.copy(file, tmp_path)
    done = subprocess.run(
        [shutil.which("promtool"), "test", "rules", "alerts.test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tried = set(re.findall(r"alertname: (\w+)", Path(tmp_path / "alerts.test.yml").read_text()))
    assert tried == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.stem)
def test_manifests_are_valid_by_the_schema_of_kubernetes(file):
    schema = json.loads((ROOT / "tests/schema/kubernetes.json").read_text())
    names = {"Deployment": "io.k8s.api.apps.v1.Deployment", "Service": "io.k8s.api.core.v1.Service"}
    for document in yaml.safe_load_all(file.read_text()):
        schema["$ref"] = f"#/$defs/{names[document['kind']]}"
        jsonschema.Draft202012Validator(schema).validate(document)
        document["spec"]["replicaz"] = 2
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate(document)


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.stem)
def test_manifests_run_without_privileges_and_stop_in_time(file):
    for document in yaml.safe_load_all(file.read_text()):
        assert {"apiVersion", "kind", "metadata", "spec"} <= document.keys()
        if document["kind"] != "Deployment":
            continue
        template = document["spec"]["template"]
        assert (
            document["spec"]["selector"]["matchLabels"].items()
            <= template["metadata"]["labels"].items()
        )
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["securityContext"]["readOnlyRootFilesystem"]
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}
            if "celery" in container["command"]:
                assert pod["terminationGracePeriodSeconds"] > Settings().worker.grace


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.stem)
def test_units_are_confined_and_stop_in_time(file):
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read_string(file.read_text())
    service = unit["Service"]
    assert service["User"] == "mailer"
    assert service["NoNewPrivileges"] == "yes"
    if "celery" in service["ExecStart"]:
        assert service["KillMode"] == "mixed"
        assert float(service["TimeoutStopSec"]) > Settings().worker.grace


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.stem)
@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
def test_systemd_understands_the_units(file, tmp_path):
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", file.read_text(), flags=re.MULTILINE)
    copy = tmp_path / file.name
    copy.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False
    )
    assert not [line for line in done.stderr.splitlines() if str(copy) in line or file.name in line]
