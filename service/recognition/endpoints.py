"""`POST /recognize` and `POST /recognize/batch`."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from embedding.errors import WhichoneError
from service.auth import AsRecognizer, Header, charge, require_reader
from service.dependencies import CurrentGate, CurrentMetrics, CurrentWorkspace, GalleryName
from service.gallery.enrolment import PhotoSource
from service.gallery.galleries import DEFAULT_GALLERY
from service.problems import PROBLEM_RESPONSES, problem_body, status_of
from service.recognition.questions import BATCH_BODY, BODY, Options, asked, asked_of_several
from service.recognition.schemas import BatchAnswer, RecognitionAnswer
from service.recognition.service import Recognition
from service.workspace import Workspace

__all__ = ["router"]

router = APIRouter(responses=PROBLEM_RESPONSES)

_Answered = tuple[Recognition, dict[str, Any]]


@router.post("/recognize", dependencies=[AsRecognizer], openapi_extra=BODY, response_model_exclude_unset=True)
async def recognize(
    request: Request,
    *,
    workspace: CurrentWorkspace,
    gate: CurrentGate,
    metrics: CurrentMetrics,
    key: Header,
    gallery: GalleryName = DEFAULT_GALLERY,
) -> RecognitionAnswer:
    """Which known instance does this photo show, or none of them?"""
    async with gate.admit(request) as admission, asked(request) as question:
        if question.options.explain:  # tells what the gallery holds: external ids, metadata
            await run_in_threadpool(require_reader, workspace, key)
        [photo] = question.photos
        [(recognition, answer)] = await admission.recognize(
            partial(_answer, workspace, gallery, photo, question.options)
        )
    metrics.recognized(recognition)
    request.state.verdict = recognition.answer.verdict.verdict
    return RecognitionAnswer.model_validate(answer)


@router.post(
    "/recognize/batch", dependencies=[AsRecognizer], openapi_extra=BATCH_BODY, response_model_exclude_unset=True
)
async def recognize_batch(
    request: Request,
    *,
    workspace: CurrentWorkspace,
    gate: CurrentGate,
    metrics: CurrentMetrics,
    key: Header,
    gallery: GalleryName = DEFAULT_GALLERY,
) -> BatchAnswer:
    """The same about several photos. Each is answered as if it were asked about alone, or has a problem of its own."""
    most = workspace.settings.max_images_per_request
    async with gate.admit(request) as admission, asked_of_several(request, most) as question:
        charge(request, len(question.photos) - 1)
        if question.options.explain:
            await run_in_threadpool(require_reader, workspace, key)
        await run_in_threadpool(workspace.galleries.replica, gallery)  # a gallery that is not there is no photo's fault
        works = [partial(_answer_or_error, workspace, gallery, photo, question.options) for photo in question.photos]
        answered = await admission.recognize(*works)
    request.state.photos = len(answered)
    results: list[dict[str, Any]] = []
    for one in answered:
        if isinstance(one, WhichoneError):
            body = problem_body(status_of(one), one.code, one.message, request.state.request_id, **one.details)
            results.append({"problem": body})
        else:
            metrics.recognized(one[0])
            results.append({"recognition": one[1]})
    return BatchAnswer.model_validate({"results": results})


def _answer(workspace: Workspace, gallery: str, photo: PhotoSource, options: Options) -> _Answered:
    recognition = workspace.recognition.recognize(
        gallery,
        photo.read(),
        box=options.box,
        top_k=options.top_k,
        explain=options.explain,
        search=options.search,
        wanted=options.wanted,
    )
    body = recognition.to_json()
    if options.explain:
        _explain(workspace, recognition.gallery, body)
    return recognition, body


def _answer_or_error(
    workspace: Workspace, gallery: str, photo: PhotoSource, options: Options
) -> _Answered | WhichoneError:
    """A photo that cannot be answered is told of where its answer would stand; a server that cannot answer any photo
    fails as it does for one."""
    try:
        return _answer(workspace, gallery, photo, options)
    except WhichoneError as error:
        if status_of(error) >= 500:
            raise
        return error


def _explain(workspace: Workspace, gallery: str, body: dict[str, Any]) -> None:
    """Add to each matched item what the gallery notes about it, and where its photo is."""
    matched = [item for candidate in body["candidates"] for item in candidate["items"]]
    rows = workspace.gallery.details(gallery, [item["id"] for item in matched])
    for item in matched:
        row = rows.get(item["id"])
        item["external_id"] = None if row is None else row.external_id
        item["metadata"] = None if row is None else row.item_metadata
        item["image"] = f"/index/{item['id']}/image?gallery={gallery}"
