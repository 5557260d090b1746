"""`whichone index pin`, `pins`, `unpin`: photos that a gallery has to answer in a certain way."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from service.commands.folder import opened
from service.commands.terminal import note, print_json, stdout
from service.errors import FieldInvalid
from service.gallery.schemas import PinAnswered, PinInfo
from service.settings import Settings

__all__ = ["add_pin", "list_pins", "remove_pin"]


def add_pin(settings: Settings, photo: Path, *, gallery: str, label: str | None, unknown: bool, as_json: bool) -> None:
    """Pin a photo, and say how the gallery answers it now.

    Raises:
        FieldInvalid: neither a label nor `unknown`, or both; or the file cannot be read.
    """
    if (label is not None) == unknown:
        came = "both" if unknown else "neither"
        raise FieldInvalid(f"a pin needs --label NAME, or --unknown; {came} came", field="label")
    try:
        data = photo.read_bytes()
    except OSError as error:
        raise FieldInvalid(f"{photo} cannot be read: {error.strerror}", path=str(photo)) from error
    with opened(settings) as workspace:
        pin, answer = workspace.galleries.pin(gallery, data, label)
    if as_json:
        print_json(PinAnswered(**dict(PinInfo.of(pin)), answer=answer).model_dump(mode="json"))
        return
    stdout().print(f"pinned as {pin.id}", markup=False)
    if not answer.passes:
        note(f"as the gallery is now, {answer.sentence}: a new generation is published only if it is forced")


def list_pins(settings: Settings, *, gallery: str, as_json: bool) -> None:
    """The pins of a gallery, oldest first."""
    with opened(settings) as workspace:
        pins = [PinInfo.of(pin) for pin in workspace.pins.all(gallery)]
    if as_json:
        print_json({"gallery": gallery, "pins": [pin.model_dump(mode="json") for pin in pins]})
        return
    if not pins:
        note(f"gallery {gallery} has no pins; whichone index pin PHOTO --label NAME makes one")
    table = Table("id", "expected", "pinned", "sha256")
    for pin in pins:
        expected = "[dim]not known[/dim]" if pin.label is None else escape(pin.label)
        table.add_row(pin.id, expected, pin.created_at.isoformat()[:19], pin.sha256[:12])
    stdout().print(table)


def remove_pin(settings: Settings, id_: str, *, gallery: str, as_json: bool) -> None:
    """Remove a pin.

    Raises:
        UnknownPin: there is none of this id.
    """
    with opened(settings) as workspace:
        workspace.pins.remove(gallery, id_)
    if as_json:
        print_json({"removed": id_})
    else:
        stdout().print(f"pin {id_} is removed", markup=False)
