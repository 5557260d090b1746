"""Prometheus metrics of one process; of all processes where several serve (`service.observability.shared_metrics`).

Labels are bounded: routes are the templates of this program, methods are those of HTTP, galleries are the first
hundred by name that come. docs/operations.md lists every metric, and a test holds it to that.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from structlog.typing import FilteringBoundLogger

from service.observability.gauges import Gauges
from service.observability.known_galleries import KnownGalleries
from service.observability.observer import TurnedAway
from service.observability.shared_metrics import Refresher, SharedMetrics
from service.recognition.service import Recognition
from service.workspace import Workspace

__all__ = ["Metrics"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_STAGES = frozenset({"queue", "decode", "embed", "search", "verify", "total"})
_STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
_SCORE_BUCKETS = (-0.4, -0.2, -0.1, 0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
_SHARE_BUCKETS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_COSINE_BUCKETS = (0.0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9, 1.0)


class Metrics:
    """What is counted; an `Observer`. Thread-safe.

    Args:
        shared: folder where all processes of this server count, each in files of its own; None where one serves alone.
            prometheus_client must have been told of it before it was imported.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self.registry = CollectorRegistry()
        self._shared = None if shared is None else SharedMetrics(shared)
        self._known = KnownGalleries()
        self.gauges = Gauges(self.registry, self._known, several=shared is not None)
        self._refresher: Refresher | None = None
        self._requests = self._counter("whichone_requests", "Requests answered.", "method", "route", "status")
        self._seconds = self._histogram("whichone_request_seconds", "Time to answer a request.", "method", "route")
        self._stages = self._histogram(
            "whichone_stage_seconds", "Time of each stage of a recognition.", "stage", buckets=_STAGE_BUCKETS
        )
        self._verdicts = self._counter("whichone_verdicts", "Recognitions by verdict.", "gallery", "verdict")
        self._scores = self._histogram(
            "whichone_score", "Score of the best candidate.", "gallery", buckets=_SCORE_BUCKETS
        )
        self._confidences = self._histogram(
            "whichone_confidence", "Confidence of the best candidate.", "gallery", buckets=_SHARE_BUCKETS
        )
        self._penalties = self._histogram(
            "whichone_penalty",
            "Mean cosine of the photo to its nearest distractors.",
            "gallery",
            buckets=_COSINE_BUCKETS,
        )
        self._queued = self._histogram(
            "whichone_queue_seconds", "Time that photos waited for their turn.", "lane", buckets=_STAGE_BUCKETS
        )
        self._turned_away = self._counter("whichone_turned_away", "Photo work given up before its turn.", "lane", "why")
        self._batches = self._histogram(
            "whichone_embedding_batch_size", "Images that went through the model at once.", buckets=_BATCH_BUCKETS
        )
        self._embedding = self._histogram(
            "whichone_embedding_seconds", "Time of the model for one batch.", buckets=_STAGE_BUCKETS
        )

    def watch(self, workspace: Workspace, log: FilteringBoundLogger) -> None:
        """Report the workspace's galleries and model from now on, until `close`."""
        self.gauges.watch(workspace)
        if self._shared is not None:
            self._refresher = Refresher(self.gauges, log)
            self._refresher.start()

    def close(self) -> None:
        """End what runs in the background."""
        if self._refresher is not None:
            self._refresher.stop()
            self._refresher = None

    def answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def recognized(self, recognition: Recognition) -> None:
        """Count a verdict, the time of its stages, and what its best candidate looked like."""
        for stage, milliseconds in asdict(recognition.timing).items():
            if stage in _STAGES and (milliseconds or stage != "verify"):  # most recognitions do without
                self._stages.labels(stage).observe(milliseconds / 1000)
        verdict = recognition.answer.verdict
        gallery = self._known.name_of(recognition.gallery)
        self._verdicts.labels(gallery, verdict.verdict).inc()
        if verdict.candidates:
            self._scores.labels(gallery).observe(verdict.candidates[0].score)
            self._confidences.labels(gallery).observe(verdict.confidence)
            self._penalties.labels(gallery).observe(verdict.penalty)

    def queued(self, lane: str, seconds: float) -> None:
        """See `Observer`."""
        self._queued.labels(lane).observe(seconds)

    def turned_away(self, lane: str, why: TurnedAway) -> None:
        """See `Observer`."""
        self._turned_away.labels(lane, why).inc()

    def embedded(self, batch: int, seconds: float) -> None:
        """See `Observer`."""
        self._batches.observe(batch)
        self._embedding.observe(seconds)

    def render(self) -> bytes:
        """The text that Prometheus scrapes: of this process, or of all that share a folder."""
        self.gauges.refresh()
        return generate_latest(self.registry if self._shared is None else self._shared.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, *labels: str, buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS
    ) -> Histogram:
        return Histogram(name, meaning, labels, buckets=buckets, registry=self.registry)
