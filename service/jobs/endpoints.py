"""`POST /index/import`, `/jobs`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool

from service.auth import AsIndexer, AsReader
from service.dependencies import CurrentWorkspace, GalleryName
from service.errors import FieldInvalid, FieldMissing, UnsupportedBody
from service.forms import content_type, json_object
from service.gallery.galleries import DEFAULT_GALLERY
from service.gallery.words import gallery_name
from service.jobs import schemas
from service.jobs.service import Jobs, SourceKind
from service.jobs.upload import receive
from service.models import JobRow
from service.problems import PROBLEM_RESPONSES

__all__ = ["IMPORT_PATH", "router"]

IMPORT_PATH = "/index/import"
router = APIRouter(responses=PROBLEM_RESPONSES)

_FIRST_FAILURES = 20
_PATH_KINDS: tuple[SourceKind, ...] = ("folder", "csv")
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "archive": {
                            "type": "string",
                            "format": "binary",
                            "description": "A zip with one folder a label, or with an items.csv or labels.csv: "
                            "columns path,label and, if you like, external_id,metadata.",
                        },
                        "distractors": {"type": "string", "enum": ["true", "false"]},
                    },
                    "required": ["archive"],
                    "additionalProperties": False,
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "description": "Either `folder` or `csv`, a path beneath WHICHONE_IMPORT_ROOT.",
                    "properties": {
                        "folder": {"type": "string", "description": "One sub-folder a label."},
                        "csv": {"type": "string", "description": "Its paths count from its own folder."},
                        "distractors": {"type": "boolean"},
                    },
                    "additionalProperties": False,
                }
            },
        },
    }
}


@router.post(
    IMPORT_PATH,
    status_code=202,
    dependencies=[AsIndexer],
    openapi_extra=_BODY,
    responses={202: {"headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}}}},
)
async def start_import(
    request: Request, response: Response, workspace: CurrentWorkspace, gallery: GalleryName = DEFAULT_GALLERY
) -> schemas.JobInfo:
    """Add many photos, as a job in the background. A photo that cannot be used is reported and stops no other."""
    gallery_name(gallery)
    came = content_type(request)  # `service.limits` goes by it, too
    if came == "multipart/form-data":
        job = await _from_archive(request, workspace.jobs, gallery)
    elif came == "application/json":
        job = await _from_path(request, workspace.jobs, gallery)
    else:
        got = came or "a body without Content-Type"
        raise UnsupportedBody(
            "send multipart/form-data with field `archive`, or application/json with `folder` or `csv`; "
            f"got {got[:60]}",
            got=got[:60],
        )
    response.headers["Location"] = f"/jobs/{job.id}?gallery={gallery}"
    return schemas.JobInfo.of(job)


async def _from_archive(request: Request, jobs: Jobs, gallery: str) -> JobRow:
    length = request.headers.get("content-length", "")
    size = int(length) if length.isascii() and length.isdigit() else 0
    async with contextmanager_in_threadpool(jobs.uploading(size)) as path:
        upload = await receive(request, path)
        distractors = upload.texts.get("distractors", "false")
        if distractors not in {"true", "false"}:
            raise FieldInvalid("field `distractors` must be true or false", field="distractors")
        return await run_in_threadpool(
            jobs.start_archive, gallery, path, upload.name, distractors=distractors == "true"
        )


async def _from_path(request: Request, jobs: Jobs, gallery: str) -> JobRow:
    body = await json_object(request, known=(*_PATH_KINDS, "distractors"))
    named = [kind for kind in _PATH_KINDS if kind in body]
    if len(named) != 1:
        got = "both" if named else "neither"
        raise FieldMissing(f"send either `folder` or `csv`, a path beneath the import root; got {got}", field="folder")
    [kind] = named
    distractors = body.get("distractors", False)
    if not isinstance(body[kind], str):
        raise FieldInvalid(f"`{kind}` must be a string: a path beneath the import root", field=kind)
    if not isinstance(distractors, bool):
        raise FieldInvalid("`distractors` must be true or false", field="distractors")
    return await run_in_threadpool(jobs.start_path, gallery, kind, body[kind], distractors=distractors)


@router.get("/jobs", dependencies=[AsReader])
def list_jobs(
    workspace: CurrentWorkspace,
    gallery: GalleryName = DEFAULT_GALLERY,
    state: schemas.JobState | None = None,
    after: Annotated[str | None, Query(max_length=20, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> schemas.JobList:
    """The gallery's jobs, newest first, a page at a time."""
    page = workspace.jobs.page(gallery_name(gallery), state=state, before=_cursor(after), limit=limit)
    jobs = [schemas.JobInfo.of(row) for row in page.jobs]
    return schemas.JobList(jobs=jobs, next=None if page.before is None else str(page.before))


@router.get("/jobs/{id}", dependencies=[AsReader])
def get_job(workspace: CurrentWorkspace, id: str, gallery: GalleryName = DEFAULT_GALLERY) -> schemas.JobAnswer:  # noqa: A002  the path's word
    """How far a job is, and the first photos that it could not add."""
    return schemas.JobAnswer.with_failures(workspace.jobs.detail(gallery_name(gallery), id, limit=_FIRST_FAILURES))


@router.get("/jobs/{id}/failures", dependencies=[AsReader])
def list_failures(
    workspace: CurrentWorkspace,
    id: str,  # noqa: A002
    gallery: GalleryName = DEFAULT_GALLERY,
    after: Annotated[str | None, Query(max_length=20, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> schemas.FailureList:
    """The photos that a job could not add, and why, in the order of the import."""
    start = _cursor(after)
    detail = workspace.jobs.detail(gallery_name(gallery), id, after=-1 if start is None else start, limit=limit)
    return schemas.FailureList.of(detail)


@router.post("/jobs/{id}/cancel", dependencies=[AsIndexer])
def cancel_job(workspace: CurrentWorkspace, id: str, gallery: GalleryName = DEFAULT_GALLERY) -> schemas.JobInfo:  # noqa: A002
    """Cancel a job: at once, or within a photo or two where one is in work. What it added stays."""
    return schemas.JobInfo.of(workspace.jobs.cancel(gallery_name(gallery), id))


def _cursor(after: str | None) -> int | None:
    if after is None:
        return None
    if not (after.isascii() and after.isdigit() and len(after) < 10):
        raise FieldInvalid("`after` must be the `next` of the page before", field="after")
    return int(after)
