"""``/hooks/<provider>``: what providers tell of bounces and complaints; recorded, then acknowledged."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mailer.errors import InputError, MailerError
from mailer.feedback.hooks import Hooks

_THREADS: Final = ThreadPoolExecutor(4, thread_name_prefix="mailer-hooks")


async def take(request: Request) -> Response:
    """Answer 204 when all is written down, 401 for a request that proves nothing, 503 to come again."""
    hooks: Hooks = request.app.state.hooks
    provider = request.path_params["provider"]
    if provider not in hooks:
        return PlainTextResponse("no such webhook is configured\n", 404)
    body = await request.body()
    try:
        await asyncio.get_running_loop().run_in_executor(
            _THREADS, hooks.take, provider, request.headers, body
        )
    except InputError as exc:
        return PlainTextResponse(f"{exc}\n", 401)
    except MailerError:  # Redis, or what proves it, is away: providers try again for hours
        return PlainTextResponse("not now\n", 503, {"Retry-After": "60"})
    return Response(status_code=204)
