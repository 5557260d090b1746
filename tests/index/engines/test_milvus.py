"""What only the Milvus engine has: a server, collections that come and go with generations, expressions."""

from __future__ import annotations

import functools
import gc
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.engines import (
    EngineUnavailable,
    InvalidEngineSpec,
    MilvusIndex,
    Selection,
    announce,
    build,
    discard,
    milvus_server,
    open_index,
    parse_spec,
    use_milvus,
)
from index.engines.milvus_expression import expressions
from index.engines.milvus_server import MilvusServer
from index.errors import DimensionMismatch, GenerationCorrupt, ReadOnlyIndex
from tests.index.engines.worlds import assert_answers_like_numpy, built, in_blocks, unit_vectors

DIM = 8
SPEC = parse_spec("milvus,flat")
ROWS = dict(enumerate(unit_vectors(60, DIM, seed=3), 100))
QUERIES = unit_vectors(4, DIM, seed=1)


@pytest.fixture(scope="module")
def index(milvus_lite: Any) -> MilvusIndex:
    """Not saved, not to be changed."""
    made = built(SPEC, ROWS, DIM)
    assert isinstance(made, MilvusIndex)
    return made


@pytest.fixture
def saved(milvus_lite: Any, tmp_path: Path) -> Path:
    path = tmp_path / "index.faiss"
    built(SPEC, dict(list(ROWS.items())[:20]), DIM).save(path)
    return path


def collection_in(path: Path) -> str:
    return str(json.loads(path.read_text())["collection"])


def is_true_of(expression: str, number: int) -> bool:
    if not expression:
        return True
    assert re.fullmatch(r"(number (>|<=) -?\d+ and )*number (not )?in \[[-\d, ]+\]", expression)
    return bool(eval(expression, {"number": number}))


@given(listed=st.lists(st.integers(-30, 30), unique=True).map(sorted), inverted=st.booleans(), most=st.integers(1, 5))
def test_expressions_say_what_is_selected_once_and_briefly(listed: list[int], inverted: bool, most: int) -> None:
    said = expressions("number", np.array(listed, np.int64), inverted=inverted, most=most)
    for number in range(-32, 33):
        assert sum(is_true_of(expression, number) for expression in said) == ((number in listed) != inverted)
    assert all(expression.count(",") < most for expression in said)


@pytest.mark.parametrize("inverted", [False, True])
def test_a_long_selection_is_asked_for_in_parts(
    index: MilvusIndex, monkeypatch: pytest.MonkeyPatch, inverted: bool
) -> None:
    monkeypatch.setattr("index.engines.milvus.expressions", functools.partial(expressions, most=4))
    listed = [7, *range(101, 130, 2)] if not inverted else [7, *range(101, 160, 2), *range(102, 120, 2)]
    within = Selection.without(listed) if inverted else Selection.only(listed)
    rows = {number: row for number, row in ROWS.items() if (number in listed) != inverted}
    for k in (3, 70):
        assert_answers_like_numpy(index, rows, QUERIES, k, within=within, atol=1e-6)


def test_more_answers_than_milvus_gives_are_found_here(index: MilvusIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.engines.milvus.MOST_ANSWERS", 5)
    assert_answers_like_numpy(index, ROWS, QUERIES, 50, atol=1e-6)


def test_equals_come_in_the_order_of_number(milvus_lite: Any) -> None:
    same = unit_vectors(1, DIM, seed=5)[0]
    twins = built(SPEC, dict.fromkeys(range(30), same), DIM)
    assert twins.search(same[None], 4)[1].tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("text", ["milvus,hnsw,ef=1", "milvus,ivf,lists=16,probes=1"])
def test_a_search_that_finds_too_few_looks_further(milvus_lite: Any, text: str) -> None:
    little = built(text, ROWS, DIM)
    rows = {number: ROWS[number] for number in range(100, 160, 6)}
    for within, there in ((None, 60), (Selection.only(rows), 10)):
        numbers = little.search(QUERIES, 60, within=within)[1]
        assert ((numbers >= 0).sum(axis=1) == there).all()


def test_it_reads_back_and_refuses_what_it_cannot_do(index: MilvusIndex) -> None:
    asked = np.array([130, 101, 130])
    np.testing.assert_array_equal(index.reconstruct(asked), np.stack([ROWS[130], ROWS[101], ROWS[130]]))
    with pytest.raises(KeyError, match="99"):
        index.reconstruct(np.array([99]))
    with pytest.raises(DimensionMismatch, match="8 dimensions"):
        index.search(unit_vectors(1, DIM + 1, seed=0), 3)
    with pytest.raises(ReadOnlyIndex, match="OverlayIndex"):
        index.add(np.array([1]), QUERIES[:1])
    with pytest.raises(ReadOnlyIndex, match="OverlayIndex"):
        index.remove([100])


def test_a_collection_goes_with_an_index_that_nobody_saved(milvus_lite: Any, tmp_path: Path) -> None:
    before = set(milvus_lite.list_collections())
    kept, lost = built(SPEC, ROWS, DIM), built(SPEC, ROWS, DIM)
    kept.save(tmp_path / "kept")
    assert len(set(milvus_lite.list_collections()) - before) == 2
    del kept, lost
    gc.collect()
    new = built(SPEC, {}, DIM)  # a build sweeps before it makes its own
    assert len(new) == 0
    left = set(milvus_lite.list_collections()) - before
    assert len(left) == 2
    assert collection_in(tmp_path / "kept") in left


def test_one_file_names_a_collection(milvus_lite: Any, tmp_path: Path) -> None:
    made = built(SPEC, ROWS, DIM)
    made.save(tmp_path / "one")
    with pytest.raises(ReadOnlyIndex, match="has a file already"):
        made.save(tmp_path / "two")
    with pytest.raises(ReadOnlyIndex, match="has a file already"):
        open_index(tmp_path / "one", SPEC).save(tmp_path / "two")


def test_an_alias_moves_and_goes_with_its_collection(milvus_lite: Any, tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        built(SPEC, {1: ROWS[100]}, DIM).save(path)
        announce(path, SPEC, "cups-and_saucers")
        meant = milvus_lite.describe_alias("whichone_gallery_cups_2dand_5fsaucers")["collection_name"]
        assert meant == collection_in(path)
    discard(paths[0])
    discard(paths[1])
    discard(paths[1])  # again does no harm
    assert not {collection_in(path) for path in paths} & set(milvus_lite.list_collections())


def test_files_of_other_engines_have_nothing_to_discard(tmp_path: Path) -> None:
    built("flat", ROWS, DIM).save(tmp_path / "index.faiss")
    for name in ("index.faiss", "missing"):
        announce(tmp_path / name, parse_spec("flat"), "default")
        discard(tmp_path / name)
    assert (tmp_path / "index.faiss").is_file()


def test_an_alias_needs_a_file_that_can_be_read(saved: Path) -> None:
    saved.write_text("{}")
    with pytest.raises(GenerationCorrupt, match=r"index\.faiss"):
        announce(saved, SPEC, "default")


def test_several_processes_share_a_server(milvus_lite: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(tmp_path / "served")]
    process = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)], stdout=subprocess.DEVNULL)
    try:
        uri = f"http://127.0.0.1:{port}"
        until_it_listens(port)
        monkeypatch.setattr(milvus_server._Chosen, "server", None)
        use_milvus(uri)
        built(SPEC, ROWS, DIM).save(tmp_path / "index.faiss")
        ask = (
            "import sys, numpy, pathlib; from index.engines import *; use_milvus(sys.argv[1]);"
            "index = open_index(pathlib.Path(sys.argv[2]), parse_spec('milvus,flat'));"
            "print(*index.search(numpy.array([eval(sys.argv[3])], 'f4'), 3)[1][0])"
        )
        arguments = [sys.executable, "-c", ask, uri, str(tmp_path / "index.faiss"), str(ROWS[117].tolist())]
        other = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
        [mine] = open_index(tmp_path / "index.faiss", SPEC).search(ROWS[117][None], 3)[1].tolist()
        assert mine[0] == 117
        assert other.stdout.split() == [str(number) for number in mine]
    finally:
        process.terminate()
        process.wait(30)


def until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("milvus-lite's server did not begin to listen")


def test_a_refused_method_is_named_and_leaves_nothing(milvus_lite: Any) -> None:
    before = milvus_lite.list_collections()
    with pytest.raises(InvalidEngineSpec, match=r"method diskann: .* refuses it .*DISKANN.*hnsw"):
        build(parse_spec("milvus,diskann"), DIM, in_blocks(ROWS))
    assert milvus_lite.list_collections() == before


def test_what_somebody_did_to_a_collection_is_found_when_it_is_opened(milvus_lite: Any, saved: Path) -> None:
    collection = collection_in(saved)
    assert open_index(saved, SPEC).numbers().tolist() == list(range(100, 120))
    blank = {"id": None, "label": None, "penalty": None}
    milvus_lite.upsert(collection, [{"number": 100, "vector": QUERIES[0], **blank}])
    with pytest.raises(GenerationCorrupt, match="other vectors than were written"):
        open_index(saved, SPEC)
    milvus_lite.upsert(collection, [{"number": 100, "vector": ROWS[100], **blank}])
    open_index(saved, SPEC)
    milvus_lite.delete(collection, ids=[105])
    with pytest.raises(GenerationCorrupt, match="holds 19 rows, expected 20"):
        open_index(saved, SPEC)
    milvus_lite.drop_collection(collection)
    with pytest.raises(GenerationCorrupt, match="is not there; publish a new generation, or set WHICHONE_MILVUS_URI"):
        open_index(saved, SPEC)


@pytest.mark.parametrize(
    "change",
    [
        {"collection": "somebody_elses"},
        {"collection": "whichone_" + "0" * 31 + "'"},
        {"dim": 0},
        {"items": -1},
        {"sample": "none"},
        {"uri": "http://elsewhere"},
        {"format": "whichone-milvus/2"},
    ],
)
def test_a_file_that_says_anything_else_is_refused(milvus_lite: Any, saved: Path, change: dict[str, object]) -> None:
    saved.write_text(json.dumps(json.loads(saved.read_text()) | change))
    with pytest.raises(GenerationCorrupt, match=r"index\.faiss is missing or names no Milvus collection"):
        open_index(saved, SPEC)


def test_without_a_server_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(milvus_server._Chosen, "server", None)
    with pytest.raises(EngineUnavailable, match="WHICHONE_MILVUS_URI is not set"):
        build(SPEC, DIM, [])
    pytest.importorskip("pymilvus", reason="needs the milvus extra")
    use_milvus("http://root:a-secret@127.0.0.1:9/shop", "another-secret")
    with pytest.raises(EngineUnavailable, match=r"no connection to http://127\.0\.0\.1:9/shop: ") as caught:
        build(SPEC, DIM, [])
    assert "secret" not in caught.value.message + str(caught.value.details)


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(EngineUnavailable, match=r"pip install 'whichone\[milvus\]'"):
        MilvusServer("http://127.0.0.1:9").client()


def test_a_server_that_goes_is_an_error_and_not_an_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    manager = pytest.importorskip("milvus_lite.server_manager", reason="needs the milvus-lite extra")
    monkeypatch.setattr(milvus_server._Chosen, "server", None)
    use_milvus(str(tmp_path / "short-lived.db"))
    made = built(SPEC, ROWS, DIM)

    def interrupted() -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        yield np.arange(3), unit_vectors(3, DIM, seed=0)
        manager.server_manager_instance.release_server(str(tmp_path / "short-lived.db"))
        raise RuntimeError("the reader of the gallery broke down")

    with pytest.raises(RuntimeError, match="broke down"):  # not that its collection could not be dropped
        build(SPEC, DIM, interrupted())
    with pytest.raises(EngineUnavailable, match=r"short-lived\.db could not search collection"):
        made.search(QUERIES, 3)
