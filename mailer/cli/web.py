"""`mailer web`: serve health, metrics and what recipients and providers reach."""

import click

from mailer.cli.output import say
from mailer.cli.session import Session, pass_session
from mailer.errors import ConfigError


@click.command()
@click.option("--host", metavar="ADDRESS", help="Where to listen instead of [web] host.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Where to listen instead of [web] port."
)
@pass_session
def web(session: Session, host: str | None, port: int | None) -> None:
    """Serve /healthz, /readyz, /metrics until it is stopped.

    Listens on loopback unless told otherwise: put a proxy with TLS before it.

    \b
    Example:
      mailer web --port 8025
    """  # noqa: D301 - click's mark against rewrapping
    try:
        import uvicorn  # noqa: PLC0415 - an extra

        from mailer.web.application import application  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        raise ConfigError(f"{exc.name} is not installed: pip install 'celery-mailer[web]'") from exc
    settings = session.settings
    where = host or settings.web.host, settings.web.port if port is None else port
    say(f"listening on http://{where[0]}:{where[1]}")
    uvicorn.run(
        application(settings),
        host=where[0],
        port=where[1],
        log_level="warning",  # no line a request: addresses hold tokens
        access_log=False,
        server_header=False,
        timeout_keep_alive=15,
        limit_concurrency=1000,
    )
