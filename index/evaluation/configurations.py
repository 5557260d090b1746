"""Named pipelines to compare: from JSON files, or the built-in ablation.

A file is one pipeline document, named after the file, or an object of several: {"name": {document}, ...}. A document
says only what differs from the defaults: {"adaptation": {"wccn": "off"}}.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from embedding.errors import InputError
from index.pipeline import Adaptation, Pipeline, Ranking, Verification

__all__ = ["OURS", "YARDSTICK", "ConfigurationInvalid", "ablation", "gather_configurations", "read_configurations"]

OURS = "Whichone"
"""The first system of every evaluation: the defaults."""

YARDSTICK = "Yardstick (1-NN)"
"""The last one: see `index.evaluation.yardstick`."""

_PARTS = tuple(Pipeline.model_fields)


class ConfigurationInvalid(InputError):
    """A pipeline that cannot be compared: no such file, no JSON, an unknown setting, a name twice."""

    code = "configuration_invalid"


def gather_configurations(files: Iterable[Path], *, with_ablation: bool) -> dict[str, Pipeline]:
    """What a command line names, files first, in their order.

    Raises:
        ConfigurationInvalid: see there.
    """
    found: dict[str, Pipeline] = {}
    for path in files:
        _add(found, read_configurations(path), str(path))
    if with_ablation:
        _add(found, ablation(), "the built-in ablation")
    return found


def read_configurations(path: Path) -> dict[str, Pipeline]:
    """The pipelines of one JSON file, see the module.

    Raises:
        ConfigurationInvalid: see there.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationInvalid(f"{path}: there is no such file", file=str(path)) from None
    except (OSError, ValueError) as error:
        raise ConfigurationInvalid(f"{path}: cannot be read as UTF-8 JSON: {error}", file=str(path)) from error
    if not isinstance(document, dict):
        raise ConfigurationInvalid(
            f"{path}: came {type(document).__name__}; needed an object: a pipeline document, or names and documents",
            file=str(path),
        )
    if set(document) <= set(_PARTS):
        document = {path.stem: document}
    return {name: _pipeline(path, name, one) for name, one in document.items()}


def ablation() -> dict[str, Pipeline]:
    """What each part is worth: all of them, each left out of all, none, each alone."""
    parts: dict[str, dict[str, Any]] = {
        "adaptation": {"adaptation": Adaptation(wccn="on")},
        "verification": {"verification": Verification(mode="on")},
        "prototype": {"ranking": Ranking(aggregation="blend")},
    }
    absent: dict[str, dict[str, Any]] = {
        "adaptation": {"adaptation": Adaptation(wccn="off")},
        "verification": {"verification": Verification(mode="off")},
        "prototype": {"ranking": Ranking(aggregation="max")},
    }

    def only(*chosen: str) -> Pipeline:
        settings: dict[str, Any] = {}
        for name, present in parts.items():
            settings |= present if name in chosen else absent[name]
        return Pipeline(**settings)

    return {
        "all parts on": only(*parts),
        **{f"all but {name}": only(*(other for other in parts if other != name)) for name in parts},
        "no part": only(),
        **{f"{name} alone": only(name) for name in parts},
    }


def _pipeline(path: Path, name: str, document: object) -> Pipeline:
    try:
        return Pipeline.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        hint = ""
        if first["type"] == "extra_forbidden":
            close = difflib.get_close_matches(str(first["loc"][-1]), _known_at(first["loc"]), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(_known_at(first['loc']))}"
        raise ConfigurationInvalid(
            f"{path}, configuration {name!r}{f', {where}' if where else ''}: {first['msg']}{hint}",
            file=str(path),
            configuration=name,
            setting=where,
        ) from error


def _known_at(place: tuple[str | int, ...]) -> list[str]:
    """The settings that would be accepted beside the one at `place`."""
    if len(place) == 1:
        return list(_PARTS)
    part = Pipeline.model_fields[str(place[0])].annotation
    return list(getattr(part, "model_fields", {}))


def _add(found: dict[str, Pipeline], new: Mapping[str, Pipeline], source: str) -> None:
    for name, pipeline in new.items():
        if name in (*found, OURS, YARDSTICK):
            raise ConfigurationInvalid(
                f"{source}: there is a system {name!r} already; names must differ", configuration=name
            )
        if not name.strip():
            raise ConfigurationInvalid(f"{source}: a configuration needs a name", configuration=name)
        found[name] = pipeline
