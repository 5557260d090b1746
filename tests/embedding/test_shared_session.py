"""A call alone has all threads; calls that meet have one each; the vectors are the same to the bit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from scenes import scene

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from embedding.session import BoundSession
from embedding.shared_session import SharedSession


class _Session:
    """Answers with its name, after whatever is to happen during the call."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.during: list[threading.Barrier] = []

    def run(self, outputs: Sequence[str], feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        for barrier in self.during:
            barrier.wait(10)
        return [np.array(self.name)]

    def get_inputs(self) -> Sequence[Any]:
        return []

    get_outputs = get_inputs

    def get_providers(self) -> list[str]:
        return []


def test_who_is_alone_and_who_is_not() -> None:
    wide, narrow, clock = _Session("wide"), _Session("narrow"), [100.0]
    shared = SharedSession(wide, narrow, lambda: clock[0])

    def call() -> str:
        return str(shared.run([], {})[0])

    assert call() == call() == "wide"
    wide.during = narrow.during = [threading.Barrier(2)]  # two calls are under way at once
    with ThreadPoolExecutor(2) as pool:
        met = [future.result() for future in [pool.submit(call), pool.submit(call)]]
    assert sorted(met) == ["narrow", "wide"]
    wide.during = narrow.during = []
    assert call() == "narrow"  # alone for a moment
    clock[0] += 1
    assert call() == "wide"


def test_an_error_does_not_leave_a_call_behind() -> None:
    wide, narrow = _Session("wide"), _Session("narrow")
    shared = SharedSession(wide, narrow)
    barrier = threading.Barrier(2)
    barrier.abort()
    wide.during = [barrier]
    try:
        shared.run([], {})
    except threading.BrokenBarrierError:
        wide.during = []
    assert str(shared.run([], {})[0]) == "wide"


def test_the_shipped_model_gives_the_same_bits_on_one_thread_and_on_several() -> None:
    images = [scene(400, 300, seed) for seed in range(3)]
    alone = [Embedder(Bundle.open(), threads=threads).embed([image]) for threads in (1, 2) for image in images]
    together = Embedder(Bundle.open(), threads=2).embed(images)
    for one, two, beside in zip(alone[:3], alone[3:], together, strict=True):
        assert np.array_equal(one, two)
        assert np.array_equal(one[0], beside)


def test_bound_inputs_and_outputs_give_the_same_bits() -> None:
    bundle = Bundle.open()
    model = bundle.model_path(bundle.default_precision("cpu"))
    plain = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    bound = BoundSession(plain)
    high, wide = bundle.manifest.preprocess.size
    photos = np.random.default_rng(0).standard_normal((2, 3, high, wide)).astype(np.float32)
    [expected] = plain.run(["embedding"], {"image": photos})
    [got] = bound.run(["embedding"], {"image": photos})
    assert np.array_equal(got, expected)
    assert [entry.name for entry in bound.get_inputs()] == ["image"]
