"""Messages: found by address, Message-ID or campaign; one message's way, and what it looks like."""

from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from mailer.errors import CampaignNotFoundError, InputError, MailerError
from mailer.mail.event import CAME_BACK
from mailer.mail.status import Status
from mailer.operate import messages
from mailer.operate.trace import trace
from mailer.web.console.frame import Frame, number_in, page, refusal, settings_of, text_in
from mailer.web.console.mail_frame import mail_frame, seen_content

_OUTCOMES: Final = tuple(status.word for status in Status if status is not Status.TRANSMITTING)
_CAME_BACK: Final = tuple(CAME_BACK.values())
_MOST: Final = 200
_CAMPAIGNS: Final = 50
"""Campaigns in which a mailbox is looked for where there is no history, the newest."""


def listed(request: Request) -> Response:
    """What is searched: a mailbox or Message-ID over all campaigns, or the messages of a campaign."""
    settings = settings_of(request)
    what, campaign = text_in(request, "what"), text_in(request, "campaign")
    outcome = text_in(request, "outcome")
    outcome = outcome if outcome in _OUTCOMES + _CAME_BACK else ""
    found, fault, more = [], "", None
    try:
        if what:
            records = trace(_meant(what), settings, newest=_CAMPAIGNS)
            records = [
                one
                for one in records
                if campaign in ("", one.campaign) and outcome in ("", one.outcome, one.later)
            ]
            found = records[:_MOST]
        elif campaign:
            part = messages.page(settings, campaign, number_in(request, "start"), outcome)
            found, more = list(part.records), part.more
    except (InputError, CampaignNotFoundError) as exc:
        fault = str(exc)
    return page(
        request,
        "messages.html",
        section="messages",
        what=what,
        campaign=campaign,
        outcome=outcome,
        outcomes=_OUTCOMES,
        came_back=_CAME_BACK,
        found=found,
        fault=fault,
        more=more,
        start=number_in(request, "start"),
        campaigns=_CAMPAIGNS,
        has_history=settings.history.url is not None,
    )


def one(request: Request) -> Response:
    """One message's way, and what of it is still here."""
    settings = settings_of(request)
    campaign, position = _named(request)
    record = messages.message(settings, campaign, position)
    fault, content = "", None
    try:
        content = messages.content(settings, campaign, position)
    except MailerError as exc:
        fault = str(exc)
    return page(
        request,
        "message.html",
        section="messages",
        one=record,
        has_history=settings.history.url is not None,
        fault=fault,
        content=content,
        mail=seen_content(
            content, Frame(request).path(f"/messages/{quote(campaign, safe='')}/{position}/html")
        ),
    )


def framed(request: Request) -> Response:
    """The HTML of one message, for a sandboxed frame."""
    content = messages.content(settings_of(request), *_named(request))
    if content is None:
        return refusal(request, 404, "It is not here any more", "The message was sent, and went.")
    return mail_frame(request, content.octets)


def _meant(what: str) -> str:
    """A mailbox, or a Message-ID in its brackets, as they stand; what has no @ can be no mailbox."""
    return what if what.startswith("<") or "@" in what else f"<{what}>"


def _named(request: Request) -> tuple[str, int]:
    return request.path_params["campaign"], request.path_params["position"]
