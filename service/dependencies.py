"""What routes ask for, as `Annotated` aliases."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request

from service.gate import Gate
from service.metrics import Metrics
from service.workspace import Workspace

__all__ = ["CurrentGate", "CurrentMetrics", "CurrentWorkspace", "GalleryName"]


async def _workspace(request: Request) -> Workspace:
    workspace: Workspace = request.app.state.workspace
    return workspace


async def _gate(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


CurrentWorkspace = Annotated[Workspace, Depends(_workspace)]
CurrentGate = Annotated[Gate, Depends(_gate)]
CurrentMetrics = Annotated[Metrics, Depends(_metrics)]
GalleryName = Annotated[
    str,
    Query(
        alias="gallery", description="Name of the gallery: lower-case letters, digits, - and _.", examples=["default"]
    ),
]
