"""Traces by OpenTelemetry, sent by OTLP over HTTP. Imported only when traces are asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from embedding.tracing import Value, traced_by
from service.observability.traces import RequestSpan
from service.version import version

__all__ = ["OtlpTraces"]

_EXPORT_S = 5
"""Seconds that a collector may take; the end of the server waits for it."""

_CONTINUED = (b"traceparent", b"tracestate")


class OtlpTraces:
    """The traces of one process: a span around each request, and one for each of its steps. Thread-safe.

    What is sampled, what the service is called and which headers the collector is sent follow OpenTelemetry's own
    variables (OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_HEADERS).

    Args:
        endpoint: whole URL that spans are posted to.
    """

    def __init__(self, endpoint: str) -> None:
        named = Resource({"service.name": "whichone", "service.version": version()})
        self._provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("whichone", version())
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, scope: Scope) -> Iterator[RequestSpan]:
        """A span around a request, under the one that its `traceparent` names; steps within become its children."""
        told = {str(name, "latin-1"): str(value, "latin-1") for name, value in scope["headers"] if name in _CONTINUED}
        with (
            self._tracer.start_as_current_span(
                scope["method"],
                context=self._propagator.extract(told),
                kind=SpanKind.SERVER,
                attributes={"http.request.method": scope["method"]},
            ) as span,
            traced_by(self),
        ):
            yield _RequestSpan(span)

    @contextmanager
    def span(self, name: str, attributes: dict[str, Value]) -> Iterator[None]:
        """See `embedding.tracing.Tracer`. An error's message stays out: it may repeat what a caller sent."""
        with self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_status(Status(StatusCode.ERROR))
                span.set_attribute("error.type", str(getattr(error, "code", type(error).__name__)))
                raise

    def record(self, name: str, seconds: float, attributes: dict[str, Value]) -> None:
        """See `embedding.tracing.Tracer`."""
        now = time.time_ns()
        self._tracer.start_span(name, attributes=attributes, start_time=now - int(seconds * 1e9)).end(now)

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        self._provider.shutdown()


class _RequestSpan:
    """See `RequestSpan`."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.trace_id = format(span.get_span_context().trace_id, "032x")

    def answered(self, *, method: str, route: str, status: int, request_id: str) -> None:
        self._span.update_name(f"{method} {route}")
        self._span.set_attributes(
            {"http.route": route, "http.response.status_code": status, "whichone.request_id": request_id}
        )
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))
