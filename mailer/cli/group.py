"""Which commands there are: each in a module of its own, imported when it is asked for."""

import difflib
from importlib import import_module
from typing import Any

import click

_SECTIONS: dict[str, dict[str, str]] = {
    "Sending": {
        "send": "mailer.cli.send:send",
        "run": "mailer.cli.run:run",
        "preview": "mailer.cli.preview:preview",
        "lint": "mailer.cli.lint:lint",
    },
    "Watching": {
        "status": "mailer.cli.status:status",
        "failures": "mailer.cli.failures:failures",
        "pause": "mailer.cli.control:pause",
        "resume": "mailer.cli.control:resume",
        "cancel": "mailer.cli.control:cancel",
    },
    "Mending": {
        "dead": "mailer.cli.dead:dead",
        "accounts": "mailer.cli.accounts:accounts",
        "explain": "mailer.cli.explain:explain",
        "suppress": "mailer.cli.suppress:suppress",
    },
}
_PLACES = {name: place for section in _SECTIONS.values() for name, place in section.items()}


class HelpfulGroup(click.Group):
    """A group of commands with a hint where a name is nearly right."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that *args* begin with; a near miss is named in the error."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            if near and not args[0].startswith("-"):
                text = f"there is no command {args[0]!r}; did you mean {near[0]!r}?"
                raise click.UsageError(text, ctx) from error
            raise


class MailerGroup(HelpfulGroup):
    """The commands of `mailer`, by section."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the sections."""
        del ctx
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        del ctx
        if cmd_name not in _PLACES:
            return None
        module, _, attribute = _PLACES[cmd_name].partition(":")
        command: Any = getattr(import_module(module), attribute)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands section by section."""
        for title, commands in _SECTIONS.items():
            rows = [
                (name, command.get_short_help_str(70))
                for name in commands
                if (command := self.get_command(ctx, name))
            ]
            with formatter.section(title):
                formatter.write_dl(rows)
