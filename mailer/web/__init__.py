"""What is served over HTTP: health, metrics, the page for unsubscribing.

``mailer.web.app`` is the ASGI application by the configuration of this process; mount it in one's own, or
serve it with `mailer web`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.applications import Starlette

    app: Starlette

__all__ = ["app"]


def __getattr__(name: str) -> object:
    if name != "app":
        raise AttributeError(f"module 'mailer.web' has no attribute {name!r}")
    from mailer.config import load  # noqa: PLC0415 - importing the package alone must cost nothing
    from mailer.web.application import application  # noqa: PLC0415

    globals()["app"] = made = application(load())
    return made
