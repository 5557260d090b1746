"""The demo, top to bottom: enrol, ask, show, serve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.commands.terminal import note, print_json, progress_bar
from service.demo.contact_sheet import write_contact_sheet
from service.demo.outcome import Outcome, summary
from service.demo.photos import DemoSet, from_folder, shipped
from service.demo.queries import Query, make_queries
from service.demo.show import print_outcomes, print_server_lines
from service.gallery.item_repository import ItemFilter
from service.settings import Settings
from service.workspace import Workspace, open_workspace

__all__ = ["Demo", "run_demo"]

GALLERY = "default"
Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Demo:
    """A demo that was run.

    Attributes:
        folder: its data folder.
        contact_sheet: a picture of all queries with their verdicts.
    """

    photos: DemoSet
    outcomes: tuple[Outcome, ...]
    folder: Path
    contact_sheet: Path

    def to_json(self) -> dict[str, Any]:
        return {
            "data": str(self.folder),
            "contact_sheet": str(self.contact_sheet),
            "remarks": list(self.photos.remarks),
            "gallery": [{"label": photo.label, "photo": str(photo.path)} for photo in self.photos.gallery],
            "queries": [outcome.to_json() for outcome in self.outcomes],
            "summary": summary(self.outcomes),
        }


def run_demo(settings: Settings, *, photos: Path | None, server: bool, as_json: bool) -> None:
    """Run it in a data folder of its own (`demo` in the settings' one), and serve that.

    Args:
        photos: a folder with one sub-folder a label, instead of the photographs that packages ship.
        server: leave the server running until Ctrl-C.

    Raises:
        DemoNeedsExtra, PhotosFolderInvalid, WhichoneError.
    """
    chosen = shipped() if photos is None else from_folder(photos)
    # Its own folder and its own SQLite file: a demo must never write into somebody's gallery.
    settings = settings.model_copy(update={"data": settings.data / "demo", "database_url": None})
    with open_workspace(settings) as workspace:
        with progress_bar() as progress:
            demo = _run(workspace, chosen, progress)
        key = _admin_key(workspace) if server else None
    if as_json:
        print_json(demo.to_json())
    else:
        print_outcomes(demo.photos.remarks, demo.outcomes, demo.contact_sheet)
    if server:
        _serve(settings, demo, key)


def _run(workspace: Workspace, photos: DemoSet, progress: Report) -> Demo:
    folder = workspace.settings.data
    queries = make_queries(photos, folder / "queries", progress)
    _start_afresh(workspace)
    for done, photo in enumerate(photos.gallery, 1):
        workspace.enrol(photo.label, [photo.path], gallery=GALLERY)
        progress("enrolling", done, len(photos.gallery))
    workspace.galleries.learning.calibrate(GALLERY)
    outcomes = _ask(workspace, queries, progress)
    sheet = folder / "contact-sheet.png"
    write_contact_sheet(outcomes, sheet)
    return Demo(photos, outcomes, folder, sheet)


def _start_afresh(workspace: Workspace) -> None:
    """Empty the demo's gallery: what an earlier run enrolled, or its reader taught it, would change the answers."""
    if workspace.galleries.row(GALLERY).pinned is not None:
        workspace.galleries.publish(GALLERY)
    while items := workspace.gallery.page(GALLERY, ItemFilter()).items:
        for item in items:
            workspace.gallery.delete(GALLERY, item.id)


def _ask(workspace: Workspace, queries: Sequence[Query], progress: Report) -> tuple[Outcome, ...]:
    outcomes = []
    for done, query in enumerate(queries, 1):
        outcomes.append(Outcome(query, workspace.recognize(query.path, gallery=GALLERY).answer.verdict))
        progress("asking", done, len(queries))
    return tuple(outcomes)


def _admin_key(workspace: Workspace) -> str:
    """A key for the curl lines: the environment's, or one made for this run in place of an earlier run's."""
    given = workspace.settings.admin_key
    if given is not None:
        workspace.keys.ensure_admin(given.get_secret_value())
        return given.get_secret_value()
    earlier = [key for key in workspace.keys.list() if key.name.startswith("demo ")]
    for key in earlier:
        if key.revoked_at is None:
            workspace.keys.revoke(key.name)
    return workspace.keys.create(f"demo {len(earlier) + 1}", ["admin"])


def _serve(settings: Settings, demo: Demo, key: str | None) -> None:
    from service.server import run  # noqa: PLC0415  (the web server is not needed to run the demo itself)

    print_server_lines(settings, demo.outcomes, key or "")
    note("Ctrl-C stops the server.")
    run(settings)
