"""Traces of requests and jobs for OpenTelemetry: what took how long, and nothing of what is in a picture."""

import contextvars
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from unblur import __version__
from unblur.config.extras import install
from unblur.errors import MissingPackageError, UsageError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OfLibrary

P = ParamSpec("P")
T = TypeVar("T")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN = "http/protobuf"
FAILED = 500  # the first status that is the server's fault


class Span:
    """What is measured from its making to its end; without a provider it is nothing."""

    def __init__(self, of_library: "OfLibrary | None" = None) -> None:
        self._of_library = of_library

    def set(self, about: Mapping[str, object]) -> None:
        """Say something of it, by the attributes' names; what is empty is left out."""
        if self._of_library is not None:
            for name, value in about.items():
                if value not in (None, ""):
                    self._of_library.set_attribute(name, _plain(value))

    def rename(self, name: str) -> None:
        """Call it otherwise."""
        if self._of_library is not None:
            self._of_library.update_name(name)

    def fail(self, why: str = "") -> None:
        """Mark it as failed."""
        if self._of_library is not None:
            from opentelemetry.trace import Status, StatusCode

            self._of_library.set_status(Status(StatusCode.ERROR, why or None))

    def end(self) -> None:
        """End it, once."""
        if self._of_library is not None and self._of_library.is_recording():
            self._of_library.end()


class Phases:
    """Spans of which each ends where the next begins."""

    def __init__(self, traces: "Traces") -> None:
        self._traces, self._span = traces, Span()

    def next(self, name: str) -> None:
        """End the one before, and begin this one."""
        self._span.end()
        self._span = self._traces.begin(name)

    def end(self) -> None:
        """End the last one."""
        self._span.end()


class Traces:
    """Makes spans, each a part of the one around it; without a provider it makes none and costs nothing.

    A span is around what runs in its block, and in what `carried` was made of there, such as work of another thread.
    """

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider
        self._tracer: Any = provider.get_tracer("unblur", __version__) if provider else None

    def begin(self, name: str) -> Span:
        """Begin a span around nothing."""
        return Span(self._tracer.start_span(name)) if self._tracer else Span()

    @contextmanager
    def span(self, name: str, caller: Mapping[str, str] | None = None) -> Iterator[Span]:
        """Have a span around the block.

        `caller` has the headers of a request, of which W3C's traceparent says what it is part of.
        """
        if self._tracer is None:
            yield Span()
            return
        from opentelemetry.trace import SpanKind, use_span
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        of_caller = None if caller is None else TraceContextTextMapPropagator().extract(caller)
        kind = SpanKind.INTERNAL if caller is None else SpanKind.SERVER
        span = Span(made := self._tracer.start_span(name, of_caller, kind))
        # The words of an exception may tell of the upload: that it failed is enough.
        with use_span(made, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield span
            except BaseException as error:
                span.fail(type(error).__name__)
                raise

    @contextmanager
    def phases(self, first: str) -> Iterator[Phases]:
        """Have spans that follow each other in the block."""
        phases = Phases(self)
        phases.next(first)
        try:
            yield phases
        finally:
            phases.end()

    def close(self) -> None:
        """Send what has not been sent."""
        if self._provider is not None:
            self._provider.shutdown()


def carried(work: Callable[P, T]) -> Callable[P, T]:
    """Return work that runs, in whatever thread, within the span that is around this call."""
    context = contextvars.copy_context()

    def within(*args: P.args, **kwargs: P.kwargs) -> T:
        return context.run(work, *args, **kwargs)

    return within


def trace_request(span: Span, method: str, route: str, status: int, told: Mapping[str, object]) -> None:
    """Say of the span of a request what its line of the log says; `route` is the pattern of its address."""
    span.rename(f"{method} {route}")
    span.set({"http.request.method": method, "http.route": route, "http.response.status_code": status})
    span.set({f"unblur.{name}": value for name, value in told.items()})
    if status >= FAILED:
        span.fail()


def traces_of_environment(environment: Mapping[str, str] = os.environ) -> Traces:
    """Return what sends spans where OTEL_EXPORTER_OTLP_ENDPOINT says; where it says nothing, none are made.

    Raises:
        MissingPackageError: what sends them is not installed.
        UsageError: another protocol than HTTP is asked for.
    """
    if not any(environment.get(name) for name in ENDPOINTS):
        return Traces()
    asked = next((environment[name] for name in PROTOCOLS if environment.get(name)), SPOKEN)
    if asked != SPOKEN:
        msg = f"{asked}: traces are sent by {SPOKEN} alone; leave {PROTOCOLS[1]} out, and give the port that takes HTTP"
        raise UsageError(msg)
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        msg = f"{ENDPOINTS[0]} is set, and what sends traces is not installed: {install('opentelemetry')}"
        raise MissingPackageError(msg) from error
    name = environment.get("OTEL_SERVICE_NAME") or "unblur"
    provider = TracerProvider(resource=Resource.create({"service.name": name, "service.version": __version__}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)


def _plain(value: object) -> str | bool | int | float:
    return value if isinstance(value, str | bool | int | float) else str(value)
