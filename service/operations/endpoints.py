"""`/healthz`, `/readyz`, `/metrics`, `/version`: open to all."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST

from service.dependencies import CurrentMetrics, CurrentWorkspace
from service.operations.readiness import checks
from service.operations.schemas import CheckAnswer, Health, NotReady, Readiness, VersionAnswer
from service.operations.shutdown import Shutdown
from service.problems import PROBLEM_RESPONSES, problem
from service.version import version

__all__ = ["router"]

router = APIRouter(responses=PROBLEM_RESPONSES)

_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": NotReady, "description": "Not ready; `checks` says what is missing."}
}
_METRICS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus's text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


async def _shutdown(request: Request) -> Shutdown:
    shutdown: Shutdown = request.app.state.shutdown
    return shutdown


CurrentShutdown = Annotated[Shutdown, Depends(_shutdown)]


@router.get("/healthz")
async def healthz() -> Health:
    """Whether the process is alive."""
    return Health(status="ok")


@router.get("/readyz", response_model=Readiness, responses=_NOT_READY)
async def readyz(request: Request, workspace: CurrentWorkspace, shutdown: CurrentShutdown) -> Any:
    """Whether requests can be answered now: model loaded, database answering, every gallery's generation verified, not
    shutting down."""
    found = await run_in_threadpool(checks, workspace, shutdown)
    answers = [CheckAnswer(name=check.name, ok=check.ok, sentence=check.sentence) for check in found]
    failed = [check for check in found if not check.ok]
    if failed:
        return problem(
            503,
            failed[0].code or "not_ready",
            "; ".join(f"{check.name}: {check.sentence}" for check in failed),
            request.state.request_id,
            checks=[answer.model_dump() for answer in answers],
        )
    return Readiness(
        status="ready", model=workspace.bundle.id, galleries=len(workspace.galleries.replicas()), checks=answers
    )


@router.get("/metrics", response_class=Response, responses=_METRICS)
async def metrics(metrics: CurrentMetrics) -> Response:
    """Metrics for Prometheus, of every process of this server."""
    text = await run_in_threadpool(metrics.render)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


@router.get("/version")
async def get_version(workspace: CurrentWorkspace) -> VersionAnswer:
    """Which Whichone and which model this is."""
    embedder = workspace.embedder.embedder
    facts: dict[str, Any] = {"device": embedder.device, "precision": embedder.precision}
    return VersionAnswer(version=version(), model=workspace.bundle.id, model_sha256=workspace.bundle.sha256, **facts)
