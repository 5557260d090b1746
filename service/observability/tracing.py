"""The seam for traces (`embedding.tracing`), as the service uses it."""

from __future__ import annotations

from embedding.tracing import record, span

__all__ = ["record", "span"]
