"""Directions in which photos of one label differ count less, by as much as the formula says."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.adaptation import Adaptation, Centres, WithinLabelScatter, centred, fit_adaptation
from index.ranking import LabelPhotos, rank_labels
from tests.index.conftest import DIM, HiddenWorld, unit

Floats = NDArray[np.float64]


def groups(seed: int, dim: int, n: int = 6, photos: int = 4) -> list[Floats]:
    """Photos of several things, some directions with far more spread than others."""
    random = np.random.default_rng(seed)
    spread = 10.0 ** random.uniform(-2, 0, dim)
    return [random.standard_normal(dim) + spread * random.standard_normal((photos, dim)) for _ in range(n)]


def fitted(scatter: WithinLabelScatter, shrinkage: float) -> Adaptation:
    adaptation = fit_adaptation(scatter, shrinkage)
    assert adaptation is not None
    return adaptation


# ---------------------------------------------------------------- scatter


def test_scatter_by_hand() -> None:
    wide = np.array([[3.0, 1.0], [-1.0, 1.0]])  # mean (1, 1): 2 to either side
    tall = np.array([[5.0, 1.0], [5.0, -1.0], [5.0, 0.0]])  # mean (5, 0)
    single = np.array([[9.0, 9.0]])
    scatter = WithinLabelScatter.of([wide, tall, single], 2)
    np.testing.assert_array_equal(scatter.scatter, [[2 * 2**2, 0], [0, 2 * 1**2]])
    assert scatter.freedom == (2 - 1) + (3 - 1)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**16), cut=st.integers(0, 6))
def test_scatters_of_parts_add_up(seed: int, cut: int) -> None:
    all_groups = groups(seed, 5)
    whole = WithinLabelScatter.of(all_groups, 5)
    one, other = WithinLabelScatter.of(all_groups[:cut], 5), WithinLabelScatter.of(all_groups[cut:], 5)
    for total in (one + other, WithinLabelScatter.total([one, other], 5)):
        np.testing.assert_allclose(total.scatter, whole.scatter, rtol=1e-12, atol=1e-12)
        assert total.freedom == whole.freedom


def test_the_total_of_nothing_says_nothing() -> None:
    total = WithinLabelScatter.total([], 3)
    np.testing.assert_array_equal(total.scatter, np.zeros((3, 3)))
    assert total.freedom == 0
    assert fit_adaptation(total, 0.3) is None


def test_photos_that_do_not_differ_say_nothing() -> None:
    assert fit_adaptation(WithinLabelScatter.of([np.ones((4, 3)), np.zeros((2, 3))], 3), 0.3) is None


# ---------------------------------------------------------------- the matrix


def test_inverse_root_by_hand() -> None:
    """Scatter diag(8, 2) over two degrees of freedom: covariance diag(4, 1), whose mean variance is 2.5."""
    scatter = WithinLabelScatter(np.diag([8.0, 2.0]), 2)
    # Half of it and half of 2.5 I: diag(3.25, 1.75). Inverse roots, divided by the larger: diag(sqrt(1.75 / 3.25), 1).
    expected = np.diag([math.sqrt((0.5 * 1 + 0.5 * 2.5) / (0.5 * 4 + 0.5 * 2.5)), 1.0])
    np.testing.assert_allclose(fitted(scatter, 0.5).matrix, expected, rtol=1e-6)


def test_inverse_root_of_a_slanted_covariance_by_hand() -> None:
    """The covariance [[2.5, 1.5], [1.5, 2.5]] has variance 4 along (1, 1) and 1 along (1, -1)."""
    scatter = WithinLabelScatter(np.array([[2.5, 1.5], [1.5, 2.5]]), 1)
    along = math.sqrt((0.5 * 1 + 0.5 * 2.5) / (0.5 * 4 + 0.5 * 2.5))
    # along * (1, 1)(1, 1)^T / 2 + 1 * (1, -1)(1, -1)^T / 2
    expected = [[(along + 1) / 2, (along - 1) / 2], [(along - 1) / 2, (along + 1) / 2]]
    np.testing.assert_allclose(fitted(scatter, 0.5).matrix, expected, rtol=1e-6)


def test_all_identity_moves_nothing() -> None:
    adaptation = fitted(WithinLabelScatter.of(groups(0, 6), 6), 1.0)
    np.testing.assert_allclose(adaptation.matrix, np.eye(6), atol=1e-7)
    photos = unit(np.random.default_rng(1).standard_normal((10, 6)))
    np.testing.assert_allclose(adaptation.apply(photos), photos, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**16), dim=st.integers(1, 40), shrinkage=st.sampled_from([1e-30, 1e-3, 0.1, 0.3, 1.0]))
def test_the_matrix_is_symmetric_and_positive_and_lengthens_nothing(seed: int, dim: int, shrinkage: float) -> None:
    matrix = fitted(WithinLabelScatter.of(groups(seed, dim), dim), shrinkage).matrix
    np.testing.assert_array_equal(matrix, matrix.T)  # to the bit: only one half of it is kept
    factors = np.linalg.eigvalsh(matrix.astype(np.float64))
    assert factors[0] >= -1e-6  # a factor of 1e-15 is 0 in float32
    if shrinkage >= 1e-3:
        # The smallest variance is at least s * mean, the largest at most dim * mean.
        assert factors[0] >= math.sqrt(shrinkage / (dim + shrinkage)) * 0.99
    assert factors[-1] == pytest.approx(1, abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**16), shrinkage=st.floats(0.05, 1))
def test_the_shrunk_covariance_becomes_round(seed: int, shrinkage: float) -> None:
    scatter = WithinLabelScatter.of(groups(seed, 8), 8)
    covariance = scatter.scatter / scatter.freedom
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / 8 * np.eye(8)
    matrix = fitted(scatter, shrinkage).matrix.astype(np.float64)
    spread = matrix @ shrunk @ matrix
    np.testing.assert_allclose(spread / spread[0, 0], np.eye(8), atol=1e-4)


# ---------------------------------------------------------------- what it does to photos


def test_apply_by_hand() -> None:
    adaptation = Adaptation(np.diag([0.5, 1.0]).astype(np.float32))
    moved = adaptation.apply(np.array([[0.6, 0.8], [1.0, 0.0]], np.float32))
    length = math.hypot(0.5 * 0.6, 0.8)
    np.testing.assert_allclose(moved, [[0.3 / length, 0.8 / length], [1.0, 0.0]], rtol=1e-6)


def test_centres_by_hand() -> None:
    centres = Centres(np.array([0.1, 0.0], np.float32), np.array([0.0, 0.2], np.float32))
    adaptation = Adaptation(np.diag([0.5, 1.0]).astype(np.float32), centres)
    photo = np.array([[0.6, 0.8]], np.float32)
    np.testing.assert_allclose(adaptation.apply(photo), [[0.25, 0.8]] / np.hypot(0.25, 0.8), rtol=1e-6)
    np.testing.assert_allclose(adaptation.apply_to_queries(photo), [[0.3, 0.6]] / np.hypot(0.3, 0.6), rtol=1e-6)
    alone = centred(None, centres)
    np.testing.assert_allclose(alone.apply_to_queries(photo), [[0.6, 0.6]] / np.hypot(0.6, 0.6), rtol=1e-6)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**16))
def test_a_probe_with_centres_finds_what_is_near_after_adaptation(seed: int) -> None:
    """But for the lengths of the photos, and a constant."""
    random = np.random.default_rng(seed)
    centres = Centres(*(0.3 * random.standard_normal((2, 8))).astype(np.float32))
    adaptation = centred(fitted(WithinLabelScatter.of(groups(seed, 8), 8), 0.1), centres)
    query, photos = unit(random.standard_normal(8)), unit(random.standard_normal((20, 8)))
    matrix = adaptation.matrix.astype(np.float64)
    lengths = np.linalg.norm((photos - centres.gallery) @ matrix, axis=1)
    near = (adaptation.apply(photos) @ adaptation.apply_to_queries(query[None])[0]) * lengths
    found = photos.astype(np.float64) @ adaptation.query(query).probe
    np.testing.assert_allclose(np.corrcoef(near, found)[0, 1], 1, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**16), centring=st.booleans())
def test_photos_need_not_be_adapted_to_be_compared(seed: int, centring: bool) -> None:
    random = np.random.default_rng(seed)
    adaptation = fitted(WithinLabelScatter.of(groups(seed, 8), 8), 0.1)
    if centring:
        adaptation = centred(adaptation, Centres(*(0.3 * random.standard_normal((2, 8))).astype(np.float32)))
    query, photos = unit(random.standard_normal(8)), unit(random.standard_normal((20, 8)))
    units, lengths = adaptation.measured(photos)
    seen = adaptation.query(query)
    np.testing.assert_allclose(seen.unit, adaptation.apply_to_queries(query[None])[0], atol=1e-12)
    compared = LabelPhotos("a", np.arange(20), photos.astype(np.float64), None, lengths, 1.0)
    np.testing.assert_allclose(compared.cosines(seen.direction, seen.offset), units @ seen.unit, atol=1e-5)


def test_a_vector_of_zeros_stays_one() -> None:
    adaptation = Adaptation(np.eye(3, dtype=np.float32))
    np.testing.assert_array_equal(adaptation.apply(np.zeros((1, 3), np.float32)), np.zeros((1, 3)))
    np.testing.assert_array_equal(adaptation.query(np.zeros(3, np.float32)).probe, np.zeros(3))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**16))
def test_a_probe_finds_what_is_near_after_adaptation(seed: int) -> None:
    adaptation = fitted(WithinLabelScatter.of(groups(seed, 8), 8), 0.1)
    random = np.random.default_rng(seed)
    query, photos = unit(random.standard_normal(8)), unit(random.standard_normal((20, 8)))
    matrix = adaptation.matrix.astype(np.float64)
    probe = adaptation.query(query).probe
    assert float(np.linalg.norm(probe)) == pytest.approx(1, abs=1e-6)
    products = photos.astype(np.float64) @ probe
    # <probe, x> |MMq| = <MMq, x> = <Mq, Mx> = cosine |Mq| |Mx|
    cosines = adaptation.apply(photos) @ adaptation.apply(query[None])[0]
    lengths = np.linalg.norm(photos @ matrix, axis=1) * np.linalg.norm(matrix @ query)
    np.testing.assert_allclose(products * np.linalg.norm(matrix @ matrix @ query), cosines * lengths, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(adaptation.apply(photos), axis=1), 1, atol=1e-12)


def test_spread_that_hides_the_labels_no_longer_does() -> None:
    world = HiddenWorld(40)
    gallery = [world.photos(thing, 4) for thing in range(40)]
    queries = [world.photos(thing, 5) for thing in range(40)]
    adaptation = fitted(WithinLabelScatter.of(gallery[20:], DIM), 0.1)  # learned from the other half of the labels

    def right(adapted: bool) -> float:
        seen = adaptation.apply if adapted else (lambda vectors: vectors.astype(np.float64))
        labels = [LabelPhotos(str(label), np.arange(4), seen(gallery[label])) for label in range(20)]
        answers = [
            rank_labels(query, labels)[0].label == str(label) for label in range(20) for query in seen(queries[label])
        ]
        return float(np.mean(answers))

    assert right(adapted=False) < 0.75
    assert right(adapted=True) > 0.9


# ---------------------------------------------------------------- bytes


def test_bytes_are_the_upper_triangle_row_by_row() -> None:
    matrix = np.array([[1.0, 0.25, 0.5], [0.25, 2.0, 0.75], [0.5, 0.75, 3.0]], np.float32)
    assert Adaptation(matrix).to_bytes() == struct.pack("<6f", 1, 0.25, 0.5, 2, 0.75, 3)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**16), dim=st.integers(1, 40))
def test_bytes_round_trip_to_the_bit(seed: int, dim: int) -> None:
    adaptation = fitted(WithinLabelScatter.of(groups(seed, dim), dim), 0.3)
    data = adaptation.to_bytes()
    assert len(data) == 4 * dim * (dim + 1) // 2
    again = Adaptation.from_bytes(data, dim)
    np.testing.assert_array_equal(again.matrix, adaptation.matrix)
    photos = unit(np.random.default_rng(seed).standard_normal((5, dim)))
    np.testing.assert_array_equal(again.apply(photos), adaptation.apply(photos))


def test_centres_are_kept_too() -> None:
    centres = Centres(np.array([0.5, 0.25], np.float32), np.array([-1.0, 2.0], np.float32))
    data = Adaptation(np.eye(2, dtype=np.float32), centres).to_bytes()
    assert data == struct.pack("<7f", 1, 0, 1, 0.5, 0.25, -1, 2)
    again = Adaptation.from_bytes(data, 2).centres
    assert again is not None
    np.testing.assert_array_equal([again.gallery, again.queries], [centres.gallery, centres.queries])


@pytest.mark.parametrize("data", [b"", struct.pack("<5f", *range(5)), struct.pack("<7f", *range(7))])
def test_another_count_of_numbers_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=f"{len(data) // 4} numbers are not the upper triangle of a 3 x 3 matrix"):
        Adaptation.from_bytes(data, 3)


def test_bytes_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        Adaptation.from_bytes(b"\0" * 23, 3)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not finite"):
            Adaptation.from_bytes(struct.pack("<6f", 1, 0, 0, bad, 0, 1), 3)
