"""Samplers: which photos meet in a batch."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from training.data.samplers.balanced import BalancedSampler
from training.data.samplers.class_aware import ClassAwareSampler
from training.data.samplers.companions import CompanionsSampler
from training.data.samplers.per_label import PerLabelSampler
from training.data.samplers.plan import BatchPlan, Indices, part_of
from training.data.samplers.shuffled import InOrder, ShuffledSampler

__all__ = ["BatchPlan", "InOrder", "Indices", "SamplerSpec", "part_of"]

SamplerSpec: TypeAlias = Annotated[
    ShuffledSampler | BalancedSampler | PerLabelSampler | ClassAwareSampler | CompanionsSampler,
    Field(discriminator="kind"),
]
