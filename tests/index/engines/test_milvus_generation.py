"""A gallery's generations on a Milvus server: what lies in the collections, and which of them is in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index.background import Background
from index.engines import EngineUnavailable, InvalidEngineSpec, MilvusSpec, milvus_server
from index.errors import GenerationCorrupt
from index.generation import (
    check_generation,
    clear_leftovers,
    current_generation,
    open_recognizer,
    prune,
    publish,
    rollback,
    write_generation,
)
from index.generation.manifest import Generation
from index.recognizer import Recognizer
from index.tuner import tune
from tests.index.conftest import DIM, World, item, unit

BUNDLE = "b" * 64


@pytest.fixture(scope="module")
def world() -> World:
    return World(60)


@pytest.fixture(scope="module")
def gallery(world: World) -> Recognizer:
    """Not to be changed."""
    recognizer = Recognizer(DIM, bundle_sha256=BUNDLE)
    recognizer.upsert(world.items(range(30), 3))
    recognizer.upsert(world.distractors(range(40, 60)))
    recognizer.tuning = tune(recognizer)
    return recognizer


def reopen(root: Path, number: int) -> Recognizer:
    return open_recognizer(root, number, bundle_sha256=BUNDLE, background=Background.none(DIM))[0]


def used(client: Any, gallery: str) -> str:
    return str(client.describe_alias(f"whichone_gallery_{gallery}")["collection_name"])


def test_generations_come_into_use_for_all_and_answer_as_exact_search(
    milvus_lite: Any, world: World, gallery: Recognizer, tmp_path: Path
) -> None:
    root, queries = tmp_path / "shelf", np.concatenate([world.photos(thing) for thing in range(60)])
    meant = []
    for engine, recall in (("milvus,flat", None), ("milvus,ivf", 1.0)):
        generation = write_generation(root, gallery, change=1, engine=engine)
        assert (generation.manifest.asked, generation.manifest.recall) == (engine, recall)
        publish(root, generation.number)
        meant.append(used(milvus_lite, "shelf"))
        opened = reopen(root, generation.number)
        assert opened.recognize(queries) == gallery.recognize(queries)
        opened.upsert(world.items(range(50, 51), 3, first=700))  # a write, at once seen over it
        assert [verdict.candidates[0].label for verdict in opened.recognize(world.photos(50))] == ["thing-50"]
    assert meant[0] != meant[1]
    assert rollback(root).number == 1
    assert used(milvus_lite, "shelf") == meant[0]


def test_a_collection_can_be_read_by_others(milvus_lite: Any, gallery: Recognizer, tmp_path: Path) -> None:
    generation = write_generation(tmp_path / "open", gallery, change=1, engine="milvus,flat")
    publish(tmp_path / "open", generation.number)
    asked = ["number", "id", "label", "penalty", "vector"]
    rows = milvus_lite.query("whichone_gallery_open", filter="label == 'thing-7'", output_fields=asked)
    assert sorted(row["number"] for row in rows) == gallery.table.of_label("thing-7").tolist()
    for row in rows:
        vector = np.array(row["vector"], np.float32)[None]
        np.testing.assert_array_equal(vector, gallery.index.reconstruct(np.array([row["number"]])))
        assert row["id"] == gallery.table.id(row["number"])
        assert row["penalty"] == pytest.approx(float(gallery.distractors.penalties(vector)[0]), abs=1e-6)


def test_effort_is_tuned_unless_it_is_named(milvus_lite: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    recognizer = Recognizer(DIM, bundle_sha256=BUNDLE)
    rows = unit(random.standard_normal((1_500, DIM)))
    recognizer.upsert([item(at, f"thing-{at}", row) for at, row in enumerate(rows)])
    tuned = write_generation(tmp_path, recognizer, change=1, engine="milvus,ivf").manifest
    assert isinstance(tuned.engine, MilvusSpec)
    assert tuned.engine.probes > 1
    assert tuned.recall is not None
    assert tuned.recall >= 0.99
    named = write_generation(tmp_path, recognizer, change=1, engine="milvus,ivf,probes=1").manifest
    assert named.recall is not None
    assert named.recall < 0.9


def test_what_cannot_reach_the_recall_leaves_no_collection(
    milvus_lite: Any, gallery: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.generation.vectors.RECALL_FLOOR", 1.1)
    before = set(milvus_lite.list_collections())
    with pytest.raises(InvalidEngineSpec, match="however far it looks"):
        write_generation(tmp_path, gallery, change=1, engine="milvus,hnsw")
    assert set(milvus_lite.list_collections()) <= before  # those of earlier tests may go meanwhile


def test_what_is_not_accepted_leaves_no_collection(milvus_lite: Any, gallery: Recognizer, tmp_path: Path) -> None:
    def refuse(generation: Generation) -> None:
        raise RuntimeError("not this one")

    before = set(milvus_lite.list_collections())
    with pytest.raises(RuntimeError, match="not this one"):
        write_generation(tmp_path, gallery, change=1, engine="milvus,flat", accept=refuse)
    assert set(milvus_lite.list_collections()) <= before  # those of earlier tests may go meanwhile
    assert list((tmp_path / "generations").iterdir()) == []


def test_generations_that_go_take_their_collections_along_now_or_later(
    milvus_lite: Any, gallery: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(milvus_lite.list_collections())
    for _ in range(3):
        publish(tmp_path, write_generation(tmp_path, gallery, change=1, engine="milvus,flat").number)
    assert prune(tmp_path, keep=2, besides={3}) == [1]
    assert len(set(milvus_lite.list_collections()) - before) == 2
    with monkeypatch.context() as away:
        away.setattr(milvus_server._Chosen, "server", None)
        assert prune(tmp_path, keep=1, besides={3}) == [2]
    assert len(set(milvus_lite.list_collections()) - before) == 2
    clear_leftovers(tmp_path)
    [left] = set(milvus_lite.list_collections()) - before
    assert left == used(milvus_lite, tmp_path.name.replace("_", "_5f"))
    assert [entry.name for entry in (tmp_path / "generations").iterdir()] == ["3"]


def test_its_recall_is_checked_again(milvus_lite: Any, gallery: Recognizer, tmp_path: Path) -> None:
    write_generation(tmp_path, gallery, change=1, engine="milvus,hnsw")
    checked = check_generation(tmp_path, 1, bundle_sha256=BUNDLE, background=Background.none(DIM))
    assert (checked.recall, checked.servable) == (1.0, True)


def test_without_its_server_a_generation_does_not_come_into_use(
    milvus_lite: Any, gallery: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "gallery"
    publish(root, write_generation(root, gallery, change=1).number)
    on_server = write_generation(root, gallery, change=1, engine="milvus,flat")
    monkeypatch.setattr(milvus_server._Chosen, "server", None)
    with pytest.raises(EngineUnavailable, match="WHICHONE_MILVUS_URI"):
        publish(root, on_server.number)
    assert current_generation(root) == 1
    with pytest.raises(EngineUnavailable, match="WHICHONE_MILVUS_URI"):
        reopen(root, on_server.number)


def test_a_flipped_byte_in_any_of_its_files_is_named(milvus_lite: Any, gallery: Recognizer, tmp_path: Path) -> None:
    generation = write_generation(tmp_path, gallery, change=1, engine="milvus,flat")
    names = [name for name in generation.manifest.files if name.startswith("index.faiss")]
    assert names == ["index.faiss", "index.faiss.numbers"]
    for name in names:
        path = generation.folder / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        with pytest.raises(GenerationCorrupt, match=name.replace(".", r"\.")):
            reopen(tmp_path, generation.number)
        path.write_bytes(whole)
    reopen(tmp_path, generation.number)
