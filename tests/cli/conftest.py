"""`whichone` as a person runs it: a process of its own, on a data folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def environment():
    """The environment without any setting of Whichone, and with this source tree."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WHICHONE_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}


@pytest.fixture(scope="session")
def whichone(environment):
    """Run a verb; returns the finished process."""

    def run(*arguments, stdin=None, data=None, **variables):
        settings = {"WHICHONE_DATA": str(data)} if data else {}
        return subprocess.run(
            [sys.executable, "-m", "cli", *map(str, arguments)],
            env={**environment, **settings, **variables},
            input=stdin,
            capture_output=True,
            check=False,
            cwd=ROOT,
            timeout=300,
        )

    return run


def scene(seed: int) -> Image.Image:
    """A picture that looks like no other seed's."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (360, 300), tuple(int(value) for value in random.integers(0, 256, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(30):
        x, y, size = (int(value) for value in random.integers(0, 300, 3))
        shape = draw.ellipse if random.integers(2) else draw.rectangle
        shape(
            (x, y, x + size // 3 + 9, y + size // 3 + 9), fill=tuple(int(value) for value in random.integers(0, 256, 3))
        )
    return image


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder with one sub-folder a label, two photos each, and photos beside it to ask about."""
    folder = tmp_path_factory.mktemp("photos")
    for number, label in enumerate(("cup", "hat", "caffè/été")):
        sub = folder / "gallery" / label.replace("/", "_")
        sub.mkdir(parents=True)
        scene(number).save(sub / "1.png")
        scene(number).crop((10, 10, 350, 290)).save(sub / "2.jpg", quality=85)
    scene(0).crop((5, 8, 340, 285)).save(folder / "cup-again.jpg", quality=70)
    scene(99).save(folder / "stranger.png")
    (folder / "no-picture.jpg").write_text("this is no picture")
    return folder
