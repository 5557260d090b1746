"""worst.png: the mistakes that a network was surest of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from training.data.listing import TrainingPhoto
from training.data.reading import PhotosSpec, read_photo
from training.run.files import write_whole
from training.run.metrics import Embedded

__all__ = ["draw_mistakes", "worst_mistakes"]

MOST = 24
SIDE, CAPTION, COLUMNS = 140, 28, 4
INK, PAPER = (29, 36, 51), (255, 255, 255)


def worst_mistakes(queries: Embedded, gallery: Embedded | None) -> list[tuple[int, int, float]]:
    """Queries, the photo of another label that each is nearest to, and how near, nearest first.

    Compared with the gallery where it has labels that are asked about, else with the other queries. A query that has a
    nearer photo of its own label there is no mistake.

    Returns:
        Places of query and photo, and their cosine; at most `MOST`.
    """
    others = _others(queries, gallery)
    similarities = queries.vectors @ others.vectors.T
    if others is queries:
        np.fill_diagonal(similarities, -np.inf)
    nearest = similarities.argmax(axis=1)
    wrong = [at for at, label in enumerate(queries.labels) if others.labels[nearest[at]] != label]
    wrong.sort(key=lambda at: -similarities[at, nearest[at]])
    return [(at, int(nearest[at]), float(similarities[at, nearest[at]])) for at in wrong[:MOST]]


def _others(queries: Embedded, gallery: Embedded | None) -> Embedded:
    """What queries are compared with: held-out labels have nothing in a gallery that they may rightly be taken for."""
    asked = {label for label in queries.labels if label}
    return queries if gallery is None or asked.isdisjoint(gallery.labels) else gallery


def draw_mistakes(
    queries: Embedded,
    gallery: Embedded | None,
    photos: Mapping[str, TrainingPhoto],
    spec: PhotosSpec,
    path: Path,
) -> None:
    """A contact sheet: on the left what was asked, on the right what it was taken for.

    Args:
        queries, gallery: as judged.
        photos: by name.
        spec: how they are read.
        path: of the PNG; where there are no mistakes, nothing is written.

    Raises:
        RunFailed: a photo cannot be read, or the sheet not written.
    """
    worst = worst_mistakes(queries, gallery)
    if not worst:
        return
    others = _others(queries, gallery)
    tiles = [
        _tile(
            [photos[queries.names[at]], photos[others.names[near]]],
            f"{queries.labels[at] or 'stranger'}\ntaken for {others.labels[near] or 'stranger'}, {similarity:.2f}",
            spec,
        )
        for at, near, similarity in worst
    ]
    sheet = _sheet(tiles)
    write_whole(path, lambda file: sheet.save(file, "PNG"))


def _tile(pair: Sequence[TrainingPhoto], caption: str, spec: PhotosSpec) -> Image.Image:
    tile = Image.new("RGB", (2 * SIDE + 8, SIDE + CAPTION + 8), PAPER)
    for at, photo in enumerate(pair):
        tile.paste(ImageOps.pad(read_photo(photo, spec), (SIDE, SIDE), color=PAPER), (at * (SIDE + 2), 0))
    ImageDraw.Draw(tile).multiline_text((2, SIDE + 1), caption, fill=INK, spacing=1)
    return tile


def _sheet(tiles: Sequence[Image.Image]) -> Image.Image:
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    width, height = tiles[0].size
    sheet = Image.new("RGB", (columns * width + 8, rows * height + 8), PAPER)
    for at, tile in enumerate(tiles):
        sheet.paste(tile, (8 + at % columns * width, 8 + at // columns * height))
    return sheet
