"""`mailer explain`: what a worker would do with a reply, and by which rule."""

import click

from mailer.cli.output import as_json, say
from mailer.cli.session import Session, pass_session
from mailer.deliver import server
from mailer.errors import InputError
from mailer.smtp import Reply, Stage, judge

_STAGES = "connect EHLO STARTTLS AUTH MAIL RCPT DATA final any"


@click.command()
@click.argument("stage")
@click.argument("reply")
@click.option(
    "--provider", metavar="NAME", help="Ask the rules of this provider first; any name will do."
)
@click.option("--json", "json_", is_flag=True, help="Print action and rule as JSON.")
@pass_session
def explain(session: Session, stage: str, reply: str, provider: str | None, *, json_: bool) -> None:
    """Say what a worker would do with a server's REPLY to STAGE.

    STAGE is one of connect EHLO STARTTLS AUTH MAIL RCPT DATA final any. Lines of a longer reply are
    separated by \\n or real line breaks. Rules of mailer.toml are asked before the built-in ones.

    \b
    Example:
      mailer explain AUTH "535 5.7.8 Authentication credentials invalid"
      mailer explain final "554 5.2.0 quota exceeded" --provider "Microsoft 365" --json
    """  # noqa: D301 - click's mark against rewrapping
    judgement = judge(
        _stage(stage),
        _reply(reply),
        provider,
        server.rules(session.configured),
    )
    if json_:
        as_json({"action": judgement.action.value, "rule": judgement.rule})
    else:
        say(f"{judgement.action.value}\nrule: {judgement.rule}")


def _stage(word: str) -> Stage:
    try:
        return Stage.named(word)
    except ValueError:
        raise click.BadParameter(f"{word!r} is none of {_STAGES}", param_hint="STAGE") from None


def _reply(text: str) -> Reply:
    try:
        return Reply.parse(text.replace("\\r", "").replace("\\n", "\n"))
    except (ValueError, InputError):
        raise click.BadParameter(
            f'{text!r} is no reply; it begins with three digits, as in "550 5.1.1 No such user"',
            param_hint="REPLY",
        ) from None
