"""What receivers would object to in a campaign's finished message: who sends, who signs, its headers."""

from collections.abc import Sequence
from typing import cast

from mailer.compose.composer import Composer
from mailer.compose.lint import Finding, Level, gravest_first
from mailer.compose.lint import lint as look
from mailer.mail.receivers.setup import bulk_findings, sender_findings
from mailer.mail.recipients import Recipient


def lint_as_received(
    composer: Composer, recipient: Recipient, signing: Sequence[str]
) -> list[Finding]:
    """Return what `lint` objects to, and what receivers would, the gravest first.

    *signing* are the domains that the accounts sign for.
    """
    seen = look(composer, recipient)
    if any(finding.rule == "renders" for finding in seen):
        return seen
    received = _received(composer, recipient, signing)
    return gravest_first([*seen, *received])


def _received(composer: Composer, recipient: Recipient, signing: Sequence[str]) -> list[Finding]:
    message = composer.email(recipient)
    design, sender = composer.design, str(message["From"])
    # Without keys here the server may sign; the accounts' check says that, once.
    found = [
        one
        for one in sender_findings(sender, design.return_path or sender, signing)
        if one.rule != "dkim-here"
    ]
    if design.bulk:
        fields = {name.lower(): str(value) for name, value in message.items()}
        found += bulk_findings(fields, sender)
    return [Finding(cast("Level", one.level), one.rule, str(one), "campaign") for one in found]
