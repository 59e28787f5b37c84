"""Which address is answered by what.

Every answer passes `mailer.web.safety`: size and time of what comes in are bounded there, and headers set
that forbid a browser to do more than show the page.
"""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from mailer.config import Settings
from mailer.web.health import healthz, readyz
from mailer.web.metrics import metrics
from mailer.web.safety import Safety


def application(settings: Settings) -> Starlette:
    """Make the ASGI application by *settings*."""
    made = Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ],
        middleware=[Middleware(Safety)],
    )
    made.state.settings = settings
    return made
