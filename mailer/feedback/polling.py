"""What came back is fetched from where the configuration says it lies."""

from mailer.config import Settings
from mailer.errors import ConfigError
from mailer.feedback.intake.files import messages
from mailer.feedback.intake.imap import Mailbox, fetch
from mailer.feedback.returns import Returns, Tally, returns_of
from mailer.queues.connections import Producer
from mailer.store.feedback.records import Feedback


def poll(settings: Settings) -> Tally:
    """Fetch and record what is new; each message is acknowledged once it is recorded.

    Raises `ConfigError` where nothing is configured, `IntakeError` for a mailbox that cannot be read,
    `LedgerUnavailableError` while Redis is away.
    """
    configured = settings.feedback
    if configured.imap is None and configured.maildir is None:
        raise ConfigError("nothing to poll: set feedback.imap or feedback.maildir in mailer.toml")
    returns, tally = returns_of(settings), Tally()
    if configured.maildir is not None:
        for found in messages(configured.maildir):
            tally.add(returns.take(found.octets, "maildir"))
            found.acknowledge()
    if configured.imap is not None:
        _imap(settings, configured.imap, returns, tally)
    return tally


def _imap(settings: Settings, url: str, returns: Returns, tally: Tally) -> None:
    record = Feedback(Producer(settings).client)
    password = settings.feedback.password.read()
    for one in fetch(Mailbox(url), password, record.bookmark(url)):
        tally.add(returns.take(one.octets, "imap"))
        record.set_bookmark(url, one.bookmark)
