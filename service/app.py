"""The HTTP application: `create_app(settings)`, and no global state."""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter
from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from structlog.typing import FilteringBoundLogger

from service import problems
from service.audit.endpoints import router as audit
from service.console.endpoints import router as console
from service.feedback.endpoints import router as feedback
from service.feedback.kept import Forgetter
from service.gallery.calibrator import Calibrator
from service.gallery.endpoints import router as items
from service.gallery.gallery_endpoints import router as galleries
from service.gallery.measurer import Measurer
from service.gallery.merger import Merger
from service.gallery.pin_endpoints import router as pins
from service.gate import AtTheDoor, Gate
from service.headers import AnswerHeaders, allow_origins
from service.jobs.endpoints import IMPORT_PATH
from service.jobs.endpoints import router as jobs
from service.jobs.runner import JobRunner
from service.keys.uses import UseWriter
from service.limits import BodyLimit
from service.logs import make_log
from service.metrics import Metrics
from service.observability.traces import require_tracing, traces_of
from service.operations.endpoints import router as operations
from service.operations.shutdown import Shutdown
from service.query import refuse_unknown_query
from service.rates import RateLimiter
from service.recognition.endpoints import router as recognition
from service.settings import Settings
from service.telemetry import Telemetry
from service.turns import LANES
from service.workspace import Workspace

__all__ = ["create_app", "prepare"]


_KEY_CHECKS = 16
"""Keys that are looked up at a time, in threads of their own: slow calls must not hold up who asks to be let in."""

_SMALL_BODY = 2**20

_PHOTO_PATHS = frozenset({"/recognize", "/recognize/batch", "/index", "/index/distractors"})


class _Application(FastAPI):
    """FastAPI whose document says how errors come."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document; made once."""
        if self.openapi_schema is None:
            problems.describe(super().openapi())
        return super().openapi()


def create_app(settings: Settings, *, prepared: Workspace | None = None, shared_metrics: Path | None = None) -> FastAPI:
    """The application over one data folder. Everything it holds is opened at its start and closed at its end.

    Args:
        prepared: a workspace that `prepare` was called on, to be taken over, not opened a second time.
        shared_metrics: folder where several processes count (`service.observability.shared_metrics`).

    Raises:
        InvalidSetting: traces are asked for and cannot be made.
    """
    log = make_log(settings)
    workspace = prepared or Workspace(settings)
    metrics = Metrics(shared_metrics)
    traces = traces_of(settings)
    app = _Application(
        title="Whichone",
        version="1",
        summary="Which known instance does this photo show, or is it unknown?",
        lifespan=_lifespan(workspace, log, metrics),
        dependencies=[Depends(refuse_unknown_query)],
        docs_url=None,  # its page would load scripts from strangers
        redoc_url=None,
    )
    app.state.metrics = metrics
    app.state.traces = traces
    app.state.shutdown = Shutdown(settings.shutdown_notice)
    app.state.gate = Gate(workspace.turns, waiting=settings.max_waiting, deadline=settings.deadline, observer=metrics)
    metrics.gauges.watch_queue(
        lambda: app.state.gate.inside, lambda: {lane: workspace.turns.waiting(lane) for lane in LANES}
    )
    metrics.gauges.watch_jobs(workspace.jobs.by_state)
    app.state.rates = RateLimiter()
    app.state.key_checks = CapacityLimiter(_KEY_CHECKS)
    problems.install(app)
    for router in (recognition, items, jobs, galleries, pins, feedback, audit, operations):
        app.include_router(router)
    if settings.console:
        app.include_router(console)
    app.add_middleware(
        BodyLimit,
        max_bytes=settings.max_request_bytes,
        small_bytes=min(settings.max_request_bytes, max(_SMALL_BODY, 8 * settings.max_metadata_bytes)),
        timeout=settings.body_timeout,
        larger={IMPORT_PATH: settings.max_import_bytes},
    )
    app.add_middleware(AtTheDoor, gate=app.state.gate, paths=_PHOTO_PATHS)
    if settings.origins:
        allow_origins(app, settings.origins)
    app.add_middleware(Telemetry, log=log, metrics=metrics, traces=traces)
    app.add_middleware(AnswerHeaders)
    return app


def prepare(workspace: Workspace) -> None:
    """Make the workspace ready to serve; a first admin key that had to be made is printed, this once."""
    require_tracing(workspace.settings)
    workspace.prepare()
    given = workspace.settings.admin_key
    made = workspace.keys.ensure_admin(None if given is None else given.get_secret_value())
    if made is not None:
        print(
            f"whichone: the first admin key, shown this once: {made}\n"
            "whichone: send it as X-API-Key; `whichone keys` makes and revokes others",
            file=sys.stderr,
            flush=True,
        )
    workspace.start()


_Worker = Calibrator | UseWriter | Merger | Measurer | Forgetter | JobRunner


def _workers(workspace: Workspace, log: FilteringBoundLogger) -> list[_Worker]:
    """What goes on in the background, besides requests."""
    workers: list[_Worker] = [
        Calibrator(workspace.galleries, log),
        UseWriter(workspace.keys.uses, log),
        Merger(workspace.galleries, log, after=workspace.settings.merge_after),
        Measurer(workspace.galleries, log),
        Forgetter(workspace.kept_queries, log),
    ]
    return [*workers, JobRunner(workspace, log)] if workspace.settings.run_jobs else workers


@contextmanager
def _startup_left_alone() -> Iterator[None]:
    """Python's collector need not look through what the start has made again and again: 1 % of a busy server's time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _lifespan(
    workspace: Workspace, log: FilteringBoundLogger, metrics: Metrics
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        working: list[_Worker] = []
        try:
            if not workspace.started:
                await run_in_threadpool(prepare, workspace)
            app.state.workspace = workspace
            app.openapi()  # what every call looks into; making it takes longer than answering
            metrics.watch(workspace, log)
            workspace.embedder.observer = metrics
            for worker in _workers(workspace, log):
                worker.start()
                working.append(worker)
            log.info("ready", model=workspace.bundle.id, galleries=len(workspace.galleries.replicas()))
            with app.state.shutdown.announced(), _startup_left_alone():
                yield
        finally:
            for worker in reversed(working):
                await run_in_threadpool(worker.stop)
            await run_in_threadpool(metrics.close)
            if app.state.traces is not None:
                await run_in_threadpool(app.state.traces.close)
            await run_in_threadpool(workspace.close)

    return lifespan
