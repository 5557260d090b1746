"""A bundle is adapted from photos on disk, or left alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the training extra")

from embedding.bundle import Bundle, BundleInvalid  # noqa: E402
from embedding.embedder import Embedder  # noqa: E402
from tests.training.adapt.given import bundle, draw  # noqa: E402
from training.adapt.adapted_bundle import write_adapted  # noqa: E402
from training.adapt.adapting import adapt_bundle  # noqa: E402
from training.adapt.features import embed_listing  # noqa: E402
from training.adapt.graph import append_map  # noqa: E402
from training.commands.adapt import adapt  # noqa: E402
from training.data.listing import read_listing  # noqa: E402
from training.errors import RecipeInvalid  # noqa: E402
from training.export.whole_folder import OutputRefused  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture
def old(tmp_path: Path) -> Bundle:
    return bundle(tmp_path / "old")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return draw(tmp_path / "photos")


def _images(listed: Path) -> list[Image.Image]:
    return [Image.open(one.path).convert("RGB") for one in read_listing(listed)]


def _map(dim: int = 48) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((dim, dim)).astype(np.float32)


def test_the_graph_does_what_the_map_does(old: Bundle, photos: Path, tmp_path: Path) -> None:
    map_ = _map()
    new = write_adapted(old, tmp_path / "new", map_, name="cells", version="2", done={}, measured={})
    before, after = Embedder(old).embed(_images(photos)), Embedder(new).embed(_images(photos))
    moved = before.astype(np.float64) @ map_.T
    np.testing.assert_allclose(after, moved / np.linalg.norm(moved, axis=1, keepdims=True), atol=2e-6)
    for read in (Bundle.distractors, Bundle.distractor_views):
        moved = read(old).astype(np.float64) @ map_.T
        np.testing.assert_allclose(read(new), moved / np.linalg.norm(moved, axis=-1, keepdims=True), atol=2e-6)


def test_a_photo_s_embedding_does_not_depend_on_its_company(old: Bundle, tmp_path: Path) -> None:
    append_map(old.model_path("float32"), tmp_path / "new.onnx", _map())
    session = onnxruntime.InferenceSession(str(tmp_path / "new.onnx"), providers=["CPUExecutionProvider"])
    given = np.random.default_rng(2).standard_normal((9, 3, 16, 16)).astype(np.float32)
    together = session.run(["embedding"], {"image": given})[0]
    alone = np.concatenate([session.run(["embedding"], {"image": one[None]})[0] for one in given])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


def test_a_graph_is_adapted_twice(old: Bundle, photos: Path, tmp_path: Path) -> None:
    first, second = _map(), np.roll(_map(), 3, axis=0)
    once = write_adapted(old, tmp_path / "once", first, name="cells", version="2", done={}, measured={})
    twice = write_adapted(once, tmp_path / "twice", second, name="cells", version="3", done={}, measured={})
    moved = Embedder(once).embed(_images(photos)).astype(np.float64) @ second.T
    got = Embedder(twice).embed(_images(photos))
    np.testing.assert_allclose(got, moved / np.linalg.norm(moved, axis=1, keepdims=True), atol=2e-6)
    assert twice.manifest.recipe["before"]["adapted_from"]["bundle"] == old.id


def test_adapting_helps_and_says_how(old: Bundle, photos: Path, tmp_path: Path) -> None:
    done = adapt_bundle(photos, old, tmp_path / "new", method="whitening", views=0)
    assert done.bundle is not None
    assert done.chosen is not None
    assert done.chosen.gains.seen > 0.1
    assert done.chosen.gains.unseen > 0.1
    manifest = Bundle.open(tmp_path / "new").manifest
    assert manifest.id == "cells-adapted@1"
    assert manifest.recipe["adapted_from"] == {"bundle": "cells@1", "sha256": old.sha256}
    assert manifest.recipe["method"] == done.chosen.candidate.name
    assert (manifest.recipe["photos"], manifest.recipe["labels"]) == (60, 12)
    assert manifest.metrics["after_adaptation"]["seen"] == pytest.approx(done.chosen.mean.seen)
    assert manifest.metrics["before_adaptation"]["seen"] == pytest.approx(done.before.seen)
    assert set(manifest.files) == {"NOTICE", "distractors.npz", "model.onnx"}, "the old bundle's card is not the new's"
    assert "Adapted" in (tmp_path / "new" / "NOTICE").read_text()


def test_nothing_is_written_when_nothing_is_better(
    old: Bundle, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = photos.with_name("mixed-up.csv")
    with photos.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    labels = np.random.default_rng(0).permutation([label for _, label in rows])
    with listed.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *zip((path for path, _ in rows), labels, strict=True)])
    done = adapt(str(listed), str(old.folder), tmp_path / "new", method="whitening", views=0)
    assert done.bundle is None
    assert not (tmp_path / "new").exists()
    told = capsys.readouterr().out
    assert "the bundle stays as it is" in told
    assert "cells@1, as it is" in told


def test_the_facts_as_json(old: Bundle, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapt(str(photos), str(old.folder), tmp_path / "new", method="whitening", views=0, name="mine", as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["adapted"] is True
    assert facts["bundle"] == "mine@1"
    best = max((one for one in facts["tried"] if one["better"]), key=lambda one: one["mean_gain"])
    assert facts["chosen"] == best["name"]
    assert facts["before"]["seen"] + best["gains"]["seen"] == pytest.approx(best["after"]["seen"])


def test_photos_are_embedded_once(old: Bundle, photos: Path, tmp_path: Path) -> None:
    listed, cache = read_listing(photos)[:6], tmp_path / "kept.npz"
    first = embed_listing(listed, Embedder(old), views=2, cache=cache)
    assert first.views.shape == (6, 2, 48)
    told: list[tuple[int, int]] = []
    again = embed_listing(
        listed, Embedder(old), views=2, cache=cache, progress=lambda _, done, of: told.append((done, of))
    )
    assert not told, "nothing is left to embed"
    np.testing.assert_array_equal(first.vectors, again.vectors)
    np.testing.assert_array_equal(first.views, again.views)
    np.testing.assert_array_equal(first.vectors, Embedder(old).embed(_images(photos)[:6]))
    assert not np.allclose(first.views[:, 0], first.views[:, 1])


def test_the_test_photos_are_left_out(old: Bundle, photos: Path, tmp_path: Path) -> None:
    listed = photos.with_name("parted.csv")
    with photos.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    with listed.open("w", newline="") as file:
        parts = ["test" if at % 5 == 0 else "" for at in range(len(rows))]
        csv.writer(file).writerows(
            [("path", "label", "split"), *((*row, part) for row, part in zip(rows, parts, strict=True))]
        )
    assert adapt_bundle(listed, old, tmp_path / "new", method="whitening", views=0).photos == 48


def test_mistakes_are_told_before_any_photo_is_read(old: Bundle, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("kept")
    with pytest.raises(OutputRefused, match="not empty"):
        adapt_bundle("nowhere.csv", old, tmp_path / "taken")
    with pytest.raises(RecipeInvalid, match="another name or version"):
        adapt_bundle("nowhere.csv", old, tmp_path / "new", name="cells", version="1")
    with pytest.raises(BundleInvalid, match="name"):
        adapt_bundle("nowhere.csv", old, tmp_path / "new", name="No Name!")
