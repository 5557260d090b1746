from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index.background import Background
from index.errors import DiskFull, GenerationCorrupt, GenerationMismatch, GenerationNotFound
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
from index.pipeline import Pipeline, Verification
from index.recognizer import Recognizer
from index.tuner import tune
from index.verdict import Verdict
from index.verification import FeatureFileCorrupt
from tests.index.conftest import DIM, NO_VIEWS, HiddenWorld, World, item, surface

BUNDLE = "b" * 64


FILES = ["index.faiss", "items.npz", "features.bin", "distractors.npz", "calibration.json", "adaptation.bin"]

# Few photos to look at, and no clock that could cut a look short.
PIPELINE = Pipeline(verification=Verification(photos=6, budget_ms=600_000))


def reopen(root: Path, number: int = 1, bundle: str = BUNDLE, *, verify: bool = True) -> Recognizer:
    return open_recognizer(
        root, number, bundle_sha256=bundle, background=Background.none(DIM), pipeline=PIPELINE, verify=verify
    )[0]


class Tuned:
    """A gallery of 20 things with 3 photos each, adapted and verified, with questions; photo 5 has no local features.

    Attributes:
        gallery: with its tuning.
        queries: (60, d) a photo of each of 60 things.
        local: every other one comes with local features.
        extra: two photos of thing 35, which the gallery does not have.
    """

    def __init__(self) -> None:
        world = HiddenWorld(60)
        self.gallery = Recognizer(DIM, bundle_sha256=BUNDLE, pipeline=PIPELINE)
        self.gallery.upsert(
            [
                replace(photo, local=b"" if photo.number == 5 else surface((photo.number - 1) // 3).to_bytes())
                for photo in world.items(range(20), 3)
            ]
        )
        self.gallery.upsert(world.distractors(range(40, 60)))
        self.queries = np.concatenate([world.photos(thing) for thing in range(60)])
        self.local = [surface(thing) if thing % 2 else None for thing in range(60)]
        self.extra = world.photos(35, 2)
        self.gallery.tuning = self.tuning = tune(self.gallery)
        assert self.tuning.adaptation is not None
        assert self.tuning.verification

    def answers_of(self, recognizer: Recognizer) -> list[Verdict]:
        return recognizer.recognize(self.queries, local=self.local)


@pytest.fixture
def full(world: World, recognizer: Recognizer) -> Recognizer:
    recognizer.upsert(world.items(range(20, 30), 1, views=2, first=500))
    recognizer.upsert(world.distractors(range(40, 60)))
    recognizer.tuning = tune(recognizer)
    return recognizer


@pytest.fixture(scope="module")
def tuned() -> Tuned:
    """Not to be changed."""
    return Tuned()


@pytest.fixture(scope="module")
def written(tuned: Tuned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its generation; not to be changed."""
    root = tmp_path_factory.mktemp("written")
    write_generation(root, tuned.gallery, change=1)
    return root


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    """The same, to do harm to: the generation's folder."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path / "generations" / "1"


def test_a_generation_answers_as_the_gallery_did(world: World, full: Recognizer, tmp_path: Path) -> None:
    generation = write_generation(tmp_path, full, change=17)
    assert generation.number == 1
    assert generation.manifest.change == 17
    assert (generation.manifest.items, generation.manifest.labels, generation.manifest.distractors) == (90, 30, 20)
    opened = reopen(tmp_path)
    queries = np.concatenate([world.photos(thing) for thing in range(60)])
    assert opened.recognize(queries) == full.recognize(queries)
    assert opened.labels() == full.labels()
    assert full.tuning is not None
    assert tune(opened).to_parts() == full.tuning.to_parts()


def test_changes_over_a_generation_equal_a_gallery_made_at_once(world: World, full: Recognizer, tmp_path: Path) -> None:
    write_generation(tmp_path, full, change=1)
    opened = reopen(tmp_path)
    added = [Item(700 + at, f"new{at}", "thing-35", photo, NO_VIEWS) for at, photo in enumerate(world.photos(35, 3))]
    for gallery in (opened, full):
        gallery.upsert(added)
        gallery.remove([1, 2, 501, 10_003])
        gallery.upsert([Item(7, "id7", "renamed", world.centres[50], NO_VIEWS)])
    queries = np.concatenate([world.photos(thing) for thing in range(60)])
    assert opened.recognize(queries) == full.recognize(queries)
    second = write_generation(tmp_path, opened, change=2)
    assert second.number == 2
    assert reopen(tmp_path, 2).recognize(queries) == full.recognize(queries)


def test_adaptation_and_local_features_answer_as_they_did(tuned: Tuned, written: Path) -> None:
    opened = reopen(written)
    verdicts = tuned.answers_of(opened)
    assert verdicts == tuned.answers_of(tuned.gallery)
    assert any(photo.inliers for verdict in verdicts for photo in verdict.candidates[0].items)
    assert verdicts != opened.recognize(tuned.queries)  # local features had their say
    assert opened.tuning is not None
    assert opened.tuning.to_parts() == tuned.tuning.to_parts()
    assert tune(opened).to_parts() == tuned.tuning.to_parts()
    np.testing.assert_array_equal(opened.features.numbers(), tuned.gallery.features.numbers())
    assert 5 not in opened.features


def test_written_again_it_is_the_same(written: Path, tmp_path: Path) -> None:
    again = write_generation(tmp_path, reopen(written), change=1)
    assert again.manifest.files.keys() == set(FILES)
    for name in ("features.bin", "adaptation.bin", "calibration.json"):
        assert again.manifest.files[name] == verify_generation(written, 1).manifest.files[name], name


def test_changes_over_features_equal_a_gallery_made_at_once(written: Path, tmp_path: Path) -> None:
    tuned, opened = Tuned(), reopen(written)
    one, other = tuned.extra
    for gallery in (opened, tuned.gallery):
        gallery.upsert([item(700, "thing-35", one, local=surface(35)), item(7, "thing-35", other)])
        gallery.remove([1, 10_003])
        assert 7 not in gallery.features  # its new photo came without
        assert 1 not in gallery.features
    expected = tuned.answers_of(tuned.gallery)
    assert tuned.answers_of(opened) == expected
    write_generation(tmp_path, opened, change=2)
    reopened = reopen(tmp_path)
    assert tuned.answers_of(reopened) == expected
    held = reopened.features.get(700)
    assert held is not None
    assert held.to_bytes() == surface(35).to_bytes()


def test_an_untuned_gallery_stays_untuned(world: World, recognizer: Recognizer, tmp_path: Path) -> None:
    generation = write_generation(tmp_path, recognizer, change=1)
    assert "calibration.json" not in generation.manifest.files
    assert reopen(tmp_path).tuning is None
    assert reopen(tmp_path).recognize(world.photos(0))[0].reason == "not_calibrated"


def test_publish_and_roll_back(recognizer: Recognizer, tmp_path: Path) -> None:
    assert current_generation(tmp_path) is None
    for change in (1, 2, 3):
        publish(tmp_path, write_generation(tmp_path, recognizer, change=change).number)
    assert current_generation(tmp_path) == 3
    assert rollback(tmp_path).number == 2
    assert rollback(tmp_path, 1).number == 1
    with pytest.raises(GenerationNotFound, match="no older generation"):
        rollback(tmp_path)
    with pytest.raises(GenerationNotFound, match="generation 9 is not on disk"):
        publish(tmp_path, 9)
    assert current_generation(tmp_path) == 1
    assert list_generations(tmp_path) == [1, 2, 3]


def test_every_file_is_in_the_manifest(written: Path, full: Recognizer, tmp_path: Path) -> None:
    generation = verify_generation(written, 1)
    assert sorted(generation.manifest.files) == sorted(FILES)
    assert sorted(path.name for path in generation.folder.iterdir()) == sorted([*FILES, "manifest.json"])
    plain = write_generation(tmp_path, full, change=2)  # nothing was adapted
    assert sorted(plain.manifest.files) == sorted(set(FILES) - {"adaptation.bin"})


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_file_is_refused_by_name(copy: Path, tmp_path: Path, name: str, damage: str) -> None:
    path = copy / name
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


@pytest.mark.parametrize("damage", ["cut", "not finite"])
def test_an_adaptation_of_another_making_is_refused(copy: Path, tmp_path: Path, damage: str) -> None:
    """Even where nobody checks the files' sums first."""
    content = (copy / "adaptation.bin").read_bytes()
    (copy / "adaptation.bin").write_bytes(content[:-4] + (b"" if damage == "cut" else np.float32(np.nan).tobytes()))
    with pytest.raises(GenerationCorrupt, match=r"adaptation\.bin"):
        reopen(tmp_path, verify=False)


def test_features_of_another_making_are_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "features.bin").write_bytes((copy / "features.bin").read_bytes()[:-1])
    with pytest.raises(FeatureFileCorrupt, match=r"features\.bin"):
        reopen(tmp_path, verify=False)


def test_a_generation_of_an_older_whichone_says_what_to_do(recognizer: Recognizer, tmp_path: Path) -> None:
    folder = write_generation(tmp_path, recognizer, change=1).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]["features.bin"], manifest["sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(GenerationCorrupt, match=r"without features\.bin; publish a new generation"):
        reopen(tmp_path)


def test_a_calibration_of_an_older_whichone_says_what_to_do(copy: Path, tmp_path: Path) -> None:
    (copy / "calibration.json").write_text(json.dumps({"score_weight": 1.0}))
    with pytest.raises(GenerationCorrupt, match=r"calibration\.json .* publish a new generation"):
        reopen(tmp_path, verify=False)


def test_another_bundle_is_refused(recognizer: Recognizer, tmp_path: Path) -> None:
    write_generation(tmp_path, recognizer, change=1)
    with pytest.raises(GenerationMismatch, match="cccccccccccc"):
        reopen(tmp_path, bundle="c" * 64)


def test_a_manifest_cannot_lead_out_of_its_folder(recognizer: Recognizer, tmp_path: Path) -> None:
    path = write_generation(tmp_path, recognizer, change=1).folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
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
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recognizer.index, "save", full_disk)
    with pytest.raises(DiskFull, match="the disk is full"):
        write_generation(tmp_path, recognizer, change=1)
    assert list((tmp_path / "generations").iterdir()) == []


def test_labels_of_any_letters_survive(world: World, tmp_path: Path) -> None:
    names = ["a/b", "émoji 🐋", "", "x" * 200, 'quote"\\']
    recognizer = Recognizer(DIM, bundle_sha256=BUNDLE)
    recognizer.upsert([Item(at + 1, f"i{at}", name, world.photos(at)[0], NO_VIEWS) for at, name in enumerate(names)])
    write_generation(tmp_path, recognizer, change=1)
    assert reopen(tmp_path).labels() == recognizer.labels()
