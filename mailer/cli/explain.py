"""`mailer explain`: what a worker would do with a reply, and by which rule."""

from collections.abc import Iterator
from typing import Final

import click

from mailer.cli.lines import pasteable
from mailer.cli.output import as_json, say
from mailer.cli.session import Session, pass_session
from mailer.deliver import server
from mailer.deliver.barring.dropper import dropped
from mailer.deliver.heard import heard
from mailer.errors import InputError
from mailer.mail.barring.dropping import Policy
from mailer.mail.durations import spoken
from mailer.mail.said import Said
from mailer.smtp import Action, Reply, Stage, judge
from mailer.smtp.replies.actions import Cure, Next, OnAccount

_WITH_A_MESSAGE: Final = (Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.FINAL, Stage.ANY)
_CURES: Final = {
    Cure.OTHER_CONNECTION: "tried on another connection",
    Cure.NEW_LOGIN: "tried after a new login, once",
    Cure.OTHER_WAY: "tried once more in plain steps, in a transaction of its own",
}
_MESSAGES: Final = {
    Next.DONE: "accepted.",
    Next.AGAIN: "tried again later; the try counts ([retry] in mailer.toml says how often and how long).",
    Next.WAITS: "tried again when the account may go on; the try does not count.",
    Next.REJECTED: "rejected for good; it is not tried again.",
    Next.DEAD: "to the dead letters; `mailer dead replay` sends it once the account is mended.",
}
_ACCOUNTS: Final = {
    OnAccount.NOTHING: "goes on.",
    OnAccount.COOLS: "waits or slows down for a while, longer each time, and goes on by itself.",
    OnAccount.RESTS: "waits until its quota is renewed, and goes on by itself.",
    OnAccount.DOUBTED: "logs in once more; the second time in a short while, it stops.",
    OnAccount.STOPS: "stops on all workers until somebody has mended it: `mailer accounts start`.",
}
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
    at, heard_ = _stage(stage), _reply(reply)
    judgement = judge(at, heard_, provider, server.rules(session.configured))
    action = judgement.action
    if json_:
        as_json({"action": action.value, "rule": judgement.rule})
        return
    say(f"{action.value}\nrule: {judgement.rule}")
    if action is Action.OK and at is not Stage.FINAL:
        say("The next step follows.")
        return
    if at not in _WITH_A_MESSAGE:
        action = action.meaning.before_mail
    for sentence in _consequences(action, at):
        say(pasteable(sentence))
    if action.meaning.recipient is Next.REJECTED and at is Stage.RCPT:
        said = heard(at, heard_, action, judgement.rule)
        say(_about_the_mailbox(said, session.configured.feedback.dropping))


def _consequences(action: Action, stage: Stage) -> Iterator[str]:
    """Yield what follows, in sentences: for the message, for the account."""
    meaning = action.meaning
    if stage in _WITH_A_MESSAGE:
        if meaning.cure is not Cure.NONE:
            yield f"At once: {_CURES[meaning.cure]}; if that is in vain:"
        yield f"The message: {_MESSAGES[meaning.recipient]}"
    elif meaning.recipient is Next.DEAD:
        yield f"All that waits for the account: {_MESSAGES[Next.DEAD]}"
    else:
        yield "All that waits for the account: goes on waiting; no try counts."
    if meaning.is_account_wide or stage not in _WITH_A_MESSAGE:
        yield f"The account: {_ACCOUNTS[meaning.account]}"
    else:
        yield f"The account: {_ACCOUNTS[OnAccount.NOTHING]}"


def _about_the_mailbox(said: Said, policy: Policy) -> str:
    """Whether the recipient gets mail of later campaigns."""
    found = dropped(said, policy)
    if found is None:
        return "The recipient: gets other mail as before."
    reason, rule = found
    if rule.times == 1:
        return f"The recipient: is put on the suppression list ({reason})."
    return (
        f"The recipient: is put on the suppression list ({reason}) after {rule.times} such refusals, "
        f"the last {spoken(rule.span)} or more after the first."
    )


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
