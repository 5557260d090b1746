"""Every recipe that ships: it loads, its real network is built, and every stage takes real steps at a reduced size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from accelerate import Accelerator  # noqa: E402
from PIL import Image  # noqa: E402

from tests.training.run.small import draw_photos  # noqa: E402
from training.data.augment import Augmentation  # noqa: E402
from training.data.classes import Classes  # noqa: E402
from training.data.listing import read_listing  # noqa: E402
from training.data.splits import Split  # noqa: E402
from training.network.network import Network  # noqa: E402
from training.recipe import Recipe, load_recipe, parse_recipe  # noqa: E402
from training.recipes.documents import parse_yaml, shipped_recipes  # noqa: E402
from training.recipes.ensemble import is_ensemble, load_ensemble  # noqa: E402
from training.run.building import build_learner, build_network, next_learner  # noqa: E402
from training.run.stage import StageRun, canvas_of, stage_loader  # noqa: E402

pytestmark = pytest.mark.torch

RECIPES = [name for name in shipped_recipes() if not is_ensemble(name)]
ENSEMBLES = [name for name in shipped_recipes() if is_ensemble(name)]
SIDE = 80
"""Pixels: Inception-v4 sees no less than 75."""


def test_the_seeds_and_ours_are_there() -> None:
    landmark = {f"landmark2020/config{number}" for number in range(1, 8)}
    vipriors = {name for name in RECIPES if name.startswith("vipriors2020/")}
    assert landmark | {"default", "laptop", "omniglot", "whale2019/vgg16_bn", "aliproducts2020/resnet50"} <= set(
        RECIPES
    )
    assert len(vipriors) == 7
    assert {name.split("/")[0] for name in ENSEMBLES} == {
        "landmark2020",
        "aliproducts2020",
        "whale2019",
        "vipriors2020",
    }


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_whole_and_comes_back_from_its_yaml(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.description
    assert parse_recipe(parse_yaml(recipe.yaml(), name), name) == recipe


@pytest.mark.parametrize(("name", "members", "runs"), [
    ("landmark2020/ensemble", 7, 7),
    ("aliproducts2020/ensemble", 11, 8),
    ("whale2019/ensemble", 4, 4),
    ("vipriors2020/ensemble", 7, 7),
])  # fmt: skip
def test_an_ensemble_has_the_seeds_members(name: str, members: int, runs: int) -> None:
    ensemble = load_ensemble(name)
    assert len(ensemble.members) == members
    assert len(ensemble.recipes()) == runs


@pytest.mark.parametrize(
    ("name", "stage", "side"),
    [
        ("landmark2020/config1", 0, 448),
        ("landmark2020/config3", 0, 586),
        ("landmark2020/config5", 0, 600),
        ("landmark2020/config6", 0, 512),
        ("aliproducts2020/resnet50", 0, 224),
        ("aliproducts2020/resnet50", 2, 448),
        ("whale2019/vgg16_bn", 0, 384),
        ("vipriors2020/resnest101_ce", 0, 224),
        ("omniglot", 0, 48),
    ],
)
def test_photos_have_the_seeds_sizes(name: str, stage: int, side: int) -> None:
    recipe = load_recipe(name)
    chosen = recipe.stages[stage]
    steps = recipe.data.augment if chosen.augment is None else chosen.augment
    augmentation = Augmentation(steps, canvas_of(recipe, chosen))
    assert augmentation(Image.new("RGB", (700, 500), (9, 99, 199))).shape == (3, side, side)


def test_the_landmark_configurations_have_the_sources_figures() -> None:
    """`techniques` 1.2 and 1.3: margins, photos a step, GeM."""
    recipes = [load_recipe(f"landmark2020/config{number}") for number in range(1, 8)]
    losses: list[Any] = [recipe.stages[0].objective.terms[0].loss for recipe in recipes]
    assert [loss.margin for loss in losses] == [0.4, 0.3, 0.4, 0.35, 0.35, 0.3, 0.4]
    assert {loss.scale for loss in losses} == {45}
    batches = [recipe.stages[0].batch for recipe in recipes]
    assert batches == [2 * 64 * 2, 2 * 24 * 4, 2 * 32 * 6, 2 * 32 * 4, 2 * 8 * 4, 2 * 40 * 3, 2 * 40 * 3]
    assert [recipe.network.pooling.learnable for recipe in recipes] == [True] * 5 + [False] * 2  # type: ignore[union-attr]
    assert {recipe.stages[0].epochs for recipe in recipes} == {10}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_every_stage_takes_real_steps(name: str, tmp_path: Path) -> None:
    recipe = _reduced(load_recipe(name))
    photos = read_listing(draw_photos(tmp_path, labels=3, photos=4))
    classes = Classes.of(photos)
    counts = classes.counts(photos)
    split = Split(tuple(photos), ())
    accelerator = Accelerator(cpu=True)
    learner = build_learner(recipe, 0, build_network(recipe, len(classes)), counts)
    for number in range(len(recipe.stages)):
        learner = next_learner(recipe, number, learner, counts) if number else learner
        loader = stage_loader(recipe, number, split, classes)
        stage = StageRun(recipe, number, learner, loader=loader, accelerator=accelerator)
        before = {key: one.detach().clone() for key, one in learner.named_parameters()}
        steps = 2 if number == 0 else 1
        for _, loaded in zip(range(steps), _endless(stage), strict=False):
            losses = stage.step(loaded.batch, 0, loaded.number)
            assert all(torch.isfinite(loss) for loss in losses.values()), losses
        moved = {key for key, one in learner.named_parameters() if not torch.equal(one, before[key])}
        assert any(key.startswith("network.") for key in moved)
        if recipe.stages[number].train == "head":
            assert not any(key.startswith("network.backbone.") for key in moved)
        else:
            assert any(key.startswith("network.backbone.") for key in moved)
    _is_exportable(learner.network)


def _endless(stage: StageRun) -> Any:
    for epoch in range(9):
        yield from stage.loader.epoch(epoch)


def _is_exportable(network: Network) -> None:
    vectors = network.embedder()(torch.rand(2, 3, SIDE, SIDE))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))


def _reduced(recipe: Recipe) -> Recipe:
    """Random weights, small photos, batches of 4 (8 where photos meet in groups); everything else as it ships."""
    document = recipe.model_dump(mode="json")
    document["network"]["backbone"]["weights"] = None
    document["machine"]["precision"] = "fp32"
    document["data"]["augment"] = []
    document["data"]["preprocess"] |= {"mode": "squash", "resize": SIDE, "crop": SIDE}
    for stage in document["stages"]:
        grouped = stage["sampler"]["kind"] in ("per_label", "companions")
        stage |= {"batch": 8 if grouped else 4, "accumulation": min(stage["accumulation"], 2), "epochs": 2}
        stage |= {"preprocess": None, "augment": None}
        for companion in stage["companions"]:
            companion |= {"cells": 2}
    return parse_recipe(document, recipe.name)
