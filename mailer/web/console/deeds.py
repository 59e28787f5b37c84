"""The audit log: who did what, when, and what came of it."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mailer.operate import audit
from mailer.web.console.frame import page, settings_of, text_in

_SIZE: Final = 50
_PLACE: Final = re.compile(r"\d{1,20}-\d{1,20}")


def listed(request: Request) -> Response:
    """The newest acts."""
    before = text_in(request, "before")
    before = before if _PLACE.fullmatch(before) else ""
    found = audit.newest(settings_of(request), _SIZE + 1, before)
    more = found[_SIZE - 1].place if len(found) > _SIZE else ""
    return page(
        request, "audit.html", section="audit", deeds=found[:_SIZE], more=more, before=before
    )
