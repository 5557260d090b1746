"""`whichone index export` and `import`: a gallery's generation as one file, from one machine to another."""

from __future__ import annotations

from pathlib import Path

from embedding.errors import WhichoneError
from index.engines import parse_spec
from index.generation import AUTO
from service.commands.folder import opened
from service.commands.terminal import note, print_json, stdout
from service.settings import Settings
from service.workspace import open_workspace

__all__ = ["export_generation", "import_generation"]


def export_generation(
    settings: Settings, target: Path, *, gallery: str, number: int | None, photos: bool, as_json: bool
) -> None:
    """Write a generation as a file.

    Raises: see `Export.run`.
    """
    with opened(settings) as workspace:
        manifest = workspace.exporting.run(gallery, target, number, photos=photos)
    size = target.stat().st_size
    if as_json:
        print_json({"file": str(target), "bytes": size, **manifest.model_dump(mode="json")})
        return
    generation = manifest.generation
    stdout().print(
        f"generation {manifest.number} of gallery {gallery}: {generation.items} photos, {generation.labels} labels, "
        f"{generation.distractors} distractors in {target} ({size:,} bytes)",
        markup=False,
    )
    if not photos:
        note("without the photos themselves and the pins: what is imported can be asked, but its photos not looked at")


def import_generation(
    settings: Settings, path: Path, *, gallery: str, engine: str | None, force: bool, as_json: bool
) -> None:
    """Take such a file in as a gallery, and publish it.

    Raises: see `Import.run` and `Galleries.publish`; when the latter fails, the gallery is there and is served.
    """
    if engine not in (None, AUTO):
        parse_spec(engine)  # told before anything is taken in
    with open_workspace(settings) as workspace:
        imported = workspace.importing.run(path, gallery)
        try:
            published = workspace.galleries.publish(gallery, engine or imported.manifest.generation.asked, force=force)
        except WhichoneError as error:
            error.message += f" The import is done: gallery {gallery} is there, and answers without a generation."
            raise
    if as_json:
        print_json(
            {
                "gallery": gallery,
                "generation": published.number,
                "items": imported.items,
                "distractors": imported.distractors,
                "photos": imported.photos,
                "pins": imported.pins,
                "feedback": imported.queries,
                "renamed": imported.renamed,
                "broken_pins": [answer.model_dump() for answer in published.broken_pins],
            }
        )
        return
    stdout().print(
        f"gallery {gallery}: {imported.items} item(s), {imported.distractors} distractor(s), {imported.photos} "
        f"photo(s), {imported.pins} pin(s) and {imported.queries} word(s) of feedback came in; served as generation "
        f"{published.number}",
        markup=False,
    )
    if imported.renamed:
        note(f"{imported.renamed} item(s) have new ids, as theirs are taken here")
