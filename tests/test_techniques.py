"""docs/techniques.md names files, tests and recipes that are there, in every cell."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "training" / "recipes"


def rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "techniques.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[1] if len(row) > 1 else "short")
def test_every_cell_names_what_is_there(row: list[str]) -> None:
    assert len(row) == 5
    seed, technique, file, test, use = row
    assert seed in {"A", "B", "W", "V", "after"}
    assert technique
    for path in (file, test):
        assert (ROOT / path).is_file(), path
    assert (RECIPES / f"{use}.yaml").is_file() or (ROOT / use).is_file(), use


def test_every_recipe_is_of_use_to_some_technique_or_its_variant() -> None:
    """No family of recipes stands outside the table."""
    families = {path.parent.name for path in RECIPES.glob("*/*.yaml")}
    assert families <= {use.split("/")[0] for *_, use in rows()}
