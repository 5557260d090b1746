"""All queries with their verdicts in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from embedding.images import decode
from service.demo.outcome import Outcome

__all__ = ["write_contact_sheet"]

COLUMNS = 8
CELL = (188, 226)
PHOTO = 176
MARGIN = 6
INK, SOFT, PAPER, RIGHT, WRONG = "#1d2433", "#5b6577", "#ffffff", "#1f7a46", "#b3261e"


def write_contact_sheet(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write a PNG: a frame in green where the verdict is right and in red where it is not, and what was said below."""
    rows = -(-len(outcomes) // COLUMNS) or 1
    sheet = Image.new("RGB", (COLUMNS * CELL[0], rows * CELL[1]), PAPER)
    draw = ImageDraw.Draw(sheet)
    for position, outcome in enumerate(outcomes):
        left, top = position % COLUMNS * CELL[0], position // COLUMNS * CELL[1]
        _draw(sheet, draw, outcome, left + MARGIN, top + MARGIN)
    sheet.save(path)


def _draw(sheet: Image.Image, draw: ImageDraw.ImageDraw, outcome: Outcome, left: int, top: int) -> None:
    photo = decode(outcome.query.path.read_bytes())
    photo.thumbnail((PHOTO, PHOTO))
    sheet.paste(photo, (left + (PHOTO - photo.width) // 2, top + (PHOTO - photo.height) // 2))
    colour = RIGHT if outcome.right else WRONG
    draw.rectangle((left - 1, top - 1, left + PHOTO, top + PHOTO), outline=colour, width=3)
    query, verdict = outcome.query, outcome.verdict
    truth = query.shows if query.known else f"stranger: {query.shows}"
    said = f"{verdict.label or verdict.verdict} {verdict.confidence:.2f}"
    font = ImageFont.load_default(13)
    _line(draw, (left, top + PHOTO + 4), f"{truth} ({query.kind})", SOFT, font)
    _line(draw, (left, top + PHOTO + 20), said, colour, font)


def _line(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    colour: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Text cut to the photo's width; letters that the font does not have are shown as boxes."""
    while text and draw.textlength(text, font=font) > PHOTO:
        text = text[:-2]
    draw.text(at, text, fill=colour, font=font)
