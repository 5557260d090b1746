"""Augmentation: a step a file, and the list of them that a recipe says."""

from training.data.augment.pipeline import Augmentation, AugmentSpec, StepSpec

__all__ = ["AugmentSpec", "Augmentation", "StepSpec"]
