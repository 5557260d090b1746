from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from tests.training.losses.given import batch_of, outputs_of  # noqa: E402
from training.losses.arcface import ArcFace  # noqa: E402
from training.losses.partial_fc import PartialArcFace, PartialArcFaceSpec  # noqa: E402

pytestmark = pytest.mark.torch

LABELS = [3, 17, 3, 40]


def _loss(**words: Any) -> PartialArcFace:
    torch.manual_seed(0)
    return PartialArcFaceSpec.model_validate(words).build(classes=50, dim=6, counts=torch.ones(50))


def _embeddings() -> torch.Tensor:
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(1))


def test_with_all_classes_it_is_arcface() -> None:
    partial = _loss(share=1.0)
    whole = ArcFace(partial.classifier, 64.0, 0.5)
    got, expected = (loss(outputs_of(_embeddings()), batch_of(LABELS)) for loss in (partial, whole))
    torch.testing.assert_close(got, expected)


def test_a_step_is_arcface_over_its_classes_and_touches_no_other() -> None:
    partial = _loss(share=0.2)
    chosen = _loss(share=0.2)._choose(torch.tensor(LABELS))
    assert len(chosen) == 10
    assert {3, 17, 40} <= set(chosen.tolist())
    loss = partial(outputs_of(_embeddings()), batch_of(LABELS))
    loss.backward()
    touched = partial.classifier.weight.grad.abs().sum(1).nonzero()[:, 0]
    assert torch.equal(touched, chosen)
    small = ArcFace(_loss().classifier, 64.0, 0.5)
    small.classifier.weight.data = partial.classifier.weight.data[chosen]
    places = [chosen.tolist().index(label) for label in LABELS]
    torch.testing.assert_close(loss, small(outputs_of(_embeddings()), batch_of(places)))


def test_the_batch_has_its_classes_whatever_the_share() -> None:
    assert _loss(share=0.01)._choose(torch.tensor(LABELS)).tolist() == [3, 17, 40]


def test_a_resumed_run_chooses_the_same_and_each_step_anew() -> None:
    first, labels = _loss(share=0.2), torch.tensor(LABELS)
    steps = [first._choose(labels)]
    saved = {name: value.clone() for name, value in first.state_dict().items()}
    steps.append(first._choose(labels))
    resumed = _loss(share=0.2)
    resumed.load_state_dict(saved)
    assert torch.equal(resumed._choose(labels), steps[1])
    assert not torch.equal(steps[0], steps[1])
    assert not torch.equal(_loss(share=0.2, seed=1)._choose(labels), steps[0])


def test_evaluation_counts_every_class() -> None:
    partial = _loss(share=0.1).eval()
    whole = ArcFace(partial.classifier, 64.0, 0.5)
    torch.testing.assert_close(*(loss(outputs_of(_embeddings()), batch_of(LABELS)) for loss in (partial, whole)))
    assert partial.scores(_embeddings()).shape == (4, 50)
