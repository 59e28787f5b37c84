"""What the history forgets: what is old, a campaign, a person."""

from sqlalchemy import Connection, CursorResult, delete, select

from mailer.history.folding import person
from mailer.history.schema import campaigns, events, messages


def drop_before(connection: Connection, at: float) -> int:
    """Delete messages whose newest event, and events that, happened before *at*; counts the messages."""
    connection.execute(delete(events).where(events.c.at < at))
    taken = connection.execute(delete(messages).where(messages.c.at < at))
    left = select(messages.c.campaign_id).distinct()
    empty = campaigns.c.id.not_in(left) & (campaigns.c.first_at < at)
    connection.execute(delete(campaigns).where(empty))
    return _number(taken)


def over(connection: Connection, before: float) -> list[str]:
    """The names of the campaigns of which nothing happened since *before*."""
    since = select(messages.c.campaign_id).where(messages.c.at >= before)
    wanted = (campaigns.c.first_at < before) & campaigns.c.id.not_in(since)
    return list(connection.execute(select(campaigns.c.name).where(wanted)).scalars())


def forget(connection: Connection, campaign: str) -> int:
    """Delete a campaign with all that is known of its messages; counts these."""
    number = select(campaigns.c.id).where(campaigns.c.name == campaign).scalar_subquery()
    connection.execute(delete(events).where(events.c.campaign_id == number))
    taken = connection.execute(delete(messages).where(messages.c.campaign_id == number))
    connection.execute(delete(campaigns).where(campaigns.c.name == campaign))
    return _number(taken)


def erase(connection: Connection, mailbox: str) -> int:
    """Delete every message to *mailbox*, with its events; counts the messages.

    Counts of campaigns are less by these afterwards: a name without its mailbox would be a trace, too.
    """
    found = connection.execute(
        select(messages.c.campaign_id, messages.c.position).where(
            messages.c.person == person(mailbox)
        )
    ).all()
    for campaign_id, position in found:
        for table in (events, messages):
            here = (table.c.campaign_id == campaign_id) & (table.c.position == position)
            connection.execute(delete(table).where(here))
    return len(found)


def _number(result: CursorResult[tuple[()]]) -> int:
    return result.rowcount
