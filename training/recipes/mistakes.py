"""What pydantic finds wrong with a recipe, as one sentence for a person."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

__all__ = ["sentence"]

Loc = Sequence[int | str]


def sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """The first mistake: where it is, what came, and for an unknown key the keys that are near it.

    Args:
        error: of reading data into the model.
        model: the outermost one.
    """
    # A list whose items are wrong is also said to be too short, as none of them counts.
    places = [one["loc"] for one in error.errors()]
    found = [one for one in error.errors(include_url=False) if not _is_above(one["loc"], places)]
    first = found[0]
    where = ".".join(str(part) for part in _without_tags(first["loc"], model))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    if first["type"] == "extra_forbidden":
        key, fields = str(first["loc"][-1]), _fields_at(first["loc"][:-1], model)
        near = difflib.get_close_matches(key, fields, n=3) or fields
        return f"there is no {where}; there is {', '.join(near)}{more}"
    if first["type"] == "missing":
        return f"{where} is missing{more}"
    message = first["msg"].removeprefix("Value error, ")
    came = (
        ""
        if isinstance(first.get("input"), dict | list) or first["type"] == "value_error"
        else f", not {first['input']!r}"
    )
    return f"{where}: {message[:1].lower()}{message[1:]}{came}{more}" if where else f"{message}{more}"


def _is_above(loc: Loc, others: Sequence[Loc]) -> bool:
    return any(len(other) > len(loc) and other[: len(loc)] == loc for other in others)


def _fields_at(loc: Loc, model: type[BaseModel]) -> list[str]:
    return sorted({name for one in _models_at(loc, model)[0] for name in one.model_fields})


def _without_tags(loc: Loc, model: type[BaseModel]) -> list[int | str]:
    """The place as a recipe has it: pydantic also names the kind that it took a part for."""
    return _models_at(loc, model)[1]


def _models_at(loc: Loc, model: type[BaseModel]) -> tuple[list[type[BaseModel]], list[int | str]]:
    """The models that may stand at a place, and the place without tags."""
    models, place = [model], list[int | str]()
    for part in loc:
        fields = [one.model_fields[part] for one in models if isinstance(part, str) and part in one.model_fields]
        tagged = [one for one in models if isinstance(part, str) and _kind(one) == part]
        if fields:
            models = list(_models_in(field.annotation for field in fields))
        elif tagged:
            models = tagged
            continue
        place.append(part)
    return models, place


def _kind(model: type[BaseModel]) -> Any:
    return model.model_fields["kind"].default if "kind" in model.model_fields else None


def _models_in(annotations: Iterable[Any]) -> Iterable[type[BaseModel]]:
    for annotation in annotations:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        else:
            yield from _models_in(get_args(annotation))
