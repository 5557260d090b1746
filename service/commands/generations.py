"""`whichone index build`, `verify`, `rollback`: a gallery's generations on disk."""

from __future__ import annotations

from typing import Any

from index.engines import spec_text
from index.generation import Generation
from service.commands.folder import opened
from service.commands.gallery import PhotosLost
from service.commands.terminal import note, print_json, stdout
from service.errors import PinsBroken
from service.settings import Settings
from service.workspace import Verification

__all__ = ["build", "roll_back", "verify"]


def build(settings: Settings, *, gallery: str, engine: str | None, force: bool, as_json: bool) -> None:
    """Publish the gallery as a new generation.

    Raises:
        PinsBroken: it breaks pins, and is not forced.
    """
    with opened(settings) as workspace:
        published = workspace.galleries.publish(gallery, engine, force=force)
    pins = [answer.model_dump() for answer in published.broken_pins]
    more = {"broken_pins": pins, "removed": list(published.removed)}
    _report_generation(published, "built, and served from now on", as_json, **more)
    for answer in published.broken_pins:
        note(f"published all the same: {answer.sentence}")


def roll_back(settings: Settings, number: int | None, *, gallery: str, as_json: bool) -> None:
    """Serve an older generation."""
    with opened(settings) as workspace:
        generation = workspace.galleries.rollback(gallery, number)
    _report_generation(generation, "served as it was, until the next whichone index build", as_json)


def _report_generation(generation: Generation, what: str, as_json: bool, **more: Any) -> None:
    manifest = generation.manifest
    if as_json:
        print_json({"generation": generation.number, **manifest.model_dump(mode="json"), **more})
        return
    stdout().print(
        f"generation {generation.number}: {what} ({manifest.items} photos, {manifest.labels} labels, "
        f"{manifest.distractors} distractors; engine {spec_text(manifest.engine)}"
        + (f", recall@10 {manifest.recall:.3f}" if manifest.recall is not None else "")
        + ")"
    )


def verify(settings: Settings, *, gallery: str, as_json: bool) -> None:
    """Check generations, photos and pins.

    Raises:
        GenerationCorrupt: names the file.
        PinsBroken: the gallery as it is served answers pins otherwise than they expect.
        PhotosLost: items whose photo is gone or damaged; their ids are in the details.
    """
    with opened(settings) as workspace:
        found = workspace.verify(gallery)
    if as_json:
        print_json(_verification(found))
    if found.lost_photos:
        listed = ", ".join(found.lost_photos[:10]) + (", ..." if len(found.lost_photos) > 10 else "")
        raise PhotosLost(
            f"the photos of {len(found.lost_photos)} of {found.items} item(s) are gone or damaged: {listed}; they are "
            "still recognised; add the photos again, or remove the items with whichone index remove ID",
            items=found.lost_photos,
        )
    broken = [answer for answer in found.pins if not answer.passes]
    if broken:
        raise PinsBroken(
            f"gallery {gallery!r}, as it is served now, breaks {len(broken)} of {len(found.pins)} pin(s): "
            + "; ".join(answer.sentence for answer in broken[:10]),
            broken=[answer.model_dump() for answer in broken],
        )
    if not as_json:
        measured = [f"{one.generation.number}: {one.recall:.3f}" for one in found.generations if one.recall is not None]
        stdout().print(
            f"{len(found.generations)} generation(s), {found.items} photo(s) and {len(found.pins)} pin(s) are whole"
            + (f"; recall@10 of generation {', '.join(measured)}" if measured else "")
        )


def _verification(found: Verification) -> dict[str, Any]:
    return {
        "generations": [one.generation.number for one in found.generations],
        "checked": [
            {
                "generation": one.generation.number,
                "engine": spec_text(one.generation.manifest.engine),
                "items": one.generation.manifest.items,
                "recall": one.recall,
                "servable": one.servable,
            }
            for one in found.generations
        ],
        "items": found.items,
        "lost_photos": found.lost_photos,
        "pins": [answer.model_dump() for answer in found.pins],
    }
