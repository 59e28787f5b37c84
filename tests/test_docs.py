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
