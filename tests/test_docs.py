"""The documents say what is: their links lead somewhere, their commands and examples exist."""

import ast
import re
from pathlib import Path

import click
import pytest

import mailer
from mailer.cli.main import cli

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
