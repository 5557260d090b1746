from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the training extra")

from training.errors import RecipeInvalid  # noqa: E402
from training.inference.ensembles import concatenated, mean_of_probabilities, sum_of_probabilities  # noqa: E402

pytestmark = pytest.mark.torch


def test_means_and_sums_by_hand() -> None:
    first, second = np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([[0.3, 0.7], [0.2, 0.8]])
    np.testing.assert_allclose(mean_of_probabilities([first, second]), [[0.6, 0.4], [0.3, 0.7]])
    np.testing.assert_allclose(mean_of_probabilities([first, second], [3, 1]), [[0.75, 0.25], [0.35, 0.65]])
    np.testing.assert_allclose(sum_of_probabilities([first, second]), [[1.2, 0.8], [0.6, 1.4]])


@given(seed=st.integers(0, 2**32 - 1), dims=st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_a_cosine_is_the_mean_of_the_members_cosines(seed: int, dims: list[int]) -> None:
    random = np.random.default_rng(seed)
    members = [random.uniform(0.1, 5) * random.standard_normal((4, dim)) for dim in dims]
    found = concatenated(members).astype(np.float64)
    cosines = []
    for member in members:
        unit = member / np.linalg.norm(member, axis=1, keepdims=True)
        cosines.append(unit @ unit.T)
    np.testing.assert_allclose(found @ found.T, np.mean(cosines, axis=0), atol=1e-5)


def test_members_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RecipeInvalid, match=r"\(2, 3\), \(2, 4\)"):
        mean_of_probabilities([np.ones((2, 3)), np.ones((2, 4))])
    with pytest.raises(RecipeInvalid, match="weights"):
        mean_of_probabilities([np.ones((2, 3))], [-1.0])
    with pytest.raises(RecipeInvalid, match="none"):
        sum_of_probabilities([])
    with pytest.raises(RecipeInvalid, match=r"\[2, 3\]"):
        concatenated([np.ones((2, 3)), np.ones((3, 3))])
