"""Which address is answered by what.

Every answer passes `mailer.web.safety`: size and time of what comes in are bounded there, and headers set
that forbid a browser to do more than show the page.
"""

from contextlib import suppress

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from mailer.config import Settings
from mailer.errors import MailerError
from mailer.feedback.hooks import Hooks
from mailer.feedback.returns import returns_of
from mailer.feedback.unsubscribing import Unsubscribing
from mailer.operate.history import opened
from mailer.web.console.access import Gate
from mailer.web.console.frame import PREFIX, compile_templates
from mailer.web.console.live import Streams
from mailer.web.console.routes import console, home
from mailer.web.health import healthz, readyz
from mailer.web.metrics import metrics
from mailer.web.one_click import OneClick
from mailer.web.safety import Safety
from mailer.web.static import static
from mailer.web.unsubscribe import show, style, take_off
from mailer.web.webhooks import take


def application(settings: Settings, *, open_console: bool = False) -> Starlette:
    """Make the ASGI application by *settings*. Raises `ConfigError` for a key that cannot be read.

    With *open_console*, and nobody configured who may see the console, it is everybody's who calls this
    machine by a name of its loopback.
    """
    made = Starlette(
        routes=[
            Route("/u/style.css", style),
            Route("/u/{token}", take_off, methods=["POST"]),
            Route("/u/{token}", show),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/hooks/{provider}", take, methods=["POST"]),
            Route("/", home),
            Route(PREFIX, home),
            Route(f"{PREFIX}/", home),
            Route("/static/{version}/{name}", static),
            console(Gate(settings, open_console=open_console)),
        ],
        middleware=[Middleware(Safety), Middleware(OneClick)],
    )
    made.router.redirect_slashes = False
    _make_ready(settings)
    made.state.settings = settings
    made.state.streams = Streams()
    made.state.hooks = Hooks(settings, returns_of(settings))
    made.state.unsubscribing = Unsubscribing(settings)
    return made


def _make_ready(settings: Settings) -> None:
    """Load now what the first to ask would wait for: half a second, most of it for SQL."""
    compile_templates()
    if settings.history.url is not None:
        with suppress(MailerError):  # what is wrong with it, the pages that need it say
            opened(settings).close()
