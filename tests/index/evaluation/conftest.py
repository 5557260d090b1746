"""Tiny photo sets that a real model can tell apart, made from noise and shapes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from embedding.bundle import Bundle
from embedding.embedder import Embedder

THINGS = ("circles", "stripes", "blocks", "noise", "rings", "grid", "fog", "sparks")


def picture(thing: str, seed: int) -> Image.Image:
    """A picture of one of `THINGS`; the seed moves, lights and crops it, as another photo would."""
    random = np.random.default_rng(sum(map(ord, thing)))
    base = random.integers(40, 216, 3)
    image = Image.new("RGB", (320, 320), tuple(int(value) for value in base))
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y, size = (int(value) for value in random.integers(0, 320, 3))
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        box = (x, y, x + size // 4 + 6, y + size // 4 + 6)
        {0: draw.ellipse, 1: draw.rectangle}[THINGS.index(thing) % 2](box, fill=colour)
    if thing in ("stripes", "grid"):
        for at in range(0, 320, 24):
            draw.line((at, 0, at, 320), fill="black", width=7)
    shot = np.random.default_rng(seed)
    left, top = (int(value) for value in shot.integers(0, 24, 2))
    image = image.crop((left, top, left + 290, top + 290))
    light = float(shot.uniform(0.85, 1.15))
    return Image.fromarray(np.clip(np.asarray(image) * light, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def embedder():
    return Embedder(Bundle.open(), threads=1)


@pytest.fixture(scope="session")
def photo_set(tmp_path_factory):
    """A folder with manifest.csv: five things enrolled, three asked about as unknown."""
    folder = tmp_path_factory.mktemp("photos")
    lines = ["path,label,is_known,role,shape"]
    for position, thing in enumerate(THINGS):
        known = position < 5
        roles = ["gallery", "gallery", "query", "calibrate"] if known else ["query", "query", "calibrate"]
        for shot, role in enumerate(roles):
            picture(thing, seed=100 * position + shot).save(folder / f"{thing}-{shot}.png")
            said = "" if role == "gallery" else str(int(known))
            lines.append(f"{thing}-{shot}.png,{thing},{said},{role},{'round' if position % 2 == 0 else 'square'}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder
