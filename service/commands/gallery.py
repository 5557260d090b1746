"""`whichone index`: photos into a gallery and out of it (generations: `generations`, pins: `pins`)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from embedding.errors import InputError
from service.commands.folder import opened
from service.commands.terminal import note, print_json, progress_bar, stdout
from service.errors import BundleMismatch, StorageError, UnknownLabel
from service.gallery.item_repository import ItemFilter
from service.gallery.schemas import ChoiceInfo
from service.settings import Settings
from service.workspace import Workspace

__all__ = [
    "PhotosLost",
    "list_galleries",
    "list_items",
    "list_labels",
    "recalibrate",
    "refresh",
    "remove_items",
]

PAGE = 500


class PhotosLost(StorageError):
    """Items whose photo is missing or damaged on disk."""

    code = "photos_lost"


def recalibrate(workspace: Workspace, gallery: str) -> None:
    """What a running server does in the background; without one, nobody else would."""
    for entry in workspace.galleries.learning.stale():
        if entry.name != gallery:
            continue
        try:
            workspace.galleries.learning.calibrate_in_background(entry)
        except BundleMismatch as error:  # photos can be removed whatever model is loaded
            note(f"not calibrated anew: {error.message}")


def remove_items(settings: Settings, ids: Sequence[str], *, gallery: str, label: str | None, as_json: bool) -> None:
    """Remove by id, by label, or both.

    Raises:
        InputError: neither was given.
        UnknownItem, UnknownLabel: names what is not there; what came before it is removed.
    """
    if not ids and label is None:
        raise InputError("what is to be removed? Give item ids (whichone index list --label NAME) or --label NAME")
    with opened(settings) as workspace:
        removed = 0
        for id_ in ids:
            workspace.gallery.delete(gallery, id_)
            removed += 1
        if label is not None:
            try:
                removed += workspace.gallery.delete_label(gallery, label)
            except UnknownLabel as error:
                raise _with_similar(workspace, gallery, label, error) from None
        recalibrate(workspace, gallery)
    if as_json:
        print_json({"removed": removed})
    else:
        stdout().print(f"{removed} item(s) removed from gallery {gallery}")


def _with_similar(workspace: Workspace, gallery: str, label: str, error: UnknownLabel) -> UnknownLabel:
    names = [name for name, _ in workspace.gallery.labels(gallery)]
    close = difflib.get_close_matches(label, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "whichone index list shows them"
    return UnknownLabel(f"gallery {gallery!r} has no label {label!r}; {hint}", **error.details)


# ---------------------------------------------------------------- looking


def list_labels(settings: Settings, *, gallery: str, as_json: bool) -> None:
    """Every label and how many photos it has."""
    with opened(settings) as workspace:
        labels = workspace.gallery.labels(gallery)
        distractors = workspace.gallery.page(gallery, ItemFilter(kind="distractor"), limit=1).total
    if as_json:
        document = [{"label": label, "items": count} for label, count in labels]
        print_json({"gallery": gallery, "labels": document, "distractors": distractors})
        return
    if not labels:
        note(f"gallery {gallery} has no photos yet; add some with whichone index add FOLDER")
    table = Table("label", "photos")
    for label, count in labels:
        table.add_row(escape(label), str(count))
    stdout().print(table)
    stdout().print(f"{len(labels)} label(s), {sum(count for _, count in labels)} photo(s), {distractors} distractor(s)")


def list_items(settings: Settings, *, gallery: str, label: str, as_json: bool) -> None:
    """Every item of a label."""
    rows: list[dict[str, Any]] = []
    with opened(settings) as workspace:
        after: int | None = 0
        while after is not None:
            page = workspace.gallery.page(gallery, ItemFilter(kind="item", label=label), after=after, limit=PAGE)
            rows += [
                {
                    "id": row.id,
                    "label": row.label,
                    "sha256": row.image_sha256,
                    "external_id": row.external_id,
                    "metadata": row.item_metadata,
                    "width": row.width,
                    "height": row.height,
                    "created_at": row.created_at.isoformat(),
                }
                for row in page.items
            ]
            after = page.after
        if not rows:
            missing = UnknownLabel(f"gallery {gallery!r} has no label {label!r}", gallery=gallery, label=label)
            raise _with_similar(workspace, gallery, label, missing)
    if as_json:
        print_json({"gallery": gallery, "items": rows})
        return
    table = Table("id", "size", "external id", "added", "sha256")
    for row in rows:
        size = f"{row['width']} x {row['height']}"
        table.add_row(row["id"], size, escape(row["external_id"] or ""), row["created_at"][:19], row["sha256"][:12])
    stdout().print(table)


def list_galleries(settings: Settings, *, as_json: bool) -> None:
    """Every gallery: how much it holds, and its generations."""
    with opened(settings) as workspace:
        rows = [_gallery(workspace, row.name) for row in workspace.galleries.rows()]
    if as_json:
        print_json({"galleries": rows})
        return
    table = Table(
        "gallery",
        "labels",
        "photos",
        "distractors",
        "far budget",
        "strangers",
        "generation",
        "generations",
        "parts used",
    )
    for row in rows:
        pinned = " (pinned)" if row["pinned"] else ""
        table.add_row(
            row["name"],
            *(str(row[name]) for name in ("labels", "items", "distractors")),
            f"{100 * row['far_budget']:g} %",
            "by settings" if row["unknown_share"] is None else f"{100 * row['unknown_share']:g} %",
            f"{row['generation'] or 'none'}{pinned}",
            ", ".join(map(str, row["generations"])) or "none",
            "\n".join(map(_choice, row["choices"])) or "not calibrated yet",
        )
    stdout().print(table)
    for row in rows:
        if row["without_features"] and settings.verification != "off":
            note(
                f"{row['without_features']} of {row['items']} photo(s) of gallery {row['name']} have no local features "
                f"and are not verified; whichone index refresh --gallery {row['name']} extracts them"
            )


def _gallery(workspace: Workspace, name: str) -> dict[str, Any]:
    row = workspace.galleries.row(name)
    sizes = workspace.gallery.sizes(name)
    return {
        "name": name,
        "labels": sizes.labels,
        "items": sizes.items,
        "distractors": sizes.distractors,
        "without_features": sizes.without_features,
        "far_budget": row.far_budget,
        "unknown_share": row.unknown_share,
        "generation": row.generation,
        "pinned": row.pinned is not None,
        "generations": workspace.galleries.generations(name),
        "choices": [ChoiceInfo.of(choice).model_dump() for choice in workspace.galleries.learning.choices(row)],
    }


def _choice(choice: dict[str, Any]) -> str:
    """Whether a part is used, and why, in words."""
    if choice["why"] == "measured" and choice["queries"]:
        why = (
            f"{100 * choice['right_with']:.1f} % right with it, {100 * choice['right_without']:.1f} % without, "
            f"of {choice['queries']} photos asked about"
        )
    else:
        words = {
            "on": "so say the settings",
            "off": "so say the settings",
            "default": "too few photos to ask",
            "measured": "its photos have too little texture",
        }
        why = words.get(choice["why"], choice["why"])
    part = f"ranking by {choice['form']}" if choice["form"] else choice["part"]
    return f"{part}: {'yes' if choice['used'] else 'no'} ({why})"


# ---------------------------------------------------------------- local features


def refresh(settings: Settings, *, gallery: str, as_json: bool) -> None:
    """Extract the local features of items that have none, from their stored photos.

    Raises:
        PhotosLost: some photos cannot be read any more; all others are done.
    """
    with opened(settings) as workspace:
        with progress_bar() as progress:
            done = workspace.feature_refresh.run(
                gallery, lambda done, total: progress("extracting local features", done, total)
            )
        if done.items:
            recalibrate(workspace, gallery)
    if as_json:
        print_json({"refreshed": done.items, "unreadable": done.unreadable})
    else:
        stdout().print(f"{done.items} photo(s) of gallery {gallery} got their local features")
    if done.unreadable:
        listed = ", ".join(done.unreadable[:10]) + (", ..." if len(done.unreadable) > 10 else "")
        raise PhotosLost(
            f"the photos of {len(done.unreadable)} item(s) cannot be read any more: {listed}; they are still "
            "recognised, but not verified",
            items=done.unreadable,
        )
