from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the training extra")

from training.errors import RecipeInvalid
from training.recipes.documents import merged, parse_yaml, read_document, recipe_path
from training.recipes.overrides import changed, split_override

pytestmark = pytest.mark.torch


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_document_extends_another(tmp_path: Path) -> None:
    _write(
        tmp_path,
        "base.yaml",
        "name: base\nnetwork: {backbone: {name: a, weights: timm}, pooling: {kind: gem, p: 4}}\n"
        "each_stage: {batch: 8, optimiser: {kind: sgd, lr: 0.1}}\n"
        "stages: [{name: one, epochs: 10}, {name: two, epochs: 5, optimiser: {lr: 0.2}}]\n",
    )
    own = _write(
        tmp_path,
        "own.yaml",
        "extends: base.yaml\nname: own\nnetwork: {backbone: {name: b}, pooling: {kind: average}}\n"
        "change: {stages.1.epochs: 7, stages.0.ema: {decay: 0.9}}\n",
    )
    assert read_document(own) == {
        "name": "own",
        "network": {"backbone": {"name": "b", "weights": "timm"}, "pooling": {"kind": "average"}},
        "stages": [
            {"name": "one", "epochs": 10, "batch": 8, "optimiser": {"kind": "sgd", "lr": 0.1}, "ema": {"decay": 0.9}},
            {"name": "two", "epochs": 7, "batch": 8, "optimiser": {"kind": "sgd", "lr": 0.2}},
        ],
    }


def test_two_levels_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, "a.yaml", "name: a\n")
    _write(tmp_path, "b.yaml", "extends: a.yaml\n")
    with pytest.raises(RecipeInvalid, match="one level is the limit"):
        read_document(_write(tmp_path, "c.yaml", "extends: b.yaml\n"))


def test_a_list_is_replaced_and_a_mapping_merged() -> None:
    assert merged({"a": [1, 2], "b": {"c": 1, "d": 2}}, {"a": [3], "b": {"d": 4}}) == {"a": [3], "b": {"c": 1, "d": 4}}


def test_a_key_twice_is_a_mistake() -> None:
    with pytest.raises(RecipeInvalid, match=r"photo, line 1: the key 'a' stands here twice"):
        parse_yaml("{a: 1, a: 2}", "photo")


def test_what_is_no_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeInvalid, match=r"bad\.yaml, line 3"):
        read_document(_write(tmp_path, "bad.yaml", "name: a\nstages: [\n"))
    with pytest.raises(RecipeInvalid, match="a recipe is a mapping of fields, not list"):
        read_document(_write(tmp_path, "list.yaml", "- 1\n"))


def test_yaml_makes_no_objects() -> None:
    with pytest.raises(RecipeInvalid, match="could not determine a constructor"):
        parse_yaml("!!python/object/apply:os.getcwd []", "text")


def test_an_unknown_recipe_names_near_ones() -> None:
    with pytest.raises(RecipeInvalid, match="landmark2020/config1"):
        recipe_path("landmark/config1")


@pytest.mark.parametrize("text", ["stages.0.epochs", "=3", " = 3"])
def test_an_override_has_a_path_and_a_value(text: str) -> None:
    with pytest.raises(RecipeInvalid, match="PATH=VALUE"):
        split_override(text)


def test_an_override_may_hold_further_signs() -> None:
    assert split_override("data.note=a=b") == ("data.note", "a=b")


DOCUMENT = {"seed": 0, "stages": [{"epochs": 1, "ema": None, "optimiser": {"kind": "sgd", "lr": 0.1}}]}


def test_one_value_is_changed_and_the_rest_left_alone() -> None:
    result = changed(DOCUMENT, "stages.0.optimiser.lr", 0.5, origin="--set")
    assert result["stages"][0]["optimiser"] == {"kind": "sgd", "lr": 0.5}
    assert DOCUMENT["stages"][0]["optimiser"]["lr"] == 0.1  # type: ignore[index]


def test_what_is_none_may_be_filled() -> None:
    assert changed(DOCUMENT, "stages.0.ema.decay", 0.9, origin="--set")["stages"][0]["ema"] == {"decay": 0.9}


def test_another_kind_drops_what_the_old_one_had() -> None:
    result = changed(DOCUMENT, "stages.0.optimiser.kind", "adam", origin="--set")
    assert result["stages"][0]["optimiser"] == {"kind": "adam"}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("stagse.0.epochs", r"there is no 'stagse'; there is stages"),
        ("stages.0.epoch", r"there is no 'epoch' in stages\.0; there is epochs"),
        ("stages.3.epochs", r"stages has positions 0 to 0, not '3'"),
        ("stages.first.epochs", r"stages has positions 0 to 0, not 'first'"),
        ("seed.value", r"seed is the value 0; nothing stands below it"),
    ],
)
def test_a_path_that_leads_nowhere_names_near_ones(path: str, message: str) -> None:
    with pytest.raises(RecipeInvalid, match=message):
        changed(DOCUMENT, path, 1, origin="--set")
