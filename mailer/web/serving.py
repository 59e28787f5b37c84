"""How `mailer web` stops: live figures end at once, all else is finished."""

from typing import Any

import uvicorn
from starlette.applications import Starlette


class Server(uvicorn.Server):
    """uvicorn's server, which alone would wait for streams that go on until the browser leaves."""

    def __init__(self, config: uvicorn.Config, app: Starlette) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """Take nothing more, end the streams, finish the rest."""
        self._app.state.streams.end()
        await super().shutdown(sockets)
