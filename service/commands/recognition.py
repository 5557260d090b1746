"""`whichone recognize`: ask about photos, without a server."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.markup import escape
from rich.table import Table

from embedding.errors import InputError
from embedding.images import Box
from index.search_inside import Region
from index.verdict import MatchedItem, Verdict
from service.commands.folder import opened
from service.commands.terminal import note, print_json, progress_bar, stdout
from service.recognition.filtering import filter_of
from service.recognition.service import Recognition, search_of
from service.settings import Settings

__all__ = ["PhotosNotAnswered", "recognize_photos", "verdict_cell", "why"]

COLOURS = {"known": "green", "ambiguous": "yellow", "unknown": "cyan"}


class PhotosNotAnswered(InputError):
    """Some photos could not be used; all others were answered."""

    code = "photos_not_answered"


def recognize_photos(
    settings: Settings,
    photos: Sequence[Path],
    *,
    gallery: str,
    top_k: int,
    box: str | None,
    search: str,
    explain: bool,
    as_json: bool,
    labels: Sequence[str] = (),
    where: Sequence[str] = (),
) -> None:
    """Answer every photo that can be read; `explain` for receipts in the JSON.

    Args:
        labels: ask about these alone; none for all.
        where: conditions on the items' metadata, each NAME=VALUE.

    Raises:
        PhotosNotAnswered: some could not be used; they are listed on stderr.
    """
    if explain and not as_json:
        raise InputError("--explain adds a receipt to the JSON: say --json as well, and keep it in a file")
    region, way = Box.parse(box) if box is not None else None, search_of(search)
    wanted = filter_of(list(labels) or None, _conditions(where) or None)
    answered: list[tuple[Path, Recognition]] = []
    refused: list[tuple[Path, str]] = []
    with opened(settings) as workspace, progress_bar() as progress:
        for done, path in enumerate(photos, 1):
            source = sys.stdin.buffer.read() if str(path) == "-" else path
            try:
                recognition = workspace.recognize(
                    source, gallery=gallery, box=region, top_k=top_k, explain=explain, search=way, wanted=wanted
                )
                answered.append((path, recognition))
            except InputError as error:
                refused.append((path, error.message))
            progress("asking", done, len(photos))
    for path, message in refused:
        note(f"not answered: {path}: {message}")
    if as_json:
        print_json([{"photo": str(path), **recognition.to_json()} for path, recognition in answered])
    elif answered:
        _print_table(answered)
    if refused:
        raise PhotosNotAnswered(f"{len(refused)} of {len(photos)} photo(s) could not be used; see above")


def _conditions(texts: Sequence[str]) -> dict[str, object]:
    """Conditions from NAME=VALUE: a value that is a JSON scalar is one, any other is a text.

    Raises:
        InputError: one without "=", or two for one name.
    """
    found: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--where takes NAME=VALUE, such as store=12; got {text[:60]!r}")
        if name in found:
            raise InputError(
                f"--where names {name[:60]!r} twice, but an item has one value of it; ask about one a time"
            )
        try:
            scalar = json.loads(value, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            scalar = value
        found[name] = value if isinstance(scalar, list | dict) else scalar
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is a text")  # Python would read NaN and Infinity as numbers


def verdict_cell(verdict: str) -> str:
    """The verdict in its colour, as rich markup."""
    return f"[{COLOURS[verdict]}]{verdict}[/{COLOURS[verdict]}]"


def why(verdict: Verdict) -> str:
    """The explanation, short enough for a table."""
    if not verdict.candidates:
        return verdict.reason.replace("_", " ")
    if verdict.reason == "unusable_photo":
        return verdict.explanation
    best = verdict.candidates[0]
    cosine = _likeness(best.items[0]) if best.items else "no photo"
    if verdict.verdict == "known":
        return f"{cosine}; threshold {verdict.threshold:.2f}"
    if verdict.reason == "too_close" and len(verdict.candidates) > 1:
        return f"{best.label} or {verdict.candidates[1].label}: too close to call"
    return f"nearest {best.label}, {cosine}; threshold {verdict.threshold:.2f}"


def _likeness(photo: MatchedItem) -> str:
    places = f", {photo.inliers} places in common" if photo.inliers else ""
    return f"cosine {photo.similarity:.2f}{places}"


def _where(box: Region | None) -> str:
    return "" if box is None else f"; in {','.join(map(str, box))}"


def _print_table(answered: Sequence[tuple[Path, Recognition]]) -> None:
    table = Table("photo", "verdict", "label", "confidence", "why")
    for path, recognition in answered:
        verdict = recognition.answer.verdict
        table.add_row(
            escape(str(path)),
            verdict_cell(verdict.verdict),
            escape(verdict.label or ""),
            f"{verdict.confidence:.2f}",
            escape(why(verdict) + _where(recognition.box)),
        )
    stdout().print(table)
