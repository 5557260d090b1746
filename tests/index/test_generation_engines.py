"""A generation in any engine: built, opened by memory map, and answering as exact search does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index.background import Background
from index.engines import FlatSpec, InvalidEngineSpec, IvfSpec, spec_text
from index.errors import GenerationCorrupt
from index.generation import (
    GenerationManifest,
    likely_queries,
    open_recognizer,
    read_generation,
    verify_generation,
    write_generation,
)
from index.recognizer import Recognizer
from index.tuner import tune
from tests.index.conftest import DIM, World, item, unit

BUNDLE = "b" * 64
EXACT = ["flat", "ivf,lists=8,probes=8", "ivf,sq8,keep=float32,lists=8,probes=8,refine=8", "hnsw,float32,ef=90"]


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


def reopen(root: Path, number: int = 1) -> Recognizer:
    return open_recognizer(root, number, bundle_sha256=BUNDLE, background=Background.none(DIM))[0]


@pytest.mark.parametrize("engine", EXACT)
def test_where_recall_is_full_verdicts_are_those_of_exact_search(
    world: World, gallery: Recognizer, tmp_path: Path, engine: str
) -> None:
    generation = write_generation(tmp_path, gallery, change=1, engine=engine)
    assert generation.manifest.asked == engine
    assert generation.manifest.recall in (None, 1.0)
    opened = reopen(tmp_path)
    queries = np.concatenate([world.photos(thing) for thing in range(60)])
    assert opened.recognize(queries) == gallery.recognize(queries)
    # ... also after changes over it.
    again = world.items(range(50, 55), 2, first=700)
    for recognizer in (opened, fresh(gallery)):
        recognizer.upsert(again)
        recognizer.remove([1, 2, 3, 700])
    assert opened.labels() == recognizer.labels()
    assert opened.recognize(queries) == recognizer.recognize(queries)


def fresh(gallery: Recognizer) -> Recognizer:
    """A copy in memory."""
    copy = Recognizer(DIM, bundle_sha256=BUNDLE)
    numbers = gallery.index.numbers()
    vectors = gallery.index.reconstruct(numbers)
    copy.upsert(
        [
            item(number, gallery.table.label(number), vector)
            for number, vector in zip(numbers.tolist(), vectors, strict=True)
        ]
    )
    for number in numbers.tolist():
        copy.table.put(number, gallery.table.id(number), gallery.table.label(number))
    strangers = zip(gallery.distractors.numbers().tolist(), gallery.distractors.matrix(), strict=True)
    copy.upsert([item(number, None, vector) for number, vector in strangers])
    copy.tuning = gallery.tuning
    return copy


def test_effort_is_tuned_to_the_recall_unless_it_is_named(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    recognizer = Recognizer(DIM, bundle_sha256=BUNDLE)
    recognizer.upsert(
        [item(at, f"thing-{at}", row) for at, row in enumerate(unit(random.standard_normal((2000, DIM))))]
    )
    tuned = write_generation(tmp_path, recognizer, change=1, engine="ivf,lists=64").manifest
    assert isinstance(tuned.engine, IvfSpec)
    assert tuned.engine.probes > 1
    assert tuned.recall is not None
    assert tuned.recall >= 0.99
    named = write_generation(tmp_path, recognizer, change=1, engine="ivf,lists=64,probes=1").manifest
    assert spec_text(named.engine) == "ivf,lists=64,probes=1"
    assert named.recall is not None
    assert named.recall < 0.9
    assert verify_generation(tmp_path, 1).manifest == tuned
    assert set(tuned.files) > {"index.faiss", "index.faiss.numbers"}


def test_a_flipped_byte_in_any_file_of_an_engine_is_named(gallery: Recognizer, tmp_path: Path) -> None:
    generation = write_generation(tmp_path, gallery, change=1, engine="hnsw")
    for name in generation.manifest.files:
        if not name.startswith("index.faiss"):
            continue
        path = generation.folder / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        with pytest.raises(GenerationCorrupt, match=name.replace(".", r"\.")):
            reopen(tmp_path)
        path.write_bytes(whole)
    reopen(tmp_path)


def test_an_engine_that_is_none_leaves_nothing_behind(gallery: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(InvalidEngineSpec, match="there are flat, ivf, hnsw, gpu"):
        write_generation(tmp_path, gallery, change=1, engine="tree")
    assert list((tmp_path / "generations").iterdir()) == []


def test_manifests_of_the_first_version_can_be_read(gallery: Recognizer, tmp_path: Path) -> None:
    generation = write_generation(tmp_path, gallery, change=1)
    body = generation.manifest.model_dump(mode="json")
    del body["asked"], body["recall"], body["sha256"]
    body["engine"] = "flat"
    (generation.folder / "manifest.json").write_text(GenerationManifest.model_validate(body).model_dump_json())
    assert read_generation(tmp_path, 1).manifest.engine == FlatSpec()


def test_likely_queries_lie_between_photos_of_a_label(gallery: Recognizer) -> None:
    queries = likely_queries(gallery, 20)
    assert np.array_equal(queries, likely_queries(gallery, 20))
    assert np.allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-6)
    similarities, numbers = gallery.index.search(queries, 2)
    assert (similarities < 1 - 1e-4).all()
    for pair in numbers.tolist():
        assert gallery.table.label(pair[0]) == gallery.table.label(pair[1])
