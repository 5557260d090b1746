"""`/galleries/{name}/pins`: photos that a gallery has to answer in a certain way before it is published."""

from __future__ import annotations

from fastapi import APIRouter, Request

from service.auth import AsAdmin, AsReader
from service.dependencies import CurrentGate, CurrentWorkspace
from service.forms import read_form
from service.gallery import schemas
from service.problems import PROBLEM_RESPONSES

__all__ = ["router"]

router = APIRouter(prefix="/galleries/{name}/pins", responses=PROBLEM_RESPONSES)

_MAX_TEXT = 4096
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "additionalProperties": False,
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        "label": {"type": "string", "description": "What the photo must be known as."},
                        "unknown": {
                            "type": "boolean",
                            "default": False,
                            "description": "In place of `label`: the photo must not be known.",
                        },
                    },
                }
            }
        },
    }
}


@router.post("", status_code=201, dependencies=[AsAdmin], openapi_extra=_BODY)
async def add_pin(request: Request, workspace: CurrentWorkspace, gate: CurrentGate, name: str) -> schemas.PinAnswered:
    """Pin a photo: from now on no generation is published that answers it otherwise. Tells how it is answered now."""
    async with (
        gate.admit(request) as admission,
        read_form(
            request, required=("image",), optional=("label", "unknown"), most_photos=1, max_text=_MAX_TEXT
        ) as form,
    ):
        label = form.label_or_unknown("a pin")
        [photo] = form.photos("image", most=1)
        [(pin, answer)] = await admission.recognize(lambda: workspace.galleries.pin(name, photo.read(), label))
    return schemas.PinAnswered(**dict(schemas.PinInfo.of(pin)), answer=answer)


@router.get("", dependencies=[AsReader])
def list_pins(workspace: CurrentWorkspace, name: str) -> schemas.PinList:
    """The gallery's pins, oldest first."""
    return schemas.PinList(pins=[schemas.PinInfo.of(pin) for pin in workspace.pins.all(name)])


@router.delete("/{id}", status_code=204, dependencies=[AsAdmin])
def remove_pin(workspace: CurrentWorkspace, name: str, id: str) -> None:  # noqa: A002  the path's word
    """Remove a pin, and its photo unless an item shows the same."""
    workspace.pins.remove(name, id)
