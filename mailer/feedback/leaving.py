"""Which mail somebody gets no more who leaves the list of a campaign."""

from mailer.errors import PayloadError
from mailer.mail.barring.scopes import ALL, BULK
from mailer.store.campaigns import Campaigns


def leaving(campaigns: Campaigns, name: str) -> str:
    """The campaign's List-ID, where it has one and Redis still knows it; else all bulk mail."""
    try:
        mail = campaigns.policy(name).mail
    except PayloadError:  # a newer version's
        return BULK
    return mail if mail not in ("", ALL) else BULK
