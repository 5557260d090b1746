"""Structured log lines on standard error: one logger an app, nothing configured globally."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from service.settings import Settings

__all__ = ["make_log", "uvicorn_log_config"]


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _renderers(settings: Settings) -> list[Processor]:
    if settings.log_format == "json":
        # Without the frames' variables: a key or a photo may be among them.
        traceback = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [structlog.processors.ExceptionRenderer(traceback), structlog.processors.JSONRenderer()]
    return [
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    ]


def make_log(settings: Settings) -> FilteringBoundLogger:
    """The log of one app."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[*_shared(), *_renderers(settings)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return log


def uvicorn_log_config(settings: Settings) -> dict[str, Any]:
    """The few lines of uvicorn and other libraries in the same form. uvicorn's access log is off: that of
    `service.telemetry` tells more."""
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(settings)],
        "foreign_pre_chain": _shared(),
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structured": formatter},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "structured", "stream": "ext://sys.stderr"}
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {"uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False}},
    }
