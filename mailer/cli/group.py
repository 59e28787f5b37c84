"""Which commands there are: each in a module of its own, imported when it is asked for."""

import difflib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import click

_METRICS: Final = ("opentelemetry.metrics", "opentelemetry.sdk.metrics")
"""What redis-py loads where it is installed, for figures of its own that no command of ours makes."""

_SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Sending": {
        "init": (
            "init:init",
            "Write a folder to start from: mailer.toml, a template, a list of two.",
        ),
        "send": (
            "campaigns.send:send",
            "Queue campaign NAME for RECIPIENTS: a CSV or JSON Lines file, or -.",
        ),
        "run": (
            "campaigns.run:run",
            "Queue campaign NAME for RECIPIENTS and deliver it here, all embedded.",
        ),
        "preview": (
            "campaigns.preview:preview",
            "Print the message of template T as .eml, or show it.",
        ),
        "lint": ("campaigns.lint:lint", "Say what a mail expert would object to in TEMPLATE."),
    },
    "Watching": {
        "status": ("campaigns.status:status", "Show campaigns: outcomes, rate, time left."),
        "failures": (
            "campaigns.failures:failures",
            "List who of campaign NAME was not accepted, and why.",
        ),
        "trace": (
            "trace:trace",
            "Show every message to ADDRESS: when, and what the server said.",
        ),
        "export": (
            "campaigns.export:export",
            "Print every recipient of NAME, and what became of it.",
        ),
        "schedule": (
            "campaigns.control:schedule",
            "Let campaign NAME begin at another time, or now.",
        ),
        "pause": ("campaigns.control:pause", "Start no more message of campaign NAME for now."),
        "resume": ("campaigns.control:resume", "Go on with the paused campaign NAME."),
        "cancel": ("campaigns.control:cancel", "Send nothing more of campaign NAME, for good."),
    },
    "Forgetting": {
        "forget": ("forget:forget", "Take campaigns that are over out of Redis."),
        "erase": ("forget:erase", "Take one person out of everything but the suppression list."),
    },
    "Serving": {
        "web": ("web:web", "Serve the console, metrics, and what recipients and providers reach."),
    },
    "Mending": {
        "dead": ("dead:dead", "The dead letters: list, show, replay, purge."),
        "accounts": ("accounts:accounts", "The logins: list, check, start, stop."),
        "explain": (
            "explain:explain",
            "Say what a worker would do with a server's REPLY to STAGE.",
        ),
        "feedback": ("feedback:feedback", "What came back: bounces, complaints, auto-replies."),
        "suppress": ("suppress:suppress", "The addresses that never get mail."),
        "events": ("events:events", "What the application is told, and what it did not take."),
        "history": ("history:history", "What became of every message: the database of it."),
    },
}
NAMES = frozenset(name for section in _SECTIONS.values() for name in section)
_PLACES = {name: place for section in _SECTIONS.values() for name, (place, _) in section.items()}


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
        with _without_metrics():
            command: Any = getattr(import_module(f"mailer.cli.{module}"), attribute)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands section by section, without importing them."""
        del ctx
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, words) for name, (_, words) in commands.items()])


@contextmanager
def _without_metrics() -> Iterator[None]:
    """Let redis-py take OpenTelemetry for not installed: loading it costs a third of a command.

    Our traces load what they need when they are asked for. Whoever has set OpenTelemetry up in this
    process, or has loaded redis-py already, keeps what he has.
    """
    if any(name in sys.modules for name in (*_METRICS, "redis")):
        yield
        return
    sys.modules.update(dict.fromkeys(_METRICS))  # type: ignore[arg-type] # None: there is no such module
    try:
        yield
    finally:
        for name in _METRICS:
            del sys.modules[name]
