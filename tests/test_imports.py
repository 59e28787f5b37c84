"""Importing any module of the package changes nothing of the process that imports it."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What runs when it is imported: a program, Alembic's environment and its scripts; and what a worker that
# is to count loads once it has a folder for it.
PROGRAMS = ("mailer.__main__", "mailer.history.migrations", "mailer.worker.telemetry.metrics")

CHECK = """
    import importlib, logging, signal, sys, threading, warnings
    import celery
    from celery import signals

    NAMES = [name for name in range(1, signal.NSIG) if name not in (signal.SIGKILL, signal.SIGSTOP)]

    def state():
        root = logging.getLogger()
        return {
            "current application": celery.current_app._get_current_object().main,
            "signal handlers": [signal.getsignal(n) for n in NAMES if n in signal.valid_signals()],
            "root logger": (root.level, list(root.handlers), logging.root.manager.disable),
            "celery's logger": (celery_log.level, list(celery_log.handlers), celery_log.propagate),
            "handlers of ours": [list(logging.getLogger(n).handlers) for n in ours_known()],
            "hooks": (sys.excepthook, threading.excepthook),
            "threads": threading.active_count(),
            "filters": list(warnings.filters),
        }

    def ours_known():
        return sorted(n for n in logging.root.manager.loggerDict if n.split(".")[0] == "mailer")

    celery_log = logging.getLogger("celery")
    shop = celery.Celery("shop")
    names = sys.argv[1:]
    before = state()
    for name in names:
        importlib.import_module(name)
    after = state()
    assert not any(after.pop("handlers of ours"))
    before.pop("handlers of ours")
    # Modules of others add filters of their own; what we would add names us.
    filters = [one for one in after.pop("filters") if one not in before.pop("filters", [])]
    assert not [one for one in filters if "mailer" in str(one)], filters
    assert before == after, {key for key in before if before[key] != after[key]}

    @celery.shared_task
    def mine():
        return 1

    assert mine.app is shop
    assert shop.tasks[mine.name].delay is not None
    assert mine.apply().get() == 1
"""


def modules():
    """Every module of the package by name."""
    for file in sorted((ROOT / "mailer").rglob("*.py")):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if not name.startswith(PROGRAMS):
            yield name


def folders():
    """The modules of each folder together: a process for each would take minutes."""
    found = {}
    for name in modules():
        found.setdefault(".".join(name.split(".")[:2]), []).append(name)
    return found


@pytest.mark.parametrize(("folder", "names"), folders().items(), ids=folders())
def test_importing_leaves_the_host_alone(folder, names, tmp_path):
    code = textwrap.dedent(CHECK)
    environment = {name: value for name, value in os.environ.items() if name[:7] != "MAILER_"}
    done = subprocess.run(
        [sys.executable, "-c", code, *names],
        cwd=tmp_path,
        env=environment | {"DJANGO_SETTINGS_MODULE": "nobody.there"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
