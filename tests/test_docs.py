"""The documents say what is: their links lead somewhere, their commands and examples exist."""

import ast
import inspect
import re
from itertools import chain
from pathlib import Path
from typing import get_args

import click
import pytest
from prometheus_client.parser import text_string_to_metric_families as families
from pydantic import BaseModel

import mailer
from mailer.cli.main import cli
from mailer.config import Settings
from mailer.operate.figures import Figures
from mailer.web.metrics import exposition

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
COMMAND = re.compile(
    r"(?:^ {4}|`|&& )mailer ((?:--\w+ [^\s`…]+ )*)([a-z]+)(?: ([a-z]+))?", re.MULTILINE
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_links_lead_somewhere(document):
    missing = [
        target
        for target in LINK.findall(document.read_text())
        if not (document.parent / target).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_commands_exist(document):
    context = click.Context(cli)
    for _, name, inner in COMMAND.findall(document.read_text()):
        command = cli.get_command(context, name)
        assert command is not None, f"mailer {name}"
        if inner and isinstance(command, click.Group):
            assert command.get_command(context, inner), f"mailer {name} {inner}"


def test_reference_shows_every_command_and_option_of_the_group():
    text = (ROOT / "docs/cli.md").read_text()
    for name in cli.list_commands(click.Context(cli)):
        assert re.search(rf"`[^`]*\b{name}\b", text), name


def _anchors(document):
    """The anchors of headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        words = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        yield re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_anchors_of_links_are_headings(document):
    missing = []
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", document.read_text()):
        other = document.parent / target if target else document
        if other.suffix == ".md" and anchor not in _anchors(other):
            missing.append(f"{target}#{anchor}")
    assert missing == []


def _options(command):
    return {option for one in command.params for option in (*one.opts, *one.secondary_opts)}


def _options_of(words):
    """The options of a command line's group and command."""
    command, known = cli, _options(cli) | {"--help"}
    for word in words:
        inner = isinstance(command, click.Group) and command.get_command(click.Context(cli), word)
        if inner:
            command = inner
            known |= _options(command)
    return known


def _every_option(command=cli):
    found = _options(command) | {"--help"}
    if isinstance(command, click.Group):
        context = click.Context(cli)
        for name in command.list_commands(context):
            found |= _every_option(command.get_command(context, name))
    return found


# Of pip-compile, pytest, Celery, Flower, gunicorn and of scripts below benchmarks/.
FOREIGN = {
    *("--upgrade", "--long", "--destination", "--persistent", "--basic_auth"),
    *("--logfile", "--pairs", "--preload"),
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_options_exist(document):
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    missing = []
    for line in re.findall(r"(?:^ {4}(?:\$ )?|^\$ |`|&& |\| )mailer ([^`\n]*)", text, re.MULTILINE):
        words = re.split(r" [|&;>#]", line)[0].split()
        named = [
            found[0] for word in words if (found := re.match(r"--[a-z][\w-]*", word.lstrip("[(")))
        ]
        missing += [f"{line}: {name}" for name in named if name not in _options_of(words)]
    missing += set(re.findall(r"`(--[a-z][\w-]*)", text)) - _every_option() - FOREIGN
    assert missing == []


def _text():
    """All documents, but for the one that tells what was."""
    files = [*DOCUMENTS, *ROOT.glob("examples/*.md")]
    return "\n".join(one.read_text(encoding="utf-8") for one in files if one.name != "CHANGELOG.md")


def test_every_option_is_documented():
    text = _text()
    names = {one for one in _every_option() if one.startswith("--")} - {"--help", "--version"}
    assert [name for name in sorted(names) if not re.search(rf"{name}(?![\w-])", text)] == []


CALLS = (mailer.Campaign, mailer.send, mailer.send_mail, mailer.send_message, mailer.on_commit)
METHODS = (
    *(mailer.Campaign.enqueue, mailer.Campaign.enqueue_messages, mailer.Campaign.schedule),
    *(mailer.Attachment.from_path, mailer.Attachment.from_bytes, mailer.trace),
)


@pytest.mark.parametrize("call", [*CALLS, *METHODS], ids=lambda call: call.__qualname__)
def test_every_keyword_is_documented(call):
    text = _text()
    names = [one.name for one in inspect.signature(call).parameters.values() if one.name != "self"]
    required = {"name", "what", "call", "message", "messages", "recipients", "path"}
    missing = [
        name
        for name in names
        if name not in required and not re.search(rf"\b{name}\b ?=|[`(, ]{name}[`),]", text)
    ]
    assert missing == []


@pytest.mark.parametrize(
    "kind",
    [mailer.Campaign, mailer.Receipt, mailer.Status, mailer.Complaint],
    ids=lambda k: k.__name__,
)
def test_every_attribute_is_documented(kind):
    text = (ROOT / "docs/campaigns.md").read_text(encoding="utf-8")
    # `rehearsal` is the command line's, `leave_out` that of `enqueue`.
    names = {n for n in dir(kind) if not n.startswith("_")} - {"rehearsal", "leave_out", "campaign"}
    assert [name for name in sorted(names) if not re.search(rf"`{name}[`(]", text)] == []


def _sections():
    """The tables of docs/configuration.md, by the first word of their headings."""
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    return dict(
        re.findall(r"^## `\[+(\w+)[^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    )


def _tables(kind):
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    yield from chain.from_iterable(map(_tables, get_args(kind)))


@pytest.mark.parametrize(
    "name", [n for n, f in Settings.model_fields.items() if [*_tables(f.annotation)]]
)
def test_every_key_of_a_table_is_documented(name):
    section = _sections()[name]
    # Three kinds of secrets have three keys each, of which a row names the beginning.
    section += "".join(
        f" {start}_{end}"
        for start in re.findall(r"`(\w+)_…`", section)
        for end in ("env", "file", "command")
    )
    keys = {
        key for kind in _tables(Settings.model_fields[name].annotation) for key in kind.model_fields
    }
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", section)] == []


def test_every_metric_is_documented_and_the_other_way_round():
    nothing = Figures({}, {}, {}, {}, {}, {}, (), 0.0)
    served = {
        f"{one.name}_total" if one.type == "counter" else one.name
        for one in families(exposition(nothing).decode())
    }
    source = (ROOT / "mailer/worker/telemetry/metrics.py").read_text(encoding="utf-8")
    served |= set(
        re.findall(r'^ +(?:yield SummaryMetricFamily\()?"(mailer_\w+)",', source, re.MULTILINE)
    )
    text = (ROOT / "docs/web.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(mailer_\w+)", text, re.MULTILINE))
    assert {name.removesuffix("_total") for name in told} == {
        name.removesuffix("_total") for name in served
    }


PATH = re.compile(
    r"(?:mailer|tests|benchmarks|examples|deploy|docs)/[\w./-]+\.(?:py|lua|toml|md|ya?ml|json|service)\b"
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_files_that_are_named_exist(document):
    text = document.read_text(encoding="utf-8")
    if document.name == "CHANGELOG.md":
        pytest.skip("it names what was")
    # Paths of a machine (/srv/mailer/mailer.toml) are none of ours.
    named = {m[0] for m in PATH.finditer(text) if text[m.start() - 1] != "/"}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_python_is_valid_and_what_it_imports_exists(document):
    for code in re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mailer"):
                names = [one.name for one in node.names]
                home = __import__(node.module, fromlist=names)  # which imports submodules
                assert [name for name in names if not hasattr(home, name)] == []


@pytest.mark.parametrize("name", ["howto.md", "campaigns.md"])
def test_examples_run(name, mailer_outbox, tmp_path, monkeypatch):
    for template in ("newsletter", "newsletter_a", "newsletter_b", "bill"):
        folder = tmp_path / "templates" / template
        folder.mkdir(parents=True)
        (folder / "subject.txt").write_text(template)
        (folder / "body.txt").write_text("Dear {{ name }}")
    (tmp_path / "invoices").mkdir()
    (tmp_path / "invoices/4711.pdf").write_bytes(b"%PDF-1.7")
    monkeypatch.chdir(tmp_path)
    mailer.configure(mailer.load(environ={"MAILER_SENDER": "Shop <news@shop.example>"}))
    names = {}
    try:
        for code in re.findall(
            r"```python\n(.*?)```", (ROOT / "docs" / name).read_text(encoding="utf-8"), re.DOTALL
        ):
            exec(compile(code, name, "exec"), names)
        if "bills" in names:
            names["bills"].enqueue(
                [{"email": "ada@example.org", "name": "Ada", "invoice": "4711.pdf"}]
            )
            (bill,) = mailer_outbox[-1].iter_attachments()
            assert bill.get_filename() == "4711.pdf"
    finally:
        mailer.configure(None)
    assert len(mailer_outbox) == {"howto.md": 1001, "campaigns.md": 1}[name]


def test_the_distribution_has_one_name_everywhere():
    """``pip install mailer`` brings another project."""
    files = [*DOCUMENTS, *(ROOT / "mailer").rglob("*.py"), *ROOT.glob("examples/**/*.py")]
    wrong = [
        (file.name, found)
        for file in files
        for found in re.findall(
            r"pip install \W?mailer\b.*|'mailer\[\w+\]'", file.read_text(encoding="utf-8")
        )
    ]
    assert wrong == []


def test_readmes_python_is_valid_and_its_names_exist():
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    tree = ast.parse(example)
    names = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert names
    assert all(hasattr(mailer, name) for name in names)


def test_readme_is_a_screen_and_a_half():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100


def test_every_promise_of_the_makefile_has_its_target():
    text = (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "lint", "chaos", "bench", "clean"):
        assert re.search(rf"^{target}:", text, re.MULTILINE), target
    assert "make test" in (ROOT / ".ci/run").read_text()
