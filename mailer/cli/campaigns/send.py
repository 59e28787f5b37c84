"""`mailer send`: queue a campaign for the workers."""

from typing import Any

import click

from mailer.cli.campaigns import hindrances
from mailer.cli.campaigns import receipt as receipts
from mailer.cli.campaigns.campaign_options import (
    campaign,
    campaign_options,
    enqueued,
    refuse_example,
    rehearsed,
)
from mailer.cli.lists import rows
from mailer.cli.output import say
from mailer.cli.progress import ListBar, bars
from mailer.cli.session import Session, pass_session
from mailer.cli.typed.values import mailbox
from mailer.mail.counts import plural
from mailer.produce.trial import send_trial


@click.command()
@click.argument("name")
@click.argument("recipients", metavar="RECIPIENTS")
@campaign_options
@click.option("--dry-run", is_flag=True, help="Check and render every row; queue nothing.")
@click.option("--test-to", metavar="ADDRESS", help="Send the first rows' messages there instead.")
@click.option(
    "--rows",
    "number",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="How many, with --test-to.",
)
@click.option("--json", "json_", is_flag=True, help="Print the receipt as JSON.")
@pass_session
def send(  # noqa: PLR0913 - the options
    session: Session,
    /,
    name: str,
    recipients: str,
    *,
    dry_run: bool,
    test_to: str | None,
    number: int,
    json_: bool,
    **given: Any,
) -> None:
    """Queue campaign NAME for RECIPIENTS: CSV, Excel or JSON Lines with a column `email`, or `-`.

    All rows are checked before the first message is queued. Run again with the same NAME, it goes on
    where it was; nobody is queued twice. Workers (celery -A mailer worker) deliver.

    \b
    Example:
      mailer send spring-2026 --template newsletter --from "Shop <news@shop.example>" people.csv
      psql -c "copy (select email, name from people) to stdout csv header" |
        mailer send spring-2026 -t newsletter -f news@shop.example --at "08:00" -
    """  # noqa: D301 - click's mark against rewrapping
    if dry_run:
        made = campaign(session.settings, name, given)
        with bars() as progress:
            bar = progress.add_task("rendering", total=None)
            receipt = rehearsed(made, recipients, given, lambda n: progress.advance(bar, n))
        receipts.show(receipt, json_=json_, verb="could be queued")
        receipts.verdict(receipt)
        if not json_:
            hindrances.begins(made)
        return
    refuse_example(session.configured, given)
    if test_to:
        mailbox(test_to, "--test-to")
    made = campaign(session.settings, name, given)
    if test_to:
        listed = rows(recipients, given["encoding"])
        sent = send_trial(made, listed, number, test_to, session.settings)
        say(f"{plural(len(sent), 'test message')} queued for {test_to}; {name} is as it was")
        hindrances.warn(session, made)
        return
    with bars() as progress, hindrances.interruptible(session, made):
        receipt = enqueued(made, recipients, given, ListBar(progress))
    receipts.show(receipt, json_=json_)
    receipts.verdict(receipt)
    if not json_:
        hindrances.begins(made)
    hindrances.warn(session, made)
