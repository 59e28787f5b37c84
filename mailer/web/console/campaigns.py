"""The campaigns: which there are, how far each is, who was not accepted; pause, resume, cancel."""

from datetime import UTC, datetime
from time import time
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from mailer.config import Settings
from mailer.errors import InputError
from mailer.mail.counts import plural
from mailer.operate import campaigns
from mailer.operate.campaigns import Status
from mailer.operate.health import Standstill, standstill
from mailer.operate.refusals import refusals
from mailer.operate.states import STATES
from mailer.operate.timeline import timeline
from mailer.web.console.answers import Form
from mailer.web.console.frame import number_in, page, settings_of, text_in
from mailer.web.console.words import moment


def listed(request: Request) -> Response:
    """The list, the newest first."""
    name, state = text_in(request, "name"), text_in(request, "state")
    state = state if state in STATES else ""
    start = number_in(request, "start")
    settings = settings_of(request)
    found = campaigns.page(settings, start=start, name=name, state=state)
    return page(
        request,
        "campaigns.html",
        section="campaigns",
        found=found,
        name=name,
        state=state,
        start=start,
        states=STATES,
        idle=idle(settings, *found.campaigns),
    )


def one(request: Request) -> Response:
    """One campaign."""
    settings = settings_of(request)
    status = campaigns.status(settings, request.path_params["campaign"])
    return page(
        request,
        "campaign.html",
        section="campaigns",
        one=status,
        refusals=refusals(settings, status),
        timeline=timeline(settings, status),
        policy=campaigns.policy(settings, status.campaign),
        idle=idle(settings, status),
    )


def idle(settings: Settings, *shown: Status) -> Standstill | None:
    """Why nothing of them is sent, where somebody waits for it."""
    now = time()
    return standstill(settings) if any(campaigns.may_be_sent(one, now) for one in shown) else None


def asked_to_cancel(request: Request) -> Response:
    """The question before a campaign is cancelled."""
    status = campaigns.status(settings_of(request), request.path_params["campaign"])
    return page(request, "campaign_cancel.html", section="campaigns", one=status)


def pause(request: Request, _form: Form) -> str:
    """Start no message more for now."""
    if not campaigns.pause(settings_of(request), request.path_params["campaign"]):
        return "It is over: nothing to pause."
    return "Paused: workers start no more messages of it."


def resume(request: Request, form: Form) -> str:
    """Go on; where the form says so, whatever comes back."""
    accept = form.get("accept_rate") == "yes"
    name = request.path_params["campaign"]
    campaigns.resume(settings_of(request), name, accept_rate=accept)
    return "Resumed: workers go on with it."


def cancel(request: Request, _form: Form) -> str:
    """Send nothing more, for good."""
    settings, name = settings_of(request), request.path_params["campaign"]
    number = campaigns.cancel(settings, name)
    if number is None:
        return "It is over: nothing to cancel."
    said = f"Cancelled: {plural(number, 'recipient')} will get nothing any more."
    held = campaigns.held(settings, name)
    return f"{said} {held.capitalize()}." if held else said


def schedule(request: Request, form: Form) -> str:
    """Let it begin at another time, or now; what is left of one that has begun waits until then."""
    begins = time() if form.get("now") else _moment(form.get("at", ""))
    settings, name = settings_of(request), request.path_params["campaign"]
    campaigns.schedule(settings, name, begins)
    has_begun = campaigns.status(settings, name).started
    what = "What is left of it waits until" if has_begun else "It begins on"
    if form.get("now"):
        return "What is left of it goes on now." if has_begun else "It begins now."
    return f"{what} {moment(begins)}."


def _moment(text: str) -> float:
    """What a field for date and time holds, in UTC. Raises `InputError`."""
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        raise InputError("when? give date and time, such as 2026-05-01T08:00") from None


def page_of(request: Request, _form: Form) -> str:
    """Where one goes after an act."""
    return f"/campaigns/{quote(request.path_params['campaign'], safe='')}"
