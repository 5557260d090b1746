"""Exports that nobody would have written, and machines that must refuse them."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from service.gallery.export_format import ExportInvalid
from service.models import LabelledQueryRow
from service.settings import Settings
from service.workspace import Workspace, open_workspace

Contents = dict[str, bytes]


def opened(data: Path, bundle: Path, database: str | None = None) -> Any:
    return open_workspace(Settings.load({}, data=data, bundle=bundle, threads=1, database_url=database))


def forge(export: Path, path: Path, change: Callable[[Contents, dict[str, Any]], None], **options: Any) -> None:
    """An export with other contents, and a manifest that agrees with them."""
    with zipfile.ZipFile(export) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(contents.pop("whichone.json"))
    change(contents, manifest)
    manifest["entries"] = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in contents.items()
    }
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
        archive.writestr("whichone.json", json.dumps(manifest))


def refused(target: Workspace, path: Path, match: str) -> None:
    """Importing it is, and leaves nothing."""
    with pytest.raises(ExportInvalid, match=match):
        target.importing.run(path, "shop")
    assert [row.name for row in target.galleries.rows()] == ["default"]
    assert list(target.photos.stored()) == []
    with target.database.read() as session:
        assert session.scalar(select(func.count()).select_from(LabelledQueryRow)) == 0
