"""`mailer accounts`: the logins, their state, and how to check, stop and start them."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from mailer.cli.group import HelpfulGroup
from mailer.cli.output import as_json, moment, say, span, table
from mailer.cli.session import Session, pass_session
from mailer.config import Settings
from mailer.deliver import probe
from mailer.deliver.receivers.dns_records import Names
from mailer.deliver.receivers.looking import receivers_say
from mailer.errors import ConfigError, SubmissionError
from mailer.mail.counts import count, plural
from mailer.mail.receivers.finding import Finding
from mailer.mail.said import without_addresses
from mailer.operate.accounts import AccountOffice, Standing
from mailer.operate.health import forgetful
from mailer.smtp import AccountCheck
from mailer.worker import probe as operators


@click.group(cls=HelpfulGroup)
def accounts() -> None:
    """See which accounts run, check their logins, stop and start them.

    \b
    Example:
      mailer accounts list
      mailer accounts check primary
    """  # noqa: D301 - click's mark against rewrapping


@accounts.command(name="list", short_help="State, rate, what waits, and why.")
@click.option("--json", "json_", is_flag=True, help="Print a JSON array.")
@pass_session
def list_(session: Session, *, json_: bool) -> None:
    """List accounts: state, since when and why, effective rate, what waits.

    \b
    Example:
      mailer accounts list
    """  # noqa: D301
    found = list(AccountOffice(session.settings).standings())
    if json_:
        as_json([_record(one) for one in found])
    elif found:
        columns = ("account", "server", "state", "since", "rate", "waiting", "dead", "why")
        table(columns, [_line(one) for one in found])
    else:
        say("No accounts: add a table [accounts.primary] with a url to mailer.toml")


@accounts.command(short_help="Log in, say what the server offers, send nothing.")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--verbose", "-v", is_flag=True, help="Show the dialogue, without credentials.")
@click.option("--strict", is_flag=True, help="Exit with 1 also where receivers would refuse.")
@click.option(
    "--nameserver", metavar="IP[:PORT]", help="Ask this name server for SPF, DKIM, DMARC."
)
@click.option("--json", "json_", is_flag=True, help="Print a JSON array.")
@pass_session
def check(
    session: Session, /, *, names: tuple[str, ...], verbose: bool, json_: bool, **given: Any
) -> None:
    """Connect, verify TLS, log in, and say what the server offers; nothing is sent.

    Then says what Gmail, Yahoo and Outlook would object to: domains, signatures, DNS records.
    All accounts where none is named. Needs the passwords, and no Redis. Exits with 1 if a login fails.

    \b
    Example:
      mailer accounts check primary --verbose
    """  # noqa: D301
    settings = session.configured
    asked = Names(given["nameserver"])
    found: dict[str, list[Finding]] = {}
    trials: dict[str, AccountCheck] = {}
    for name in _named(settings, names):
        trials[name] = probe.check(settings, settings.account(name))
        found[name] = receivers_say(settings, settings.account(name), asked)
        if not json_:
            _show(name, trials[name], verbose=verbose)
            _object(found[name])
    if json_:
        as_json([_found(name, trial, found[name]) for name, trial in trials.items()])
    if session.local is None and (said := forgetful(settings)):
        say(f"mailer: {said}", err=True)
    failed = [name for name, trial in trials.items() if trial.judgement is not None]
    if failed:
        raise SubmissionError(f"{', '.join(failed)} cannot be used")
    refused = [name for name, said in found.items() if any(one.level == "error" for one in said)]
    if given["strict"] and refused:
        raise SubmissionError(f"receivers would refuse mail of {', '.join(refused)}")


@accounts.command(short_help="Log in once; let the account run again.")
@click.argument("name")
@pass_session
def start(session: Session, name: str) -> None:
    """Try one login on account NAME; if it succeeds, the account runs again on all workers.

    Then offers to replay the dead letters that its stop has left.

    \b
    Example:
      mailer accounts start primary
    """  # noqa: D301
    found = operators.start(session.settings, name)
    if found is None:
        raise SubmissionError(f"{name}: somebody else is trying it just now; see accounts list")
    if found.judgement is not None:
        raise SubmissionError(
            f"{name} stays as it was: {found.reason} "
            f"({found.judgement.action.value}, {found.judgement.rule})"
        )
    say(f"{name}: logged in, and runs again")
    if messages := AccountOffice(session.settings).dead_messages(name):
        command = session.command(f"dead replay --account {name}")
        say(f"{plural(messages, 'message')} lie among the dead letters: {command}")
        if sys.stdin.isatty() and click.confirm("Replay them now?"):
            _replay(session, name)


@accounts.command(short_help="Stop an account on all workers.")
@click.argument("name")
@pass_session
def stop(session: Session, name: str) -> None:
    """Stop account NAME on all workers; what it was to send waits.

    \b
    Example:
      mailer accounts stop primary
    """  # noqa: D301
    AccountOffice(session.settings).stop(name)
    say(f"{name}: stopped; go on with: {session.command(f'accounts start {name}')}")


def _replay(session: Session, name: str) -> None:
    from mailer.cli.dead import replay  # noqa: PLC0415 - where it was asked for only

    context = click.get_current_context()
    context.invoke(replay, account=name)
    del session


def _named(settings: Settings, names: tuple[str, ...]) -> Sequence[str]:
    if names or settings.accounts:
        return names or sorted(settings.accounts)
    raise ConfigError(
        "there are no accounts; add a table [accounts.primary] with a url to mailer.toml"
    )


def _show(name: str, trial: AccountCheck, *, verbose: bool) -> None:
    if verbose:
        for line in trial.dialogue:
            say(f"  {line}")
    if trial.judgement is not None:
        action, rule = trial.judgement.action.value, trial.judgement.rule
        say(f"{name}: {trial.place}: {trial.reason}")
        # What we found ourselves has no rule: it would be the reason once more.
        say(f"  {action}" if rule.startswith("local: ") else f"  {action} ({rule})")
        return
    login = f"logged in with {trial.mechanism}" if trial.mechanism else "no login"
    say(f"{name}: {trial.place}: {login} in {trial.seconds:.2f} s")
    say(f"  TLS      {trial.encryption or 'none'}")
    if trial.certificate:
        say(f"  names    {' '.join(trial.certificate)}")
    if trial.expires:
        say(f"  valid    until {trial.expires}")
    say(f"  offers   {' '.join(sorted(trial.offered.keywords)) or 'nothing'}")
    if trial.offered.size:
        say(f"  size     {count(trial.offered.size)} octets a message")


def _object(found: Sequence[Finding]) -> None:
    for finding in found:
        say(f"  {finding.level:<8} {finding.rule}: {finding}")


def _found(name: str, trial: AccountCheck, found: Sequence[Finding]) -> dict[str, object]:
    judgement = trial.judgement
    return {
        "account": name,
        "ok": judgement is None,
        "address": trial.place,
        "seconds": round(trial.seconds, 3),
        "tls": trial.encryption,
        "certificate_expires": trial.expires,
        "certificate_names": list(trial.certificate),
        "mechanism": trial.mechanism,
        "extensions": sorted(trial.offered.keywords),
        "size": trial.offered.size,
        "stage": trial.stage.value if trial.stage else None,
        "reply": str(trial.reply) if trial.reply else None,
        "action": judgement.action.value if judgement else None,
        "rule": judgement.rule if judgement else None,
        "receivers": [asdict(finding) for finding in found],
    }


def _record(one: Standing) -> dict[str, object]:
    return {
        "account": one.name,
        "server": _server(one),
        "state": one.state.state,
        "since": one.state.since or None,
        "until": one.state.until or None,
        "reason": one.state.reason or None,
        "reply": one.state.said.reply or None,
        "logins": one.state.logins_ok,
        "logins_failed": one.state.logins_failed,
        "share": one.pace.share,
        "rate": one.pace.rate,
        "connections": one.pace.connections,
        "paused_until": one.pace.until or None,
        "limits": [
            {"limit": use.limit, "used": use.used, "allowed": use.allowed} for use in one.usage
        ],
        "waiting": one.waiting,
        "dead": one.dead,
    }


def _line(one: Standing) -> list[object]:
    state = one.state
    return [
        one.name,
        _server(one),
        state.state,
        moment(state.since) if state.since else "",
        _rate(one),
        one.waiting,
        one.dead,
        _why(one),
    ]


def _server(one: Standing) -> str:
    return f"{one.configured.host}:{one.configured.port}" if one.configured else "not configured"


def _rate(one: Standing) -> str:
    """The configured rates, and what throttling has left of them."""
    configured = ", ".join(map(str, one.configured.rate)) if one.configured else ""
    if one.pace.share < 1:
        return f"{one.pace.share:.0%} of {configured or 'its pace'}"
    return configured


def _why(one: Standing) -> str:
    reasons = []
    if one.state.reason:
        said = without_addresses(one.state.said.reply)
        reasons.append(f"{one.state.reason}: {said}" if said else one.state.reason)
    now = time.time()
    if one.state.until > now:
        reasons.append(f"tried again in {span(one.state.until - now)}")
    if one.pace.until > now:
        reasons.append(f"paused for {span(one.pace.until - now)}: {one.pace.why}")
    full = [use.limit for use in one.usage if use.allowed is not None and use.used >= use.allowed]
    reasons += [f"{limit} used up" for limit in full]
    return "; ".join(reasons)
