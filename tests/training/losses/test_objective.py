from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

torch = pytest.importorskip("torch", reason="needs the training extra")

from tests.training.losses.given import batch_of, outputs_of  # noqa: E402
from training.batch import Outputs  # noqa: E402
from training.errors import RecipeInvalid  # noqa: E402
from training.losses.objective import Objective, ObjectiveSpec  # noqa: E402

pytestmark = pytest.mark.torch

CE = {"loss": {"kind": "cross_entropy"}}
MIXED = np.full((4, 3), 1 / 3)


def _objective(*terms: dict[str, Any]) -> Objective:
    torch.manual_seed(0)
    return ObjectiveSpec.model_validate({"terms": terms}).build(classes=3, dim=5, counts=torch.tensor([4, 5, 6]))


def _outputs() -> Outputs:
    generator = torch.Generator().manual_seed(1)
    return outputs_of(torch.randn(4, 5, generator=generator), logits=torch.randn(4, 3, generator=generator))


def test_the_sum_is_weighted_and_each_value_is_told() -> None:
    objective = _objective(CE, {"loss": {"kind": "arcface"}, "weight": 0.5}, {"loss": {"kind": "triplet"}, "weight": 2})
    total, values = objective(_outputs(), batch_of([0, 0, 1, 1]))
    expected = values["cross_entropy"] + 0.5 * values["arcface"] + 2 * values["triplet"]
    assert total.item() == pytest.approx(expected.item())
    assert total.requires_grad
    assert not values["arcface"].requires_grad
    assert values["arcface"] == objective.losses["arcface"](_outputs(), batch_of([0, 0, 1, 1]))
    assert objective.margin_loss() is objective.losses["arcface"]


def test_a_mixed_batch_is_refused_unless_the_recipe_says_skip() -> None:
    with pytest.raises(RecipeInvalid, match="BatchHardTriplet takes one label"):
        _objective(CE, {"loss": {"kind": "triplet"}})(_outputs(), batch_of([0, 0, 1, 1], mixed=MIXED))
    objective = _objective(CE, {"loss": {"kind": "arcface"}, "when_mixed": "skip"})
    total, values = objective(_outputs(), batch_of([0, 0, 1, 1], mixed=MIXED))
    assert values["arcface"] == 0
    assert total.item() == pytest.approx(values["cross_entropy"].item())
    total.backward()
    assert torch.equal(objective.losses["arcface"].classifier.weight.grad, torch.zeros(3, 5))


def test_every_kind_of_loss_builds_and_judges_a_batch() -> None:
    kinds = sorted(ObjectiveSpec.model_json_schema()["$defs"]["Term"]["properties"]["loss"]["discriminator"]["mapping"])
    assert len(kinds) == 12
    total, values = _objective(*({"loss": {"kind": kind}} for kind in kinds))(_outputs(), batch_of([0, 0, 1, 1]))
    assert sorted(values) == kinds
    assert torch.isfinite(total)


def test_mistakes_are_told() -> None:
    with pytest.raises(ValidationError, match="cross_entropy more than once"):
        _objective(CE, CE)
    with pytest.raises(ValidationError, match="arcface"):
        _objective({"loss": {"kind": "arkface"}})
    with pytest.raises(ValidationError, match="at least 1"):
        _objective()
