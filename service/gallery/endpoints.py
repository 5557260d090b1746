"""`/index`, `/labels`, `/galleries`."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from service.auth import AsIndexer, AsReader
from service.dependencies import CurrentGate, CurrentWorkspace, GalleryName
from service.errors import FieldInvalid
from service.forms import UploadSource, read_form
from service.gallery import schemas
from service.gallery.enrolment import Enrolled
from service.gallery.galleries import DEFAULT_GALLERY
from service.gallery.item_repository import ItemFilter
from service.gallery.service import ItemChange
from service.gallery.words import external_id_of, label_of, metadata_of
from service.problems import PROBLEM_RESPONSES
from service.settings import Settings

__all__ = ["router"]

router = APIRouter(responses=PROBLEM_RESPONSES)

_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
_TEXT = {"type": "string"}


def _form_body(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


@router.post(
    "/index",
    status_code=201,
    dependencies=[AsIndexer],
    openapi_extra=_form_body(
        {
            "label": _TEXT,
            "images": _FILES,
            "external_id": _TEXT,
            "metadata": {**_TEXT, "description": "A JSON object."},
        },
        ["label", "images"],
    ),
)
async def add_items(
    request: Request, workspace: CurrentWorkspace, gate: CurrentGate, gallery: GalleryName = DEFAULT_GALLERY
) -> schemas.EnrolledList:
    """Add photos of one label. Durable, and visible to every process, before it answers; all photos or none."""
    settings = workspace.settings
    most = settings.max_images_per_request
    async with (
        gate.admit(request) as admission,
        read_form(
            request,
            required=("label", "images"),
            optional=("external_id", "metadata"),
            most_photos=most,
            max_text=_max_text(settings),
        ) as form,
    ):
        label = label_of(form.required_text("label"))
        metadata = _metadata(form.text("metadata"), settings)
        external_id = form.text("external_id")
        photos = form.photos("images", most=most)
        return _enrolled(
            await admission.enrol(
                lambda: workspace.enrol(label, photos, gallery=gallery, external_id=external_id, metadata=metadata)
            )
        )


@router.post(
    "/index/distractors",
    status_code=201,
    dependencies=[AsIndexer],
    openapi_extra=_form_body({"images": _FILES}, ["images"]),
)
async def add_distractors(
    request: Request, workspace: CurrentWorkspace, gate: CurrentGate, gallery: GalleryName = DEFAULT_GALLERY
) -> schemas.EnrolledList:
    """Add photos that show nothing of the gallery."""
    most = workspace.settings.max_images_per_request
    text = _max_text(workspace.settings)
    async with (
        gate.admit(request) as admission,
        read_form(request, required=("images",), optional=(), most_photos=most, max_text=text) as form,
    ):
        photos: list[UploadSource] = form.photos("images", most=most)
        return _enrolled(await admission.enrol(lambda: workspace.enrol(None, photos, gallery=gallery)))


@router.get("/index", dependencies=[AsReader])
def list_items(  # noqa: PLR0917  FastAPI passes them by name
    workspace: CurrentWorkspace,
    gallery: GalleryName = DEFAULT_GALLERY,
    label: str | None = None,
    external_id: str | None = None,
    kind: Annotated[str | None, Query(pattern="^(item|distractor)$", description="item or distractor")] = None,
    after: Annotated[str | None, Query(max_length=20, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> schemas.ItemList:
    """The gallery's items and distractors, oldest first, a page at a time."""
    kept_id = None if external_id is None else external_id_of(external_id)
    wanted = ItemFilter(kind, None if label is None else label_of(label), kept_id)
    page = workspace.gallery.page(gallery, wanted, after=_cursor(after), limit=limit)
    return schemas.ItemList(
        items=[schemas.ItemInfo.of(row) for row in page.items],
        next=None if page.after is None else str(page.after),
        total=page.total,
    )


@router.get("/index/{id}", dependencies=[AsReader])
def get_item(workspace: CurrentWorkspace, id: str, gallery: GalleryName = DEFAULT_GALLERY) -> schemas.ItemInfo:  # noqa: A002  the path's word
    """One item."""
    return schemas.ItemInfo.of(workspace.gallery.item(gallery, id))


@router.get("/index/{id}/image", dependencies=[AsReader], response_class=Response)
def get_image(workspace: CurrentWorkspace, id: str, gallery: GalleryName = DEFAULT_GALLERY) -> Response:  # noqa: A002
    """The item's photo, byte for byte as it came."""
    photo, media_type = workspace.gallery.image(gallery, id)
    headers = {
        "Cache-Control": "private, max-age=86400",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(photo, media_type=media_type, headers=headers)


@router.patch("/index/{id}", dependencies=[AsIndexer])
def change_item(
    workspace: CurrentWorkspace,
    id: str,  # noqa: A002
    patch: schemas.ItemPatch,
    gallery: GalleryName = DEFAULT_GALLERY,
) -> schemas.ItemInfo:
    """Relabel an item, or replace its external id or metadata."""
    metadata = None
    if patch.metadata is not None:
        metadata = metadata_of(json.dumps(patch.metadata), workspace.settings.max_metadata_bytes)
    change = ItemChange(frozenset(patch.model_fields_set), patch.label, patch.external_id, metadata)
    return schemas.ItemInfo.of(workspace.gallery.change(gallery, id, change))


@router.delete("/index/{id}", status_code=204, dependencies=[AsIndexer])
def delete_item(workspace: CurrentWorkspace, id: str, gallery: GalleryName = DEFAULT_GALLERY) -> None:  # noqa: A002
    """Delete an item, and its photo unless another item shows the same."""
    workspace.gallery.delete(gallery, id)


@router.get("/labels", dependencies=[AsReader])
def list_labels(workspace: CurrentWorkspace, gallery: GalleryName = DEFAULT_GALLERY) -> schemas.LabelList:
    """Every label and how many items it has."""
    labels = workspace.gallery.labels(gallery)
    return schemas.LabelList(labels=[schemas.LabelCount(label=label, items=items) for label, items in labels])


@router.patch("/labels/{label:path}", dependencies=[AsIndexer])
def rename_label(
    workspace: CurrentWorkspace, label: str, patch: schemas.LabelPatch, gallery: GalleryName = DEFAULT_GALLERY
) -> schemas.LabelRenamed:
    """Rename a label; onto one that exists, the two are merged. Slashes may be sent plain or as %2F."""
    done = workspace.gallery.rename_label(gallery, label, patch.label)
    return schemas.LabelRenamed(label=done.label, items=done.items, dropped=done.dropped, merged=done.merged)


@router.delete("/labels/{label:path}", dependencies=[AsIndexer])
def delete_label(
    workspace: CurrentWorkspace, label: str, gallery: GalleryName = DEFAULT_GALLERY
) -> schemas.LabelRemoved:
    """Delete a label and all of its items."""
    removed = workspace.gallery.delete_label(gallery, label)
    return schemas.LabelRemoved(label=label_of(label), removed=removed)


def _enrolled(done: list[Enrolled]) -> schemas.EnrolledList:
    return schemas.EnrolledList(
        items=[
            schemas.EnrolledPhoto(id=one.id, label=one.label, sha256=one.sha256, duplicate=one.duplicate)
            for one in done
        ]
    )


def _metadata(text: str | None, settings: Settings) -> dict[str, Any] | None:
    return None if text is None else metadata_of(text, settings.max_metadata_bytes)


def _max_text(settings: Settings) -> int:
    return max(settings.max_metadata_bytes, 64 * 2**10)


def _cursor(after: str | None) -> int:
    if after is None:
        return 0
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise FieldInvalid("`after` must be the `next` of the page before", field="after")
    return int(after)
