"""What receivers would object to in an account's mail: its domains, its signatures, the DNS."""

from collections.abc import Iterator

from mailer.config import Account, Settings
from mailer.deliver.dkim import Signer, signatures
from mailer.deliver.receivers.dns_records import Names
from mailer.errors import ConfigError
from mailer.mail.receivers.alignment import domain_of, organization
from mailer.mail.receivers.finding import Finding, Level
from mailer.mail.receivers.records import dkim_findings, dmarc_findings, spf_findings
from mailer.mail.receivers.setup import covered_not, sender_findings

_TRIAL = (
    b"From: %s\r\nList-Unsubscribe: <https://unsubscribe.example/>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nx\r\n"
)


def receivers_say(settings: Settings, account: Account, names: Names) -> list[Finding]:
    """Return what receivers would object to, the gravest first; nothing is sent.

    *names* answers for the DNS. A key that cannot be read is a finding, too.
    """
    found = list(_findings(settings, account, names))
    order = ("error", "warning", "advice", "unknown")
    return sorted(found, key=lambda finding: order.index(finding.level))


def _findings(settings: Settings, account: Account, names: Names) -> Iterator[Finding]:
    sender = account.sender or settings.sender
    if sender is None:
        do = "set sender to see what receivers would say"
        yield Finding("unknown", "sender", "no sender is configured", "", do)
        return
    return_path = settings.feedback.return_path or sender
    yield from sender_findings(sender, return_path, [key.domain for key in account.dkim])
    yield from _way_off(settings)
    yield from spf_findings(names.texts(domain_of(return_path)))
    yield from _signing(account, names)
    author = domain_of(sender)
    places = dict.fromkeys((author, organization(author)))
    yield from dmarc_findings([names.texts(f"_dmarc.{place}") for place in places])


def _way_off(settings: Settings) -> Iterator[Finding]:
    own = settings.unsubscribe
    # Whether there is a key is asked, and not which: its file may be the producers' alone.
    keyed = bool((own and own.key) or settings.feedback.key)
    url = (own and own.url) or (settings.web.url if keyed else None)
    if not url or (own and not own.one_click):
        wrong = "no one-click unsubscribing is configured; Gmail and Yahoo ask it of bulk mail"
        do = "set [unsubscribe] url, or [web] url and [unsubscribe] secret_file"
        yield Finding("advice", "one-click", wrong, "", do)


def _signing(account: Account, names: Names) -> Iterator[Finding]:
    for configured in account.dkim:
        try:
            signer = Signer(configured.domain, configured.selector, configured.key_file)
        except ConfigError as error:
            # A worker may read the file; one that it can read and not use stops its mail.
            level: Level = "unknown" if isinstance(error.__cause__, OSError) else "error"
            do = "run this where the workers run, or mend the file"
            yield Finding(level, "dkim", f"no look at a key: {error}", "", do)
            continue
        bare = covered_not(signatures([signer], _TRIAL % b"a@b.example").decode().partition(":")[2])
        if bare:
            wrong = f"signatures for {signer.domain} do not cover {' and '.join(bare)}"
            do = "let h= name both; else receivers show no button to unsubscribe"
            yield Finding("error", "one-click-signed", wrong, "", do)
        place = f"{signer.selector}._domainkey.{signer.domain}"
        yield from dkim_findings(names.texts(place), signer.key)
