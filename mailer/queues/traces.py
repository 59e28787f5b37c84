"""How OpenTelemetry follows mail from its producer to the mail server.

A producer's span is written down with each batch that it queues, as W3C's ``traceparent``; the worker's
span links to it. So the two belong together however long the batch waits and whoever queues it again.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from mailer.config.telemetry import Traces
from mailer.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link, Tracer

NAME: Final = "mailer"
_PARENT: Final = "traceparent"


def tracer(settings: Traces) -> "Tracer | None":
    """What makes spans in this process; None where nobody wants any.

    With an endpoint they go there, by an exporter of our own; else to what the application has set up.
    Raises `ConfigError` where an endpoint is configured and OpenTelemetry is not installed.
    """
    if settings.endpoint:
        return _provider(os.getpid(), settings.endpoint, settings.share).get_tracer(NAME)
    if "opentelemetry.trace" not in sys.modules:  # whoever has set it up has imported it
        return None
    from opentelemetry import trace  # noqa: PLC0415 - an extra, and only for who uses it

    # The redis client imports the API as well, where it is installed: that alone sets nothing up.
    is_set_up = not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    return trace.get_tracer(NAME) if is_set_up else None


def flush(settings: Traces) -> None:
    """The process ends: send what its spans have not been sent of yet."""
    if settings.endpoint:
        _provider(os.getpid(), settings.endpoint, settings.share).shutdown()


@lru_cache(maxsize=4)
def _provider(_pid: int, endpoint: str, share: float) -> "TracerProvider":
    """One for each process: the thread that exports does not survive a fork."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import (  # noqa: PLC0415
            ParentBased,
            TraceIdRatioBased,
        )
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f"traces.endpoint wants {exc.name}: pip install 'celery-mailer[otel]'"
        ) from None
    # $OTEL_SERVICE_NAME and $OTEL_RESOURCE_ATTRIBUTES win, as everywhere.
    resource = Resource({"service.name": NAME}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(share)), resource=resource)
    where = f"{endpoint.rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(where)))
    return provider


@contextmanager
def traced(settings: Traces, name: str, attributes: Mapping[str, str]) -> Iterator[str]:
    """Have a span for what is done within; gives its ``traceparent``, or "" where none is recorded."""
    made = tracer(settings)
    if made is None:
        yield ""
        return
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    with made.start_as_current_span(name, attributes=attributes) as span:
        carrier: dict[str, str] = {}
        if span.is_recording():
            TraceContextTextMapPropagator().inject(carrier)
        yield carrier.get(_PARENT, "")


def links(traceparent: str) -> "list[Link]":
    """The link to the span that *traceparent* names; none where it names none."""
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    context = TraceContextTextMapPropagator().extract({_PARENT: traceparent})
    queued = trace.get_current_span(context).get_span_context()
    return [trace.Link(queued)] if queued.is_valid else []
