"""YAML recipes as plain data: where they lie, what they extend, what each stage shares.

Beside the fields of `training.recipe.Recipe` a document may have

- ``extends: other.yaml``: everything of another document, which extends none itself; mappings are merged, lists
  replaced, and a part of another ``kind`` replaces the whole part;
- ``each_stage``: what every stage has that does not say otherwise;
- ``only_stages``: names of the stages to keep, in order;
- ``change``: ``{"stages.0.epochs": 3}``, single values, after all that.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from training.errors import RecipeInvalid
from training.recipes.overrides import changed

__all__ = ["SHIPPED", "merged", "parse_yaml", "read_document", "recipe_path", "shipped_recipes"]

SHIPPED = Path(__file__).parent
Document = dict[str, Any]

_BOOL, _FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"


def shipped_recipes() -> list[str]:
    """Names of the recipes that ship, such as `landmark2020/config1`; a file `_base.yaml` is there to be extended."""
    found = (path.relative_to(SHIPPED).with_suffix("") for path in SHIPPED.rglob("*.yaml"))
    return sorted(path.as_posix() for path in found if not path.name.startswith("_"))


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
        own = merged(base, own)
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
    """With the stages that are wanted, what they share put into each, and single values changed."""
    resolved = dict(document)
    shared, wanted = resolved.pop("each_stage", None), resolved.pop("only_stages", None)
    changes = resolved.pop("change", None) or {}
    stages = resolved.get("stages")
    if isinstance(stages, list) and all(isinstance(stage, Mapping) for stage in stages):
        resolved["stages"] = [merged(shared or {}, stage) for stage in _chosen(stages, wanted, path)]
    for where, value in changes.items():
        resolved = changed(resolved, str(where), value, origin=str(path), grow=True)
    return resolved


def _chosen(stages: list[Document], wanted: list[str] | None, path: Path) -> list[Document]:
    if wanted is None:
        return stages
    named = {str(stage.get("name")): stage for stage in stages}
    absent = [name for name in wanted if name not in named]
    if absent:
        raise RecipeInvalid(f"{path}: only_stages names {absent[0]!r}; there is {', '.join(named)}", file=str(path))
    return [named[name] for name in wanted]


def _other_kind(below: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    return "kind" in over and over["kind"] != below.get("kind")


class _StrictLoader(yaml.SafeLoader):
    """YAML 1.2's truths and numbers (`on` is a word, 1e-3 a number), where the same key twice is a mistake, not the
    last one's victory."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        written = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in written]
        twice = [key for at, key in enumerate(keys) if key in keys[:at]]
        if twice:
            problem = f"the key {twice[0]!r} stands here twice"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_BOOL, _FLOAT)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_StrictLoader.add_implicit_resolver(
    _FLOAT,
    re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|nan)$"),
    list("-+.0123456789"),
)
