"""What can go wrong with a generation on disk: every file of it, a count that lies, an engine that finds less."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from index.background import Background
from index.engines import parse_spec
from index.errors import DiskFull, GenerationCorrupt, GenerationMismatch, GenerationNotFound, RecallLost
from index.generation import (
    GenerationManifest,
    check_generation,
    clear_leftovers,
    list_generations,
    open_recognizer,
    prune,
    publish,
    read_generation,
    verify_generation,
    write_generation,
)
from index.recognizer import Recognizer
from index.tuner import tune
from tests.index.conftest import DIM, World, item, unit

BUNDLE = "b" * 64
ENGINES = ["flat", "flat,float16", "ivf,lists=4", "ivf,sq8,refine", "ivf,pq=4,refine", "hnsw"]


@pytest.fixture(scope="module")
def gallery() -> Recognizer:
    """Not to be changed."""
    world = World(40)
    recognizer = Recognizer(DIM, bundle_sha256=BUNDLE)
    recognizer.upsert(world.items(range(25), 3))
    recognizer.upsert(world.distractors(range(30, 40)))
    recognizer.tuning = tune(recognizer)
    return recognizer


def reopen(root: Path, bundle: str = BUNDLE) -> Recognizer:
    return open_recognizer(root, 1, bundle_sha256=bundle, background=Background.none(DIM))[0]


def check(root: Path) -> float | None:
    return check_generation(root, 1, bundle_sha256=BUNDLE, background=Background.none(DIM)).recall


@pytest.mark.parametrize("engine", ENGINES)
def test_a_flipped_byte_in_any_file_is_named(gallery: Recognizer, tmp_path: Path, engine: str) -> None:
    generation = write_generation(tmp_path, gallery, change=1, engine=engine)
    files = sorted(path.name for path in generation.folder.iterdir())
    assert files == sorted([*generation.manifest.files, "manifest.json"])
    for name in files:
        path = generation.folder / name
        whole = path.read_bytes()
        for at in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x81]) + whole[at + 1 :])
            with pytest.raises(GenerationCorrupt, match=name.replace(".", r"\.")) as refused:
                reopen(tmp_path)
            assert refused.value.details["file"] == name
        path.write_bytes(whole[:-1])
        with pytest.raises(GenerationCorrupt, match=name.replace(".", r"\.")):
            reopen(tmp_path)
        path.unlink()
        with pytest.raises(GenerationNotFound if name == "manifest.json" else GenerationCorrupt):
            verify_generation(tmp_path, 1)
        path.write_bytes(whole)
    assert len(reopen(tmp_path)) == 75
    with pytest.raises(GenerationMismatch, match="cccccccccccc"):
        reopen(tmp_path, "c" * 64)


def test_no_flipped_bit_of_a_manifest_goes_unseen(gallery: Recognizer, tmp_path: Path) -> None:
    generation = write_generation(tmp_path, gallery, change=17)
    path = generation.folder / "manifest.json"
    whole = path.read_bytes()
    seen = 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        try:
            assert read_generation(tmp_path, 1).manifest == generation.manifest  # a blank for another
        except GenerationCorrupt:
            seen += 1
    assert seen > len(whole) // 2
    path.write_bytes(whole)
    assert read_generation(tmp_path, 1).manifest == generation.manifest


def rewritten(root: Path, **changes: object) -> None:
    """A manifest that says something else, and agrees with itself."""
    path = root / "generations" / "1" / "manifest.json"
    body = json.loads(path.read_text()) | changes
    path.write_text(GenerationManifest.model_validate(body).sealed().model_dump_json())


@pytest.mark.parametrize(("count", "file"), [("labels", r"items\.npz"), ("distractors", r"distractors\.npz")])
def test_a_count_that_lies_is_found(gallery: Recognizer, tmp_path: Path, count: str, file: str) -> None:
    write_generation(tmp_path, gallery, change=1)
    assert check(tmp_path) is None  # flat is exact
    rewritten(tmp_path, **{count: 7})
    with pytest.raises(GenerationCorrupt, match=rf"{file} holds \d+ {count}, its manifest says 7"):
        check(tmp_path)


def test_an_engine_that_finds_less_than_it_did_is_found(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    recognizer = Recognizer(DIM, bundle_sha256=BUNDLE)
    recognizer.upsert([item(at, f"thing-{at}", row) for at, row in enumerate(unit(random.standard_normal((900, DIM))))])
    written = write_generation(tmp_path, recognizer, change=1, engine="ivf,lists=32,probes=4").manifest
    assert written.recall is not None
    assert check(tmp_path) == written.recall
    rewritten(tmp_path, engine=parse_spec("ivf,lists=32,probes=1").model_dump())
    with pytest.raises(RecallLost, match="publish a new generation"):
        check(tmp_path)


def test_the_newest_stay_and_so_does_what_is_in_use(gallery: Recognizer, tmp_path: Path) -> None:
    for change in range(1, 6):
        publish(tmp_path, write_generation(tmp_path, gallery, change=change).number)
    opened = reopen(tmp_path)
    for left in (".draft-a", ".gone-b"):
        shutil.copytree(tmp_path / "generations" / "5", tmp_path / "generations" / left)
    assert prune(tmp_path, keep=2, besides={2}) == [1, 3]
    assert list_generations(tmp_path) == [2, 4, 5]
    clear_leftovers(tmp_path)
    assert sorted(entry.name for entry in (tmp_path / "generations").iterdir()) == ["2", "4", "5"]
    queries = opened.index.reconstruct(opened.index.numbers())
    assert opened.recognize(queries[:5]) == gallery.recognize(queries[:5])  # mapped, and gone from the disk
    assert prune(tmp_path, keep=5, besides=()) == []


def test_what_is_not_accepted_leaves_nothing_behind(gallery: Recognizer, tmp_path: Path) -> None:
    def refuse(generation: object) -> None:
        raise ValueError("not this one")

    with pytest.raises(ValueError, match="not this one"):
        write_generation(tmp_path, gallery, change=1, accept=refuse)
    assert list((tmp_path / "generations").iterdir()) == []


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the system's own refusal to write, as on a full disk."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


@pytest.mark.parametrize("engine", ["flat", "ivf,sq8,refine", "hnsw"])
def test_in_whichever_file_the_room_ends_nothing_of_it_is_left(
    gallery: Recognizer, tmp_path: Path, engine: str
) -> None:
    whole = write_generation(tmp_path, gallery, change=1, engine=engine)
    sizes = sorted({path.stat().st_size for path in whole.folder.iterdir()})
    for size in (0, *(size - 1 for size in sizes)):  # the last byte of one file is too much, then that of the next
        with files_up_to(size), pytest.raises(DiskFull, match="may not become so large"):
            write_generation(tmp_path, gallery, change=2, engine=engine)
        assert [entry.name for entry in (tmp_path / "generations").iterdir()] == ["1"]
    with files_up_to(sizes[-1]):
        assert write_generation(tmp_path, gallery, change=2, engine=engine).number == 2
    assert len(reopen(tmp_path)) == 75
