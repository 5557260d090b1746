"""`/feedback`: what a photo that was asked about really shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from embedding.images import Box
from service.auth import AsIndexer, AsReader
from service.dependencies import CurrentGate, CurrentWorkspace, GalleryName
from service.errors import FieldInvalid
from service.feedback.schemas import FeedbackAnswer, FeedbackList
from service.forms import content_type, json_object, label_or_unknown, read_form
from service.gallery.galleries import DEFAULT_GALLERY
from service.problems import PROBLEM_RESPONSES

__all__ = ["router"]

router = APIRouter(prefix="/feedback", responses=PROBLEM_RESPONSES)

_MAX_TEXT = 4096
_WORD: dict[str, Any] = {
    "label": {"type": "string", "description": "What it shows, whether the gallery has that label or not."},
    "unknown": {
        "type": "boolean",
        "default": False,
        "description": "In place of `label`: something that the gallery has not, and that has no name.",
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["recognition"],
                    "additionalProperties": False,
                    "properties": {
                        "recognition": {
                            "type": "string",
                            "description": "The `id` of a recognition, where the server keeps questions "
                            "(WHICHONE_KEEP_QUERIES).",
                        },
                        **_WORD,
                    },
                }
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "additionalProperties": False,
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        "box": {"type": "string", "description": "x0,y0,x1,y1 of the region that is meant."},
                        **_WORD,
                    },
                }
            },
        },
    }
}


@router.post("", status_code=201, dependencies=[AsIndexer], openapi_extra=_BODY)
async def give_feedback(
    request: Request, workspace: CurrentWorkspace, gate: CurrentGate, gallery: GalleryName = DEFAULT_GALLERY
) -> FeedbackAnswer:
    """Say what an answered question showed, or a photo shows. The gallery learns its confidence from that.

    The photo is not kept, and not enrolled. Of one question the last word counts. Say it of questions as they come,
    whether the answer was right or wrong: judged by its mistakes alone, a gallery thinks too little of itself.
    """
    feedback = workspace.feedback
    if content_type(request) == "application/json":
        body = await json_object(request, known=("recognition", *_WORD))
        recognition, label = _recognition(body), label_or_unknown(body, "feedback")
        said = await run_in_threadpool(feedback.about_recognition, gallery, recognition, label)
        return FeedbackAnswer.of(said)
    async with (
        gate.admit(request) as admission,
        read_form(request, required=("image",), optional=("box", *_WORD), most_photos=1, max_text=_MAX_TEXT) as form,
    ):
        label = form.label_or_unknown("feedback")
        text = form.text("box")
        box = None if text is None else Box.parse(text)
        [photo] = form.photos("image", most=1)
        [said] = await admission.recognize(lambda: feedback.about_photo(gallery, photo.read(), label, box=box))
    return FeedbackAnswer.of(said)


@router.get("", dependencies=[AsReader])
def list_feedback(workspace: CurrentWorkspace, gallery: GalleryName = DEFAULT_GALLERY) -> FeedbackList:
    """All that was said of the gallery's answers, newest first; up to a thousand."""
    return FeedbackList.of(workspace.feedback.all(gallery))


@router.delete("/{id}", status_code=204, dependencies=[AsIndexer])
def remove_feedback(
    workspace: CurrentWorkspace,
    id: str,  # noqa: A002  the path's word
    gallery: GalleryName = DEFAULT_GALLERY,
) -> None:
    """Take a word back."""
    workspace.feedback.remove(gallery, id)


def _recognition(body: Mapping[str, object]) -> str:
    id_ = body.get("recognition")
    if not isinstance(id_, str) or not id_:
        raise FieldInvalid(
            "`recognition` must be the id of an answer of POST /recognize; a photo is sent as multipart/form-data",
            field="recognition",
        )
    return id_
