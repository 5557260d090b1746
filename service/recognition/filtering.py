"""The filter of a request: `labels` and `where`, from JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from index.filter import LARGEST, MOST_CHARACTERS, MOST_CONDITIONS, MOST_LABELS, Filter, Scalar
from service.errors import FieldInvalid
from service.gallery.words import label_of

__all__ = ["FILTER_SCHEMA", "conditions_of", "filter_of", "labels_of", "parsed"]

_ECHO = 40

FILTER_SCHEMA: dict[str, dict[str, Any]] = {
    "labels": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "maxItems": MOST_LABELS,
        "description": "Ask about these labels alone. In a form: a JSON array. One that the gallery does not have is "
        "an error.",
    },
    "where": {
        "type": "object",
        "maxProperties": MOST_CONDITIONS,
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        "description": "Ask about items alone whose metadata has these top-level members. In a form: a JSON object. "
        "Types count: 3 is 3.0, but neither the text 3 nor true. Labels, scores and confidences are then those of a "
        "gallery of these items; the threshold stays the gallery's own, so its false-accept budget is not promised.",
    },
}


def filter_of(labels: object, where: object) -> Filter | None:
    """The filter that the two fields ask for, None for none.

    Args:
        labels, where: as JSON has them; None for a field that did not come.

    Raises:
        FieldInvalid, InvalidLabel: names the field.
    """
    wanted = Filter(
        labels=None if labels is None else labels_of(labels), where={} if where is None else conditions_of(where)
    )
    return wanted if wanted.labels is not None or wanted.where else None


def parsed(text: str, field: str) -> object:
    """The JSON in a text field.

    Raises:
        FieldInvalid: it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        example = '["ground 500 g"]' if field == "labels" else '{"store": "12"}'
        raise FieldInvalid(f"`{field}` must be JSON such as {example}; got {_short(text)}", field=field) from error


def labels_of(value: object) -> tuple[str, ...]:
    """Distinct labels, each as it is kept.

    Raises:
        FieldInvalid: no list of texts, an empty one, or too many. InvalidLabel: one that no item can have.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(label, str) for label in value):
        raise FieldInvalid(
            f'`labels` must be a JSON array of labels such as ["ground 500 g"]; got {_short(value)}', field="labels"
        )
    if not 1 <= len(value) <= MOST_LABELS:
        raise FieldInvalid(
            f"`labels` must name 1 to {MOST_LABELS} labels, and names {len(value)}; leave it out to ask about all",
            field="labels",
            limit=MOST_LABELS,
        )
    return tuple(label_of(label, "labels") for label in value)


def conditions_of(value: object) -> dict[str, Scalar]:
    """What members of the metadata must be equal to.

    Raises:
        FieldInvalid: no object, too many members, or one that cannot be compared with.
    """
    if not isinstance(value, dict):
        raise FieldInvalid(
            f'`where` must be a JSON object such as {{"store": "12", "aisle": 3}}; got {_short(value)}', field="where"
        )
    if len(value) > MOST_CONDITIONS:
        raise FieldInvalid(
            f"`where` may have {MOST_CONDITIONS} members, and has {len(value)}", field="where", limit=MOST_CONDITIONS
        )
    return {_text(name): _scalar(name, condition) for name, condition in value.items()}


def _scalar(name: str, value: object) -> Scalar:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool | float | int | None):
        if not isinstance(value, bool | None) and not abs(value) <= LARGEST:  # also what is no number
            raise FieldInvalid(
                f"`where` compares {_short(name)} with {_short(value)}; numbers up to 2^53 will do", field="where"
            )
        return value
    raise FieldInvalid(
        f"`where` compares {_short(name)} with {_short(value)}; it can be a text, a number, true, false or null",
        field="where",
    )


def _text(text: str) -> str:
    if len(text) > MOST_CHARACTERS:
        raise FieldInvalid(
            f"`where` holds a text of {len(text)} characters; up to {MOST_CHARACTERS} will do",
            field="where",
            limit=MOST_CHARACTERS,
        )
    # A NUL ends a text on SQLite; half of a surrogate pair is no UTF-8.
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise FieldInvalid(f"`where` holds a character that cannot be searched for: {_short(text)}", field="where")
    return text


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _ECHO else f"{shown[:_ECHO]}..."
