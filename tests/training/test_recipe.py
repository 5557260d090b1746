from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the training extra")

from training.errors import RecipeInvalid
from training.recipe import load_recipe, parse_recipe, with_overrides
from training.recipes.ensemble import load_ensemble

pytestmark = pytest.mark.torch

DOCUMENT: dict[str, Any] = {
    "name": "a",
    "network": {"backbone": {"name": "test_resnet"}, "classifier": {"kind": "linear"}},
    "data": {
        "preprocess": {
            "mode": "squash", "resize": 32, "crop": 32, "interpolation": "bilinear",
            "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
        }
    },
    "stages": [
        {
            "name": "one",
            "epochs": 1,
            "batch": 8,
            "objective": {"terms": [{"loss": {"kind": "cross_entropy"}}]},
            "optimiser": {"kind": "sgd", "lr": 0.1},
        }
    ],
}  # fmt: skip


def _with(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    place: Any = document
    *above, last = path.split(".")
    for part in above:
        place = place[int(part)] if part.isdecimal() else place.setdefault(part, {})
    place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("stagess", [], r"there is no stagess; there is stages"),
        ("stages.0.epoch", 3, r"there is no stages\.0\.epoch; there is epochs"),
        ("stages.0.optimiser.learning_rate", 3, r"there is no stages\.0\.optimiser\.learning_rate; there is .*lr"),
        ("stages.0.optimiser.momentun", 3, r"there is no stages\.0\.optimiser\.momentun; there is momentum"),
        ("stages.0.optimiser.kind", "sdg", r"stages\.0\.optimiser: input tag 'sdg'.*'sgd', 'adam', 'adamw'"),
        ("stages.0.objective.terms", [{"loss": {"kind": "arcface", "margn": 1}}], r"loss\.margn; there is margin"),
        ("stages.0.epochs", 0, r"stages\.0\.epochs: input should be greater than or equal to 1, not 0"),
        ("stages.0.epochs", "many", r"stages\.0\.epochs: .*valid integer.*, not 'many'"),
        ("stages.0.accumulation", 3, r"stages\.0: a batch of 8 cannot be cut into 3 equal pieces"),
        ("stages.0.name", "Two Words", r"stages\.0\.name: string should match"),
        ("network.pooling", {"kind": "gem", "q": 3}, r"there is no network\.pooling\.q; there is"),
        ("data.split", {"kind": "by_photo", "share": 2}, r"data\.split\.share: .*less than 1, not 2"),
        ("select", "recall", r"select: input should be 'recall_1', 'recall_10'"),
        ("stages.0.optimiser.lr", float("nan"), r"stages\.0\.optimiser\.lr: "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(path: str, value: Any, message: str) -> None:
    with pytest.raises(RecipeInvalid, match=message):
        parse_recipe(_with(path, value), "recipe")


def test_what_is_missing_is_named() -> None:
    document = copy.deepcopy(DOCUMENT)
    del document["stages"][0]["optimiser"]
    with pytest.raises(RecipeInvalid, match=r"^recipe: stages\.0\.optimiser is missing$"):
        parse_recipe(document, "recipe")


TRIPLET = {"terms": [{"loss": {"kind": "triplet"}}]}
CUTMIX = {"kind": "cutmix"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": TRIPLET}, "brings none together on purpose: take per_label"),
        (
            {"objective": TRIPLET, "sampler": {"kind": "per_label"}, "accumulation": 2},
            "cannot be worked through in pieces",
        ),
        (
            {"objective": {"terms": [{"loss": {"kind": "arcface"}}]}, "mixing": CUTMIX},
            "arcface takes one label a photo",
        ),
        ({"companions": [{"kind": "lio"}]}, "take the sampler companions, not shuffled"),
        ({"companions": [{"kind": "dcl"}], "mixing": CUTMIX}, "dcl takes one label a photo"),
        ({"companions": [{"kind": "dcl"}, {"kind": "dcl"}]}, "dcl stands twice"),
        ({"objective": {"terms": [{"loss": {"kind": "accuracy"}}]}}, "let a stage with cross-entropy come first"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["stages"][0] |= changes
    with pytest.raises(RecipeInvalid, match=message):
        parse_recipe(document, "recipe")


def test_parts_that_fit_are_taken() -> None:
    document = copy.deepcopy(DOCUMENT)
    terms = [{"loss": {"kind": "cross_entropy"}}, {"loss": {"kind": "arcface"}, "when_mixed": "skip"}]
    accuracy = {"name": "two", "objective": {"terms": [{"loss": {"kind": "accuracy"}}]}, "mixing": CUTMIX}
    document["stages"] = [
        {**document["stages"][0], "mixing": CUTMIX, "objective": {"terms": terms}},
        {**document["stages"][0], **accuracy},
    ]
    assert [stage.name for stage in parse_recipe(document, "recipe").stages] == ["one", "two"]


def test_the_losses_that_take_mixed_photos_are_those_that_say_so() -> None:
    """The recipe knows them by name, the losses by themselves: they must not part."""
    import torch  # noqa: PLC0415
    from pydantic import TypeAdapter  # noqa: PLC0415

    from training.losses.margin import MarginLoss  # noqa: PLC0415
    from training.losses.objective import LossSpec  # noqa: PLC0415
    from training.recipe import TAKES_MIXED  # noqa: PLC0415
    from training.run.selecting import HAVE_CLASSES  # noqa: PLC0415

    adapter: TypeAdapter[Any] = TypeAdapter(LossSpec)
    kinds = adapter.json_schema()["discriminator"]["mapping"]
    built = {
        kind: adapter.validate_python({"kind": kind}).build(classes=20, dim=4, counts=torch.full((20,), 3))
        for kind in kinds
    }
    assert {kind for kind, loss in built.items() if loss.takes_mixed} == TAKES_MIXED
    assert {kind for kind, loss in built.items() if isinstance(loss, MarginLoss)} == HAVE_CLASSES


def test_two_stages_of_one_name_are_refused() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["stages"] *= 2
    with pytest.raises(RecipeInvalid, match="two stages are called one"):
        parse_recipe(document, "recipe")


def test_values_are_changed() -> None:
    recipe = with_overrides(
        parse_recipe(DOCUMENT, "recipe"),
        [
            "stages.0.epochs=7",
            "stages.0.optimiser={kind: adamw, lr: 1e-4}",
            "stages.0.ema.decay=0.9",
            "machine.compile=true",
        ],
    )
    stage = recipe.stages[0]
    assert stage.epochs == 7
    assert (stage.optimiser.kind, stage.optimiser.lr) == ("adamw", 1e-4)
    assert stage.ema is not None
    assert stage.ema.decay == 0.9
    assert recipe.machine.compile is True


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stages.0.epoch=7", r"stages\.0\.epoch=7: there is no 'epoch' in stages\.0; there is epochs"),
        ("stages.0.epochs=some", r"a with stages\.0\.epochs=some: stages\.0\.epochs: "),
        ("stages.0.ema.decy=0.9", r"there is no stages\.0\.ema\.decy; there is decay"),
        ("seed=[", r"seed=\[, line 1: "),
    ],
)
def test_a_change_that_cannot_be_made_says_why(change: str, message: str) -> None:
    with pytest.raises(RecipeInvalid, match=message):
        with_overrides(parse_recipe(DOCUMENT, "recipe"), [change])


def test_a_recipe_of_ones_own_extends_one_that_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(parse_recipe(DOCUMENT, "recipe").yaml())
    (tmp_path / "own.yaml").write_text("extends: base.yaml\nname: own\nchange: {stages.0.batch: 4}\n")
    recipe = load_recipe(tmp_path / "own.yaml")
    assert (recipe.name, recipe.stages[0].batch) == ("own", 4)


def test_an_ensemble_names_stages_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(
        "kind: ensemble\nname: e\ncombine: probabilities\n"
        "members: [{recipe: omniglot}, {recipe: laptop, stage: middle}]\n"
    )
    with pytest.raises(RecipeInvalid, match="laptop has no stage 'middle'; there is head, all"):
        load_ensemble(tmp_path / "e.yaml").recipes()
    (tmp_path / "f.yaml").write_text("kind: ensemble\nname: e\ncombine: votes\nmembers: []\n")
    with pytest.raises(RecipeInvalid, match=r"combine: input should be 'probabilities' or 'embeddings', not 'votes'"):
        load_ensemble(tmp_path / "f.yaml")
