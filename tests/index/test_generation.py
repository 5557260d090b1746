from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from index.background import Background
from index.errors import GenerationCorrupt, GenerationMismatch, GenerationNotFound
from index.generation import (
    current_generation,
    list_generations,
    open_recognizer,
    publish,
    rollback,
    verify_generation,
    write_generation,
)
from index.items import Item
from index.recognizer import Recognizer
from index.simulation import calibrate
from tests.index.conftest import DIM, World

BUNDLE = "b" * 64


def reopen(root: Path, number: int = 1, bundle: str = BUNDLE) -> Recognizer:
    return open_recognizer(root, number, bundle_sha256=bundle, background=Background.none(DIM))[0]


@pytest.fixture
def full(world: World, recognizer: Recognizer) -> Recognizer:
    recognizer.upsert(world.items(range(20, 30), 1, views=2, first=500))
    recognizer.upsert(world.distractors(range(40, 60)))
    recognizer.calibration = calibrate(recognizer)
    return recognizer


def test_a_generation_answers_as_the_gallery_did(world: World, full: Recognizer, tmp_path: Path) -> None:
    generation = write_generation(tmp_path, full, change=17)
    assert generation.number == 1
    assert generation.manifest.change == 17
    assert (generation.manifest.items, generation.manifest.labels, generation.manifest.distractors) == (90, 30, 20)
    opened = reopen(tmp_path)
    queries = np.concatenate([world.photos(thing) for thing in range(60)])
    assert opened.recognize(queries) == full.recognize(queries)
    assert opened.labels() == full.labels()
    assert calibrate(opened) == full.calibration


def test_changes_over_a_generation_equal_a_gallery_made_at_once(world: World, full: Recognizer, tmp_path: Path) -> None:
    write_generation(tmp_path, full, change=1)
    opened = reopen(tmp_path)
    none = np.empty((0, DIM), np.float32)
    added = [Item(700 + at, f"new{at}", "thing-35", photo, none) for at, photo in enumerate(world.photos(35, 3))]
    for gallery in (opened, full):
        gallery.upsert(added)
        gallery.remove([1, 2, 501, 10_003])
        gallery.upsert([Item(7, "id7", "renamed", world.centres[50], none)])
    queries = np.concatenate([world.photos(thing) for thing in range(60)])
    assert opened.recognize(queries) == full.recognize(queries)
    second = write_generation(tmp_path, opened, change=2)
    assert second.number == 2
    assert reopen(tmp_path, 2).recognize(queries) == full.recognize(queries)


def test_publish_and_roll_back(full: Recognizer, tmp_path: Path) -> None:
    assert current_generation(tmp_path) is None
    for change in (1, 2, 3):
        publish(tmp_path, write_generation(tmp_path, full, change=change).number)
    assert current_generation(tmp_path) == 3
    assert rollback(tmp_path).number == 2
    assert rollback(tmp_path, 1).number == 1
    with pytest.raises(GenerationNotFound, match="no older generation"):
        rollback(tmp_path)
    with pytest.raises(GenerationNotFound, match="generation 9 is not on disk"):
        publish(tmp_path, 9)
    assert current_generation(tmp_path) == 1
    assert list_generations(tmp_path) == [1, 2, 3]


@pytest.mark.parametrize("name", ["index.faiss", "items.npz", "distractors.npz", "calibration.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_file_is_refused_by_name(full: Recognizer, tmp_path: Path, name: str, damage: str) -> None:
    path = write_generation(tmp_path, full, change=1).folder / name
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:-1])
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(GenerationCorrupt, match=name.replace(".", r"\.")):
        reopen(tmp_path)
    with pytest.raises(GenerationCorrupt):
        rollback(tmp_path, 1)


def test_another_bundle_is_refused(full: Recognizer, tmp_path: Path) -> None:
    write_generation(tmp_path, full, change=1)
    with pytest.raises(GenerationMismatch, match="cccccccccccc"):
        reopen(tmp_path, bundle="c" * 64)


def test_a_manifest_cannot_lead_out_of_its_folder(full: Recognizer, tmp_path: Path) -> None:
    path = write_generation(tmp_path, full, change=1).folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["../../secret"] = "0" * 64
    path.write_text(json.dumps(manifest))
    with pytest.raises(GenerationCorrupt, match="plain file name"):
        verify_generation(tmp_path, 1)
    path.write_text("{}")
    with pytest.raises(GenerationCorrupt, match=r"manifest\.json"):
        verify_generation(tmp_path, 1)


def test_current_that_holds_no_number_is_refused(tmp_path: Path) -> None:
    (tmp_path / "CURRENT").write_text("newest")
    with pytest.raises(GenerationCorrupt, match="newest"):
        current_generation(tmp_path)


def test_a_failed_write_leaves_nothing_behind(
    full: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(full.index, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_generation(tmp_path, full, change=1)
    assert list((tmp_path / "generations").iterdir()) == []


def test_labels_of_any_letters_survive(world: World, tmp_path: Path) -> None:
    names = ["a/b", "émoji 🐋", "", "x" * 200, 'quote"\\']
    recognizer = Recognizer(DIM, bundle_sha256=BUNDLE)
    none = np.empty((0, DIM), np.float32)
    recognizer.upsert([Item(at + 1, f"i{at}", name, world.photos(at)[0], none) for at, name in enumerate(names)])
    write_generation(tmp_path, recognizer, change=1)
    assert reopen(tmp_path).labels() == recognizer.labels()
