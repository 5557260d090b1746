"""Whether requests are traced, and by whom: nothing of OpenTelemetry is imported unless WHICHONE_TRACES asks for it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import Protocol
from urllib.parse import urlsplit

from starlette.types import Scope

from service.errors import InvalidSetting
from service.settings import Settings

__all__ = ["RequestSpan", "Traces", "require_tracing", "traces_of"]

_PATH = "/v1/traces"
"""Where OTLP over HTTP takes spans (OpenTelemetry Protocol Exporter, Endpoint URLs for OTLP/HTTP)."""

_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


class RequestSpan(Protocol):
    """A request that is traced.

    Attributes:
        trace_id: 32 hexadecimal digits, for the log.
    """

    trace_id: str

    def answered(self, *, method: str, route: str, status: int, request_id: str) -> None:
        """Say how it ended."""


class Traces(Protocol):
    """Traces requests. Thread-safe."""

    def request(self, scope: Scope) -> AbstractContextManager[RequestSpan]:
        """A span around a request; continues its caller's trace."""

    def close(self) -> None:
        """Send what is left."""


def require_tracing(settings: Settings) -> None:
    """Raises InvalidSetting where traces are asked for and cannot be made."""
    if settings.traces is not None and not all(map(_is_there, _NEEDED)):
        raise InvalidSetting(
            "WHICHONE_TRACES needs OpenTelemetry, which is not installed: `pip install 'whichone[tracing]'`, or unset "
            "WHICHONE_TRACES",
            setting="WHICHONE_TRACES",
        )


def traces_of(settings: Settings) -> Traces | None:
    """As the settings ask; None where they do not.

    Raises:
        InvalidSetting: see `require_tracing`.
    """
    if settings.traces is None:
        return None
    require_tracing(settings)
    from service.observability.otlp import OtlpTraces  # noqa: PLC0415  an optional extra

    url = settings.traces.get_secret_value()
    whole = url if urlsplit(url).path.strip("/") else url.rstrip("/") + _PATH
    return OtlpTraces(whole)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package that it lies in
        return False
