"""Descriptors as bytes: what rounding may change, and what not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from index.verification.learned.descriptors import from_bytes, to_bytes
from index.verification.learned.pairing import centred
from tests.index.verification.conftest import some_features


def unit_vectors(seed: int, n: int, length: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    vectors = np.random.default_rng(seed).normal(size=(n, length))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@given(st.integers(0, 2**32 - 1), st.sampled_from([64, 128]))
def test_vectors_come_back_but_for_rounding(seed: int, length: int) -> None:
    vectors = unit_vectors(seed, 8, length)
    # A value is off by half a step of 1/256 at the most, or was cut off at 127 / 256.
    back = from_bytes(to_bytes(vectors, 256.0), 256.0)
    assert np.einsum("nd,nd->n", vectors, back).min() > 0.99
    assert np.allclose(np.linalg.norm(back, axis=1), 1, atol=1e-5)


@given(st.integers(0, 2**32 - 1))
def test_distances_of_bytes_are_distances_of_vectors(seed: int) -> None:
    a, b = unit_vectors(seed, 2, 128)
    bytes_a, bytes_b = to_bytes(np.stack([a, b]), 256.0).astype(float)
    between = float(np.linalg.norm(a.astype(float) - b))
    # Each of 128 differences is off by a step at the most.
    assert abs(float(np.linalg.norm(bytes_a - bytes_b)) / 256 - between) <= np.sqrt(128) / 256


def test_zero_lies_at_128_and_what_is_beyond_is_cut_off() -> None:
    numbers = to_bytes(np.array([[0.0, 0.25, -0.25, 1.0, -1.0]], np.float32), 256.0)
    assert numbers.tolist() == [[128, 192, 64, 255, 1]]


def test_points_are_counted_from_the_middle() -> None:
    features = some_features(5)
    width, height = features.size
    expected = (features.points * (width, height) - 0.5 - np.array([width, height]) / 2) / (width / 2)
    assert np.allclose(centred(features), expected, atol=1e-6)
