"""A small set of drawn photos and a small recipe, for runs that take seconds."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from training.recipe import Recipe, parse_recipe

LABELS = 6
PHOTOS = 8


def draw_photos(folder: Path, labels: int = LABELS, photos: int = PHOTOS) -> Path:
    """A list of photos: each label a shape of its own colour, at random places, on noise."""
    rng = np.random.default_rng(0)
    rows = []
    for label in range(labels):
        for photo in range(photos):
            image = Image.fromarray(rng.integers(0, 60, (40, 40, 3), np.uint8))
            x, y = rng.integers(2, 14, 2).tolist()
            colour = tuple(int(one) for one in 80 + 175 * (np.array([label & 4, label & 2, label & 1]) > 0))
            draw = ImageDraw.Draw(image)
            (draw.ellipse if label % 2 else draw.rectangle)((x, y, x + 22, y + 22), fill=colour)
            name = f"{label}/{photo}.png"
            (folder / str(label)).mkdir(parents=True, exist_ok=True)
            image.save(folder / name)
            rows.append((name, f"thing {label}"))
    with (folder / "photos.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return folder / "photos.csv"


def small_recipe(**changes: Any) -> Recipe:
    """Two stages with most of what a run can have; top-level fields may be replaced."""
    document: dict[str, Any] = {
        "name": "small",
        "network": {
            "backbone": {"name": "test_resnet", "drop_path_rate": 0.1},
            "pooling": {"kind": "gem"},
            "neck": {"kind": "linear_bn_prelu", "dim": 16, "dropout": 0.2},
            "classifier": {"kind": "linear"},
        },
        "data": {
            "preprocess": {
                "mode": "squash",
                "resize": 32,
                "crop": 32,
                "interpolation": "bilinear",
                "mean": [0.5, 0.5, 0.5],
                "std": [0.25, 0.25, 0.25],
            },
            "augment": [{"kind": "random_resized_crop"}, {"kind": "flip"}],
            "split": {"kind": "by_photo", "share": 0.25},
        },
        "select": "knn_top1",
        "stages": [
            {
                "name": "first",
                "epochs": 3,
                "batch": 8,
                "accumulation": 2,
                "mixing": {"kind": "cutmix"},
                "objective": {
                    "terms": [
                        {"loss": {"kind": "cross_entropy", "smoothing": 0.1}},
                        {"loss": {"kind": "arcface", "scale": 16}, "when_mixed": "skip"},
                    ]
                },
                "optimiser": {"kind": "sgd", "lr": 0.05, "weight_decay": 0.0001},
                "schedule": {"kind": "one_cycle"},
                "ema": {"decay": 0.8},
                "clip": 5.0,
            },
            {
                "name": "second",
                "epochs": 2,
                "batch": 8,
                "sampler": {"kind": "per_label", "photos": 2},
                "objective": {
                    "terms": [
                        {"loss": {"kind": "arcface", "scale": 16}},
                        {"loss": {"kind": "triplet"}, "weight": 0.1},
                    ]
                },
                "optimiser": {"kind": "adamw", "lr": 0.001},
                "schedule": {"kind": "cosine", "warmup_epochs": 0.5},
            },
        ],
    }
    return parse_recipe({**document, **changes}, "small")
