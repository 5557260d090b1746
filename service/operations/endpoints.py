"""`/healthz`, `/readyz`, `/metrics`, `/version`: open to all."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from service.dependencies import CurrentGate, CurrentMetrics, CurrentWorkspace
from service.problems import PROBLEM_RESPONSES
from service.version import version

__all__ = ["router"]

router = APIRouter(responses=PROBLEM_RESPONSES)


class Health(BaseModel):
    """The process answers."""

    status: str


class Readiness(BaseModel):
    """Model loaded, database answering, galleries in memory."""

    status: str
    model: str
    galleries: int


class VersionAnswer(BaseModel):
    """What runs here. `model_sha256` is the identity of the bundle."""

    version: str
    model: str
    model_sha256: str
    device: str
    precision: str


@router.get("/healthz")
async def healthz() -> Health:
    """Whether the process is alive."""
    return Health(status="ok")


@router.get("/readyz")
async def readyz(workspace: CurrentWorkspace) -> Readiness:
    """Whether requests can be answered now; 503 with the reason if not."""
    await run_in_threadpool(workspace.database.ping)
    return Readiness(status="ready", model=workspace.bundle.id, galleries=len(workspace.galleries.replicas()))


@router.get("/metrics", response_class=Response)
async def metrics(metrics: CurrentMetrics, gate: CurrentGate) -> Response:
    """Metrics for Prometheus."""
    text = await run_in_threadpool(metrics.render, inside=gate.inside)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


@router.get("/version")
async def get_version(workspace: CurrentWorkspace) -> VersionAnswer:
    """Which Whichone and which model this is."""
    embedder = workspace.embedder.embedder
    facts: dict[str, Any] = {"device": embedder.device, "precision": embedder.precision}
    return VersionAnswer(version=version(), model=workspace.bundle.id, model_sha256=workspace.bundle.sha256, **facts)
