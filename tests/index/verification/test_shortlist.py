"""Which candidates are looked at, on a clock that the test turns."""

from __future__ import annotations

import pytest

from index.verification import (
    FeatureFile,
    FeaturesMismatch,
    LocalFeatures,
    RootSiftVerifier,
    UnknownVerifier,
    Verifier,
    verifier_named,
    verify_shortlist,
)
from tests.index.verification.conftest import some_features


class Clock:
    """One second later each time it is looked at."""

    def __init__(self) -> None:
        self.seconds = -1.0

    def __call__(self) -> float:
        self.seconds += 1.0
        return self.seconds


def file_of(numbers: range, features: LocalFeatures) -> FeatureFile:
    file = FeatureFile()
    for number in numbers:
        file.put(number, features.to_bytes())
    return file


# The clock is read at the start (0 s) and then before each candidate but the first: at 1 s, 2 s, ...
@pytest.mark.parametrize(
    ("budget_ms", "looked_at"),
    [(1, [5]), (1000, [5]), (1001, [5, 3]), (2500, [5, 3, 4]), (3001, [5, 3, 4, 1]), (60_000, [5, 3, 4, 1])],
)
def test_until_the_time_is_up(
    verifier: RootSiftVerifier, features: LocalFeatures, budget_ms: float, looked_at: list[int]
) -> None:
    with file_of(range(1, 6), features) as file:
        matches = verify_shortlist(features, [5, 3, 4, 1], file, verifier, budget_ms=budget_ms, clock=Clock())
    assert list(matches) == looked_at
    assert all(match.inliers > 100 for match in matches.values())


def test_photos_without_features_are_passed_over(verifier: RootSiftVerifier, features: LocalFeatures) -> None:
    with file_of(range(3, 5), features) as file:
        matches = verify_shortlist(features, [1, 2, 3, 4], file, verifier, budget_ms=1, clock=Clock())
    assert list(matches) == [3], "the first that can be looked at always is"


def test_no_candidates(verifier: RootSiftVerifier, features: LocalFeatures) -> None:
    with FeatureFile() as file:
        assert verify_shortlist(features, [], file, verifier, budget_ms=100) == {}


def test_features_of_another_method(verifier: RootSiftVerifier, features: LocalFeatures) -> None:
    with file_of(range(1, 2), some_features(9, method="other")) as file, pytest.raises(FeaturesMismatch):
        verify_shortlist(features, [1], file, verifier, budget_ms=100)


def test_verifiers_by_name() -> None:
    verifier: Verifier = verifier_named("rootsift")
    assert isinstance(verifier, RootSiftVerifier)
    assert verifier.name == "rootsift"
    with pytest.raises(UnknownVerifier, match=r"'magic'.*rootsift") as caught:
        verifier_named("magic")
    assert "rootsift" in caught.value.details["existing"]
