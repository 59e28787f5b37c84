"""``/healthz``: this process lives. ``/readyz``: what mail needs can be reached."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse

from mailer.operate.health import Check, readiness


async def healthz(_request: Request) -> PlainTextResponse:
    """Answer 200, whatever else is the matter: who restarts this process asks here."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> JSONResponse:
    """Answer 200 where all that mail needs is reachable, else 503; the body says what of it is not."""
    settings = request.app.state.settings
    checks = await run_in_threadpool(lambda: list(readiness(settings)))
    # What went wrong is for operators: an address or user in it is not for whoever can reach the port.
    found = {check.name: _word(check) for check in checks}
    return JSONResponse(
        found, 200 if all(check.ok or not check.needed for check in checks) else 503
    )


def _word(check: Check) -> str:
    if check.ok:
        return "ok"
    return "failed" if check.needed else "look"
