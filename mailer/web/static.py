"""``/static/<version>/<name>``: the console's style sheet and script, for ever kept by browsers."""

import hashlib
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

_TYPES: Final = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_FILES: Final = {name: (files("mailer.web") / "static" / name).read_bytes() for name in _TYPES}

VERSION: Final = hashlib.sha256(b"".join(_FILES.values())).hexdigest()[:12]
"""Part of the address: another file is another address, and no cache is ever stale."""


async def static(request: Request) -> Response:
    """Answer with one of our files; one of another version is not kept by the browser."""
    name = request.path_params["name"]
    if name not in _FILES:
        return PlainTextResponse("no such file\n", 404)
    is_this = request.path_params["version"] == VERSION
    kept = "public, max-age=31536000, immutable" if is_this else "no-store"
    return Response(_FILES[name], media_type=_TYPES[name], headers={"Cache-Control": kept})
