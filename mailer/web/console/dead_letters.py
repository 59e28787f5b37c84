"""Dead letters: how many of which kind, each with what was said; replay and purge of one or of a kind."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from time import monotonic, time
from typing import Final
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from mailer.errors import InputError, PayloadError
from mailer.mail.counts import count, plural
from mailer.operate import messages
from mailer.operate.accounts import AccountOffice
from mailer.operate.dead_letters import DeadLetter, DeadLetterOffice, Filter, Head, Moved, office
from mailer.web.console.answers import Form
from mailer.web.console.frame import Frame, number_in, page, refusal, settings_of, text_in
from mailer.web.console.mail_frame import mail_frame, seen_content

_SIZE: Final = 25
_HEADS: Final = 100
_WORKS_FOR: Final = 10.0
"""Seconds that one press of a button works; what is left is said, and wants another press."""

_ADVICE: Final = {
    "auth": "The server refused the login. Mend the password, start the account, then replay.",
    "account": (
        "The server wants the account itself changed: a sender to verify, an address to permit, a bill "
        "to pay. Mend it, start the account, then replay; or replay through another one."
    ),
    "exhausted": "Put off for longer than [retry] allows. Replay when the cause is gone, or purge.",
    "uncertain": (
        "The message was handed over, and the reply was lost: it may have arrived. Look whether it did: "
        "a replay sends it again."
    ),
    "poison": "Each worker that had it in hand died. Look at the message before you replay it.",
    "undecodable": "This version cannot read it. Update the workers, then replay.",
}
"""What to do, by reason; docs/dead-letters.md says more."""

_FIELDS: Final = ("reason", "account", "campaign")
_PLACES: Final = {"reason": "reasons", "account": "accounts", "campaign": "campaigns"}


def listed(request: Request) -> Response:
    """The kinds that there are, and the letters of those that are asked for."""
    at = office(settings_of(request))
    which = {field: text_in(request, field) for field in _FIELDS}
    groups = at.groups(time())
    fitting = [one for one in groups if all(v in ("", getattr(one, f)) for f, v in which.items())]
    start = number_in(request, "start")
    # Where the counts say that there is none, no letter is looked at.
    letters, more = at.page(_filter(which), start, _SIZE) if fitting else ([], None)
    totals = {field: Counter({getattr(one, field): 0 for one in groups}) for field in _FIELDS}
    for one in groups:
        for field in _FIELDS:
            totals[field][getattr(one, field)] += one.messages
    return page(
        request,
        "dead_letters.html",
        section="dead",
        which=which,
        fields=_PLACES,
        groups=fitting,
        advice={one.reason: _ADVICE[one.reason] for one in fitting if one.reason in _ADVICE},
        totals=totals,
        letters=letters,
        number=sum(one.letters for one in fitting),
        messages=sum(one.messages for one in fitting),
        start=start,
        more=more,
    )


def one(request: Request) -> Response:
    """One letter: what was said, with the end of the session, and to whom its messages go."""
    at = office(settings_of(request))
    letter = at.get(request.path_params["identifier"])
    heads, fault = _heads(at, letter)
    return page(
        request,
        "dead_letter.html",
        section="dead",
        letter=letter,
        advice=_ADVICE.get(letter.reason, ""),
        heads=heads,
        fault=fault,
    )


def message(request: Request) -> Response:
    """One message of a letter."""
    settings = settings_of(request)
    identifier, offset = request.path_params["identifier"], request.path_params["offset"]
    letter = office(settings).get(identifier)
    content = messages.in_letter(settings, identifier, offset)
    if content is None:
        raise InputError("the letter has no such message")
    path = Frame(request).path(f"/dead/{quote(identifier, safe='')}/{offset}/html")
    return page(
        request,
        "dead_message.html",
        section="dead",
        letter=letter,
        content=content,
        mail=seen_content(content, path),
    )


def framed(request: Request) -> Response:
    """The HTML of one message of a letter, for a sandboxed frame."""
    place = request.path_params["identifier"], request.path_params["offset"]
    content = messages.in_letter(settings_of(request), *place)
    if content is None:
        return refusal(request, 404, "It is not here any more", "The letter has no such message.")
    return mail_frame(request, content.octets)


def asked_to_purge(request: Request) -> Response:
    """The question before dead letters are removed for good."""
    return _question(request, "dead_purge.html")


def asked_to_replay(request: Request) -> Response:
    """The question through which other account, and in whose name, dead letters go out again."""
    standings = AccountOffice(settings_of(request)).standings()
    accounts = [(one.name, one.state.state) for one in standings if one.configured]
    return _question(request, "dead_replay.html", accounts=accounts)


def replay(request: Request, form: Form) -> str:
    """Queue the messages of one letter, or of all of a kind, again."""
    at = office(settings_of(request))
    account, sender = form.get("through", ""), form.get("sender", "").strip()
    how = f"{f' through {account}' if account else ''}{f' as {sender}' if sender else ''}"
    return _moved(
        at,
        form,
        lambda letters: at.replay(letters, account=account, sender=sender),
        f"will be sent again{how}",
    )


def purge(request: Request, form: Form) -> str:
    """Remove one letter, or all of a kind, for good."""
    at = office(settings_of(request))
    return _moved(at, form, at.purge, "dropped")


def page_of(_request: Request, form: Form) -> str:
    """Where one goes after an act: to all dead letters, or those of the kind that is left."""
    account = form.get("account")
    return f"/dead?{urlencode({'account': account})}" if account else "/dead"


def _question(request: Request, template: str, **values: object) -> Response:
    which = {field: text_in(request, field) for field in (*_FIELDS, "identifier")}
    number = _messages(request, which)
    return page(request, template, 200, section="dead", which=which, messages=number, **values)


def _moved(
    at: DeadLetterOffice,
    form: Form,
    move: Callable[[Iterable[DeadLetter]], Iterator[Moved]],
    done: str,
) -> str:
    one_of_them = form.get("identifier")
    if not one_of_them and not any(form.get(field) for field in _FIELDS):
        raise InputError("which ones? say a reason, an account or a campaign")
    letters = [at.get(one_of_them)] if one_of_them else at.find(_filter(form), time())
    moved: Counter[str] = Counter()
    number, until, whole = 0, monotonic() + _WORKS_FOR, True
    moving = move(letters)
    for one in moving:
        moved[one.how] += 1
        number += one.messages if one.how in ("replayed", "dropped") else 0
        if monotonic() > until:
            whole = False
            break
    moving.close()  # type: ignore[attr-defined] # a generator, which tidies the queue at its end
    return _told(moved, number, done, whole=whole)


def _told(moved: Counter[str], number: int, done: str, *, whole: bool) -> str:
    if moved["stopped"] and not number:
        raise InputError("the account is stopped: start it first, or send through another one")
    if moved["cancelled"] and not number:
        raise InputError("the campaign is cancelled: nothing of it is sent any more")
    parts = [f"{plural(number, 'message')} {done}"]
    names = {
        "stopped": "stay, since their account is stopped",
        "cancelled": "stay, since their campaign is cancelled",
        "settled": "had nobody left to send to",
        "gone": "were gone already",
        "unreadable": "cannot be read, and stay",
    }
    parts += [f"{count(moved[how])} {words}" for how, words in names.items() if moved[how]]
    if not whole:
        parts.append("and some are left: press again")
    return "; ".join(parts) + "."


def _filter(which: Form) -> Filter:
    reason, account, campaign = (which.get(field) or None for field in _FIELDS)
    return Filter(reason, account, campaign)


def _messages(request: Request, which: Form) -> int:
    at = office(settings_of(request))
    if which["identifier"]:
        return at.get(which["identifier"]).messages
    return sum(
        one.messages
        for one in at.groups(time())
        if all(which[field] in ("", getattr(one, field)) for field in _FIELDS)
    )


def _heads(at: DeadLetterOffice, letter: DeadLetter) -> tuple[list[tuple[str, str, int]], str]:
    """To whom, subject and size of the letter's first messages; or why they cannot be read."""
    try:
        found: list[Head] = list(at.heads(letter.identifier, _HEADS))
    except PayloadError as exc:
        return [], str(exc)
    return [(head.forward_path, _subject(head), head.size) for head in found], ""


def _subject(head: Head) -> str:
    return next((value for name, value in head.headers if name.lower() == "subject"), "")
