"""The leading directions, held against the singular value decomposition that they are of."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from index.engines import build, open_index, parse_spec
from index.engines.centres import MANY, centre_finder
from index.engines.leading import leading_directions, leading_share, transformed, within
from index.engines.protocol import Vectors
from index.errors import GenerationCorrupt

DIM = 16


@pytest.fixture(scope="module")
def sample() -> Vectors:
    """Vectors about a mean that is not nought, in directions of falling length."""
    random = np.random.default_rng(0)
    drawn = random.standard_normal((500, DIM)) * 0.7 ** np.arange(DIM) + np.eye(DIM)[3]
    turned = drawn @ np.linalg.qr(random.standard_normal((DIM, DIM)))[0]
    return np.asarray(turned, np.float32)


def matrix(transform: faiss.LinearTransform) -> Vectors:
    return np.asarray(faiss.vector_to_array(transform.A).reshape(-1, DIM), np.float32)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("count", [1, 5, DIM])
def test_they_span_what_the_leading_singular_vectors_span(sample: Vectors, count: int, *, mixed: bool) -> None:
    found = matrix(leading_directions(sample, count, mixed=mixed))
    true = np.linalg.svd(sample, full_matrices=False)[2][:count]
    np.testing.assert_allclose(found @ found.T, np.eye(count), atol=1e-5)
    np.testing.assert_allclose(found.T @ found, true.T @ true, atol=1e-4)


def test_mixed_they_vary_more_alike(sample: Vectors) -> None:
    """No direction more than the first did, none less than the last (Schur and Horn)."""
    plain, mixed = (
        np.square(sample @ matrix(leading_directions(sample, 6, mixed=how)).T).mean(axis=0) for how in (False, True)
    )
    assert plain.sum() == pytest.approx(mixed.sum(), rel=1e-4)
    assert mixed.max() < 0.8 * plain[0]
    assert mixed.min() > 1.5 * plain[-1]


def test_the_share_is_of_squared_lengths(sample: Vectors) -> None:
    lengths = np.linalg.svd(sample, compute_uv=False) ** 2
    for count in (1, 5, DIM):
        assert leading_share(sample, count) == pytest.approx(lengths[:count].sum() / lengths.sum(), rel=1e-4)


def test_fewer_vectors_than_directions_still_make_so_many(sample: Vectors) -> None:
    found = matrix(leading_directions(sample[:2], 5))
    np.testing.assert_allclose(found @ found.T, np.eye(5), atol=1e-5)
    np.testing.assert_allclose(sample[:2] @ found.T @ found, sample[:2], atol=1e-4)


def test_a_transformed_index_owns_its_parts(sample: Vectors) -> None:
    index = transformed(leading_directions(sample, DIM), faiss.IndexFlatIP(DIM))
    index.add(sample)
    assert isinstance(within(index), faiss.IndexFlatIP)
    assert within(within(index)).ntotal == len(sample)
    found, truth = index.search(sample[:9], 3)[0], np.sort(sample[:9] @ sample.T, axis=1)[:, :-4:-1]
    np.testing.assert_allclose(found, truth, rtol=1e-4)


@pytest.mark.parametrize(
    ("saved", "opened", "words"),
    [
        ("hnsw,refine", "hnsw,pca=8,refine", "does not transform"),
        ("hnsw,pca=8,refine", "hnsw,refine", "transforms its vectors"),
        ("ivf,pca=8,sq8,refine", "hnsw,pca=8,sq8,refine", "IndexIVFScalarQuantizer, expected an IndexHNSWSQ"),
    ],
)
def test_another_index_than_the_engine_says_is_refused(
    sample: Vectors, tmp_path: Path, saved: str, opened: str, words: str
) -> None:
    path = tmp_path / "index.faiss"
    build(parse_spec(saved), DIM, [(np.arange(len(sample)), sample)]).save(path)
    with pytest.raises(GenerationCorrupt, match=words):
        open_index(path, parse_spec(opened))


@pytest.mark.parametrize(("falling", "coded"), [(0.7, DIM // 2), (1.0, DIM)])
def test_codes_of_centres_are_of_half_the_directions_where_those_hold_nearly_all(falling: float, coded: int) -> None:
    centres = np.random.default_rng(1).standard_normal((MANY, DIM)) * falling ** np.arange(DIM)
    finder = centre_finder(np.asarray(centres, np.float32))
    assert within(faiss.downcast_index(finder.base_index)).d == coded
