"""What callers may write: gallery names, labels, external ids, metadata. Each check returns the value as it is kept."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, NoReturn

from service.errors import FieldInvalid, FieldTooLarge, InvalidGalleryName, InvalidLabel, InvalidMetadata

__all__ = ["MAX_LABEL", "external_id_of", "gallery_name", "label_of", "metadata_of"]

MAX_LABEL = 200
_GALLERY_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_MAX_DEPTH = 8
_ECHO = 60


def gallery_name(text: str) -> str:
    """A gallery's name.

    Raises:
        InvalidGalleryName: see the message.
    """
    if not _GALLERY_NAME.fullmatch(text):
        raise InvalidGalleryName(
            f"{_short(text)} is not a gallery name: 1 to 64 of a-z, 0-9, - and _, starting with a letter or digit",
            field="gallery",
        )
    return text


def label_of(text: str, field: str = "label") -> str:
    """A label: trimmed, in Unicode's composed form (NFC), so that one name has one spelling.

    Raises:
        InvalidLabel: empty, over 200 characters, with control characters, or a dot or two alone.
    """
    label = unicodedata.normalize("NFC", text).strip()
    if not label:
        raise InvalidLabel("a label needs at least one character that is not a space", field=field)
    if len(label) > MAX_LABEL:
        raise InvalidLabel(
            f"this label has {len(label)} characters; up to {MAX_LABEL} will do", field=field, limit=MAX_LABEL
        )
    if (bad := _unwritable(label)) is not None:
        raise InvalidLabel(f"a label may not hold the control character U+{ord(bad):04X}", field=field)
    if label in {".", ".."}:  # clients take them out of a URL's path, so /labels/{label} could never name it
        raise InvalidLabel(f"a label cannot be {label!r} alone; add a letter or digit", field=field)
    return label


def external_id_of(text: str) -> str | None:
    """The caller's own id of a thing; empty is none.

    Raises:
        FieldInvalid: over 200 characters, or with control characters.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if len(text) > MAX_LABEL:
        raise FieldInvalid(
            f"external_id has {len(text)} characters; up to {MAX_LABEL} will do", field="external_id", limit=MAX_LABEL
        )
    if (bad := _unwritable(text)) is not None:
        raise FieldInvalid(f"external_id may not hold the control character U+{ord(bad):04X}", field="external_id")
    return text or None


def metadata_of(text: str, limit: int) -> dict[str, Any]:
    """Metadata: a JSON object, from its text.

    Args:
        limit: most bytes.

    Raises:
        FieldTooLarge, InvalidMetadata: too long; not JSON, not an object, too deep, or not writable as UTF-8.
    """
    if len(text.encode(errors="replace")) > limit:
        raise FieldTooLarge(f"metadata may have {limit} bytes", field="metadata", limit=limit)
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError:
        _refuse(f"metadata is nested too deep; {_MAX_DEPTH} levels will do")
    except ValueError as error:
        _refuse(f'metadata is not JSON ({error}); send an object such as {{"size": "500 g"}}; got {_short(text)}')
    if not isinstance(value, dict):
        _refuse(f'metadata must be a JSON object such as {{"size": "500 g"}}; got {_short(text)}')
    if _depth(value) > _MAX_DEPTH:
        _refuse(f"metadata is nested {_depth(value)} levels deep; {_MAX_DEPTH} will do")
    return value


def _unwritable(text: str) -> str | None:
    # Cc: control characters. Cs: half of a surrogate pair, which no UTF-8 can hold. Zl, Zp: line ends in disguise.
    return next((char for char in text if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}), None)


def _refuse(message: str) -> NoReturn:
    raise InvalidMetadata(message, field="metadata")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _short(text: str) -> str:
    return repr(text if len(text) <= _ECHO else text[:_ECHO] + "...")
