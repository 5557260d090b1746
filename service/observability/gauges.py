"""What is so at this moment: galleries, queue, model, jobs, the process itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Literal

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from service.errors import DatabaseUnavailable
from service.observability.known_galleries import KnownGalleries
from service.version import version
from service.workspace import Workspace

__all__ = ["Gauges"]

_Across = Literal["liveall", "livesum", "livemax", "livemostrecent"]
"""How the values of several processes become one, or stay apart by `pid`."""


class Gauges:
    """Set when they are asked for, not when something happens. Thread-safe.

    Args:
        several: whether this process is one of several that a scrape tells of.
    """

    def __init__(self, registry: CollectorRegistry, known: KnownGalleries, *, several: bool) -> None:
        self._registry = registry
        self._known = known
        self._workspace: Workspace | None = None
        self._inside: Callable[[], int] | None = None
        self._waiting: Callable[[], Mapping[str, int]] | None = None
        self._jobs: Callable[[], Mapping[str, int]] | None = None
        self._process = _CopiedProcess(registry) if several else None
        if not several:
            ProcessCollector(registry=registry)
        gauge = self._gauge
        self._requests_inside = gauge(
            "whichone_photo_requests_inside", "Photo requests in work or waiting.", across="livesum"
        )
        self._queue_depth = gauge("whichone_queue_depth", "Photos that wait for their turn.", "lane", across="livesum")
        self._model = gauge(
            "whichone_model_info",
            "The model that is loaded; always 1.",
            *("version", "model", "sha256", "device", "precision"),
            across="livemax",
        )
        self._jobs_by_state = gauge("whichone_jobs", "Jobs in the database.", "state", across="livemostrecent")
        self._items = gauge("whichone_gallery_items", "Items and distractors in memory.", "gallery", "kind")
        self._generation = gauge("whichone_gallery_generation", "The generation in use; 0 for none.", "gallery")
        self._change = gauge("whichone_gallery_change", "The change that the gallery stands at here.", "gallery")
        self._lag = gauge(
            "whichone_replica_lag_changes", "Changes in the database that were not applied here yet.", "gallery"
        )
        self._vectors = gauge("whichone_index_vectors", "Vectors that a search goes through.", "gallery")
        self._unmerged = gauge(
            "whichone_index_unmerged_changes", "Changes laid over the generation since it was built.", "gallery"
        )
        self._bytes = gauge(
            "whichone_index_bytes",
            "What the index takes: searched and kept, in memory or mapped; mapped, the files' size.",
            *("gallery", "kind"),
        )

    def watch(self, workspace: Workspace) -> None:
        """Report its galleries and its model from now on."""
        self._workspace = workspace
        embedder = workspace.embedder.embedder
        self._model.labels(
            version(), workspace.bundle.id, workspace.bundle.sha256, embedder.device, str(embedder.precision)
        ).set(1)

    def watch_queue(self, inside: Callable[[], int], waiting: Callable[[], Mapping[str, int]]) -> None:
        """Report how many photo requests are inside the gate, and how many photos wait, by lane."""
        self._inside, self._waiting = inside, waiting

    def watch_jobs(self, by_state: Callable[[], Mapping[str, int]]) -> None:
        """Report how many jobs are in each state; `by_state` names every state, also those that no job is in."""
        self._jobs = by_state

    def refresh(self) -> None:
        """Set all of them."""
        if self._process is not None:
            self._process.refresh()
        if self._inside is not None and self._waiting is not None:
            self._requests_inside.set(self._inside())
            for lane, count in self._waiting().items():
                self._queue_depth.labels(lane).set(count)
        with suppress(DatabaseUnavailable):  # the counters are wanted most when the database is away
            for state, count in (self._jobs() if self._jobs is not None else {}).items():
                self._jobs_by_state.labels(state).set(count)
        if self._workspace is not None:
            self._refresh_galleries(self._workspace)

    def _refresh_galleries(self, workspace: Workspace) -> None:
        changes: dict[str, int] = {}
        with suppress(DatabaseUnavailable):
            changes = {row.name: row.change for row in workspace.galleries.rows()}
        for replica in sorted(workspace.galleries.replicas(), key=lambda replica: replica.name):
            name = replica.name
            standing = replica.standing()
            if standing is None or not self._known.knows(name):
                continue
            self._items.labels(name, "item").set(standing.items)
            self._items.labels(name, "distractor").set(standing.distractors)
            self._generation.labels(name).set(standing.generation)
            self._change.labels(name).set(standing.change)
            if name in changes:
                self._lag.labels(name).set(max(0, changes[name] - standing.change))
            self._vectors.labels(name).set(standing.index.items)
            self._unmerged.labels(name).set(standing.index.changes)
            self._bytes.labels(name, "searched").set(standing.index.memory_bytes)
            self._bytes.labels(name, "kept").set(standing.index.kept_bytes)
            self._bytes.labels(name, "mapped").set(standing.index.disk_bytes)

    def _gauge(self, name: str, meaning: str, *labels: str, across: _Across = "liveall") -> Gauge:
        return Gauge(name, meaning, labels, multiprocess_mode=across, registry=self._registry)


class _CopiedProcess:
    """prometheus_client's own figures of a process, as gauges: its collector tells of none but the one asked."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._source = ProcessCollector(registry=None)
        self._gauges: dict[str, Gauge] = {}

    def refresh(self) -> None:
        for family in self._source.collect():
            for sample in family.samples:
                if sample.name not in self._gauges:
                    self._gauges[sample.name] = Gauge(
                        sample.name, family.documentation, multiprocess_mode="liveall", registry=self._registry
                    )
                self._gauges[sample.name].set(sample.value)
