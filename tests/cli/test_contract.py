"""Every command that is promised is there, with its options and an example in its help."""

from pathlib import Path

import click
import pytest

from mailer.cli.main import cli

PROMISED = {
    "send": "--template --from --dry-run --attach --at --account --set --test-to --rows "
    "--skip-accepted-of --retry-failed-of --json",
    "run": "--template --from --at --account --set",
    "preview": "--row --set --open",
    "status": "--watch --json --since --state --all",
    "failures": "--csv --json --outcome",
    "schedule": "--at --now",
    "pause": "",
    "resume": "--accept-rate",
    "cancel": "--yes",
    "dead list": "--reason --account --campaign --older-than --newer-than",
    "dead show": "",
    "dead replay": "--reason --account --campaign --older-than",
    "dead purge": "--reason --account --campaign --older-than",
    "accounts list": "",
    "accounts check": "",
    "accounts start": "",
    "accounts stop": "",
    "explain": "--json --provider",
    "suppress add": "--days",
    "suppress remove": "",
    "suppress list": "",
    "suppress import": "",
    "suppress export": "",
    "init": "--preset",
    "trace": "--json",
    "export": "--outcome --csv --json",
    "forget": "--older-than --history --yes",
    "erase": "--yes --json",
    "feedback poll": "",
    "feedback read": "",
    "feedback explain": "--json",
    "history upgrade": "",
    "web": "--host --port",
}


def command(words):
    """The command that *words* name."""
    found, context = cli, click.Context(cli)
    for word in words.split():
        found = found.get_command(context, word)
        assert found is not None, words
    return found


@pytest.mark.parametrize("words", PROMISED)
def test_a_promised_command_has_its_options_and_shows_an_example(words):
    found = command(words)
    options = {name for parameter in found.params for name in parameter.opts}
    assert set(PROMISED[words].split()) <= options
    help_ = found.get_help(click.Context(found, info_name=f"mailer {words}"))
    assert f"mailer {words}" in help_.partition("Example:")[2]


def walk(group, context, words=()):
    for name in group.list_commands(context):
        one = group.get_command(context, name)
        if isinstance(one, click.Group):
            yield from walk(one, context, (*words, name))
        else:
            yield " ".join((*words, name)), one


def test_every_command_is_in_the_documents_and_has_an_example():
    text = (Path(__file__).parents[2] / "docs/cli.md").read_text()
    for words, one in walk(cli, click.Context(cli)):
        assert all(word in text for word in words.split()), words
        assert "Example" in (one.help or ""), words
