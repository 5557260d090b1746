"""`/galleries`: what there is; calibrate, publish, roll back."""

from __future__ import annotations

from fastapi import APIRouter

from index.engines import spec_text
from index.generation import Generation
from service.auth import AsAdmin, Reader
from service.dependencies import CurrentWorkspace
from service.gallery import schemas
from service.gallery.learning import KEPT
from service.models import Gallery
from service.problems import PROBLEM_RESPONSES
from service.workspace import Workspace

__all__ = ["router"]

router = APIRouter(prefix="/galleries", responses=PROBLEM_RESPONSES)


@router.get("")
def list_galleries(workspace: CurrentWorkspace, key: Reader) -> schemas.GalleryList:
    """Every gallery that the key is for, and how it stands."""
    rows = [row for row in workspace.galleries.rows() if key is None or key.sees(row.name)]
    return schemas.GalleryList(galleries=[_info(workspace, row) for row in rows])


@router.post("/{name}/calibrate", dependencies=[AsAdmin])
def calibrate(
    workspace: CurrentWorkspace, name: str, body: schemas.CalibrateBody | None = None
) -> schemas.CalibrationAnswer:
    """Calibrate now, for what the gallery is calibrated for or something new; answers when it is done."""
    wanted = body or schemas.CalibrateBody()
    share = wanted.unknown_share if "unknown_share" in wanted.model_fields_set else KEPT
    tuning = workspace.galleries.learning.calibrate(name, wanted.far_budget, unknown_share=share)
    calibration = tuning.calibration
    return schemas.CalibrationAnswer(
        gallery=name,
        threshold=calibration.threshold,
        far_budget=calibration.far_budget,
        unknown_share=workspace.galleries.row(name).unknown_share,
        calibration=calibration.model_dump(mode="json"),
        choices=[schemas.ChoiceInfo.of(choice) for choice in tuning.body.choices],
    )


@router.post("/{name}/publish", dependencies=[AsAdmin])
def publish(workspace: CurrentWorkspace, name: str, body: schemas.PublishBody | None = None) -> schemas.PublishedAnswer:
    """Write the gallery as a new generation and serve it, with all later changes. Ends a rollback.

    One that breaks a pin is not published, unless it is forced.
    """
    wanted = body or schemas.PublishBody()
    published = workspace.galleries.publish(name, wanted.engine, force=wanted.force)
    return schemas.PublishedAnswer(
        **dict(_generation(name, published, pinned=False)),
        broken_pins=list(published.broken_pins),
        removed=list(published.removed),
    )


@router.post("/{name}/rollback", dependencies=[AsAdmin])
def rollback(
    workspace: CurrentWorkspace, name: str, body: schemas.RollbackBody | None = None
) -> schemas.GenerationAnswer:
    """Serve an older generation exactly as it is; changes go on being stored, and wait for the next publish."""
    number = None if body is None else body.generation
    return _generation(name, workspace.galleries.rollback(name, number), pinned=True)


def _info(workspace: Workspace, row: Gallery) -> schemas.GalleryInfo:
    sizes = workspace.gallery.sizes(row.name)
    return schemas.GalleryInfo(
        name=row.name,
        items=sizes.items,
        labels=sizes.labels,
        distractors=sizes.distractors,
        without_features=sizes.without_features,
        bundle_sha256=row.bundle_sha256,
        far_budget=row.far_budget,
        unknown_share=row.unknown_share,
        change=row.change,
        generation=row.generation,
        generations=workspace.galleries.generations(row.name),
        pinned=row.pinned is not None,
        choices=[schemas.ChoiceInfo.of(choice) for choice in workspace.galleries.learning.choices(row)],
        created_at=row.created_at,
    )


def _generation(name: str, generation: Generation, *, pinned: bool) -> schemas.GenerationAnswer:
    manifest = generation.manifest
    return schemas.GenerationAnswer(
        gallery=name,
        generation=generation.number,
        engine=spec_text(manifest.engine),
        recall=manifest.recall,
        change=manifest.change,
        items=manifest.items,
        labels=manifest.labels,
        distractors=manifest.distractors,
        pinned=pinned,
    )
