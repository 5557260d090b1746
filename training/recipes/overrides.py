"""Single changes to a recipe's data: ``stages.0.epochs=3``."""

from __future__ import annotations

import copy
import difflib
from typing import Any

from training.errors import RecipeInvalid

__all__ = ["changed", "split_override"]


def split_override(text: str) -> tuple[str, str]:
    """``path=value`` as its two halves.

    Raises:
        RecipeInvalid: there is no ``=``, or nothing before it.
    """
    path, sign, value = text.partition("=")
    if not sign or not path.strip():
        raise RecipeInvalid(f"a change is written PATH=VALUE, such as stages.0.epochs=3, not {text!r}")
    return path.strip(), value


def changed(document: dict[str, Any], path: str, value: Any, *, origin: str, grow: bool = False) -> dict[str, Any]:
    """A copy of the data with one value set.

    Setting a part's ``kind`` to another drops the part's other fields: they were of the old kind.

    Args:
        document: nested mappings and lists.
        path: names, and positions in lists, with dots between.
        value: what to put there.
        origin: who asks, for messages.
        grow: whether names that are not there yet may be set; validation judges them.

    Raises:
        RecipeInvalid: the path leads nowhere; names near ones.
    """
    result = copy.deepcopy(document)
    parts = path.split(".")
    place: Any = result
    for at, part in enumerate(parts[:-1]):
        key = _key(place, part, ".".join(parts[:at]), origin, grow=grow)
        if isinstance(place, dict) and place.get(key) is None:
            place[key] = {}
        place = place[key]
    key = _key(place, parts[-1], ".".join(parts[:-1]), origin, grow=grow or place == {})
    if key == "kind" and place.get("kind") != value:
        place.clear()
    place[key] = value
    return result


def _key(place: Any, part: str, above: str, origin: str, *, grow: bool) -> Any:
    """The part of a path as a key of the place that it should lead on from."""
    where = f" in {above}" if above else ""
    if isinstance(place, list):
        if part.isdecimal() and int(part) < len(place):
            return int(part)
        raise RecipeInvalid(f"{origin}: {above} has positions 0 to {len(place) - 1}, not {part!r}")
    if not isinstance(place, dict):
        raise RecipeInvalid(f"{origin}: {above} is the value {place!r}; nothing stands below it, so not {part!r}")
    if part in place or grow or not place:
        return part
    near = difflib.get_close_matches(part, list(place), n=3) or sorted(place)
    raise RecipeInvalid(f"{origin}: there is no {part!r}{where}; there is {', '.join(near)}")
