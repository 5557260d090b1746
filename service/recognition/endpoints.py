"""`POST /recognize`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from embedding.images import Box
from index.filter import Filter
from index.search_inside import SEARCHES, Search
from service.auth import AsRecognizer, Header, require_reader
from service.dependencies import CurrentGate, CurrentMetrics, CurrentWorkspace, GalleryName
from service.errors import FieldInvalid
from service.forms import content_type, json_object, photo_of_base64, read_form
from service.gallery.galleries import DEFAULT_GALLERY
from service.problems import PROBLEM_RESPONSES
from service.recognition.filtering import FILTER_SCHEMA, filter_of, parsed
from service.recognition.schemas import RecognitionAnswer
from service.recognition.service import MAX_TOP_K, Recognition, search_of
from service.workspace import Workspace

__all__ = ["router"]

router = APIRouter(responses=PROBLEM_RESPONSES)

_DEFAULT_TOP_K = 5
_MAX_TEXT = 256 * 2**10  # a thousand long labels
_OPTIONAL = ("box", "top_k", "explain", "search", *FILTER_SCHEMA)
_OPTIONAL_SCHEMA = {
    "box": {
        "type": "string",
        "description": "x0,y0,x1,y1 of the region to look at, in pixels of the upright photo, or all four within 0..1.",
    },
    "top_k": {"type": "integer", "minimum": 1, "maximum": MAX_TOP_K, "default": _DEFAULT_TOP_K},
    "explain": {
        "type": "boolean",
        "default": False,
        "description": "Tell more about each matched gallery photo, and give a receipt.",
    },
    "search": {
        "type": "string",
        "enum": list(SEARCHES),
        "default": SEARCHES[0],
        "description": "`inside` asks about five parts of the photo (or of `box`) as well: its middle and its corners, "
        "three fifths of each side. For things that are small in a cluttered photo. It costs five more embeddings, so "
        "about six times as long. A part answers in place of the whole when it is known even as one of six questions: "
        "a confidence of 0.99 then counts as 1 - 6 * 0.01. Where nothing is known, the part with the nearest candidate "
        "tells it.",
    },
    **FILTER_SCHEMA,
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "additionalProperties": False,
                    "properties": {"image": {"type": "string", "format": "binary"}, **_OPTIONAL_SCHEMA},
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["image_base64"],
                    "additionalProperties": False,
                    "properties": {"image_base64": {"type": "string", "format": "byte"}, **_OPTIONAL_SCHEMA},
                }
            },
        },
    }
}


@dataclass(frozen=True, slots=True)
class _Query:
    """A question, however it was sent."""

    photo: bytes
    box: Box | None
    top_k: int
    explain: bool
    search: Search
    wanted: Filter | None


@router.post("/recognize", dependencies=[AsRecognizer], openapi_extra=_BODY, response_model_exclude_unset=True)
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
    async with gate.admit():
        query = await _read(request)
        if query.explain:  # tells what the gallery holds: external ids, metadata
            await run_in_threadpool(require_reader, workspace, key)

        def work() -> tuple[Recognition, dict[str, Any]]:
            recognition = workspace.recognition.recognize(
                gallery,
                query.photo,
                box=query.box,
                top_k=query.top_k,
                explain=query.explain,
                search=query.search,
                wanted=query.wanted,
            )
            return recognition, _answer(workspace, recognition, explain=query.explain)

        recognition, answer = await gate.run(work)
    metrics.recognized(recognition)
    return RecognitionAnswer.model_validate(answer)


async def _read(request: Request) -> _Query:
    if content_type(request) == "application/json":
        body = await json_object(request, known=("image_base64", *_OPTIONAL))
        photo = photo_of_base64(body, "image_base64")
        options = {name: body[name] for name in _OPTIONAL if body.get(name) is not None}
    else:
        async with read_form(
            request, required=("image",), optional=_OPTIONAL, most_photos=1, max_text=_MAX_TEXT
        ) as form:
            photo = form.photos("image", most=1)[0].read()
            texts = {name: text for name in _OPTIONAL if (text := form.text(name)) is not None}
            options = {name: parsed(text, name) if name in FILTER_SCHEMA else text for name, text in texts.items()}
    return _Query(
        photo,
        _box(options["box"]) if "box" in options else None,
        _top_k(options.get("top_k", _DEFAULT_TOP_K)),
        _flag(options.get("explain", False)),
        search_of(str(options.get("search", SEARCHES[0]))),
        filter_of(options.get("labels"), options.get("where")),
    )


def _box(value: object) -> Box:
    if isinstance(value, list):
        value = ",".join(map(str, value))
    if not isinstance(value, str):
        raise FieldInvalid("`box` must be x0,y0,x1,y1", field="box", got=repr(value)[:60])
    return Box.parse(value)


def _top_k(value: object) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_TOP_K):
        raise FieldInvalid(
            f"`top_k` must be a whole number from 1 to {MAX_TOP_K}; got {text[:40]!r}", field="top_k", limit=MAX_TOP_K
        )
    return int(text)


def _flag(value: object) -> bool:
    flags = {"true": True, "1": True, "false": False, "0": False}
    text = str(value).strip().lower()
    if text not in flags:
        raise FieldInvalid(f"`explain` must be true or false; got {text[:40]!r}", field="explain")
    return flags[text]


def _answer(workspace: Workspace, recognition: Recognition, *, explain: bool) -> dict[str, Any]:
    body = recognition.to_json()
    if explain:
        _explain(workspace, recognition.gallery, body)
    return body


def _explain(workspace: Workspace, gallery: str, body: dict[str, Any]) -> None:
    """Add to each matched item what the gallery notes about it, and where its photo is."""
    matched = [item for candidate in body["candidates"] for item in candidate["items"]]
    rows = workspace.gallery.details(gallery, [item["id"] for item in matched])
    for item in matched:
        row = rows.get(item["id"])
        item["external_id"] = None if row is None else row.external_id
        item["metadata"] = None if row is None else row.item_metadata
        item["image"] = f"/index/{item['id']}/image?gallery={gallery}"
