"""YAML recipes as plain data: where they lie, what they extend, what each stage shares.

Beside the fields of `training.recipe.Recipe` a document may have

- ``extends: other.yaml``: everything of another document, which extends none itself; mappings are merged, lists
  replaced, and a part of another ``kind`` replaces the whole part;
- ``each_stage``: what every stage has that does not say otherwise;
- ``change``: ``{"stages.0.epochs": 3}``, single values, after all that.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from training.errors import RecipeInvalid
from training.recipes.overrides import changed

__all__ = ["SHIPPED", "merged", "parse_yaml", "read_document", "recipe_path", "shipped_recipes"]

SHIPPED = Path(__file__).parent
Document = dict[str, Any]


def shipped_recipes() -> list[str]:
    """Names of the recipes that ship, such as `landmark2020/config1`."""
    return sorted(path.relative_to(SHIPPED).with_suffix("").as_posix() for path in SHIPPED.rglob("*.yaml"))


def recipe_path(name: str) -> Path:
    """The file of a recipe given by its path, or by the name of one that ships.

    Raises:
        RecipeInvalid: there is neither.
    """
    if Path(name).is_file():
        return Path(name)
    shipped = shipped_recipes()
    if name.removesuffix(".yaml") in shipped:
        return SHIPPED / f"{name.removesuffix('.yaml')}.yaml"
    near = difflib.get_close_matches(name, shipped, n=3) or shipped
    raise RecipeInvalid(f"there is no recipe {name!r}, neither a file nor one that ships; there is {', '.join(near)}")


def read_document(path: Path) -> Document:
    """One recipe as data, with what it extends merged in.

    Raises:
        RecipeInvalid: not a YAML mapping, or it extends what is not there or extends another in turn.
    """
    own = _read(path)
    extended = own.pop("extends", None)
    if extended is not None:
        base = _read(path.parent / str(extended))
        if "extends" in base:
            raise RecipeInvalid(f"{path} extends {extended}, which extends another itself; one level is the limit")
        own = merged(_resolved(base, path), own)
    return _resolved(own, path)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Document:
    """`over` on top of `base`, mapping by mapping."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and not _other_kind(below, value):
            result[key] = merged(below, value)
        else:
            result[key] = value
    return result


def parse_yaml(text: str, origin: str) -> Any:
    """YAML's plain data.

    Raises:
        RecipeInvalid: it is not YAML, or a mapping has a key twice.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where is not None else ""
        problem = getattr(error, "problem", None) or error
        raise RecipeInvalid(f"{origin}{line}: {problem}") from error


def _read(path: Path) -> Document:
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeInvalid(f"{path} cannot be read: {error}", file=str(path)) from error
    if not isinstance(document, dict):
        raise RecipeInvalid(f"{path}: a recipe is a mapping of fields, not {type(document).__name__}", file=str(path))
    return document


def _resolved(document: Document, path: Path) -> Document:
    """With what every stage shares put into each, and single values changed."""
    resolved = dict(document)
    shared = resolved.pop("each_stage", None)
    changes = resolved.pop("change", None) or {}
    stages = resolved.get("stages")
    if shared and isinstance(stages, list):
        resolved["stages"] = [merged(shared, stage) if isinstance(stage, Mapping) else stage for stage in stages]
    for where, value in changes.items():
        resolved = changed(resolved, str(where), value, origin=str(path), grow=True)
    return resolved


def _other_kind(below: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    return "kind" in over and over["kind"] != below.get("kind")


class _StrictLoader(yaml.SafeLoader):
    """YAML where the same key twice is a mistake, not the last one's victory."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for at, key in enumerate(keys) if key in keys[:at]]
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice[0]!r} stands here twice", node.start_mark
            )
        return super().construct_mapping(node, deep)
