"""What can be wrong with a recipe, its photos or a run.

InputError
└── TrainingError               training_error
    ├── RecipeInvalid           invalid_recipe      a recipe, or a change to one, that cannot be used
    ├── PhotosUnusable          unusable_photos     a list of photos that cannot be trained on
    ├── RunFailed               run_failed          a run that cannot go on: its loss is no number, say
    └── CheckpointInvalid       invalid_checkpoint  a checkpoint of another recipe, or none at all
"""

from __future__ import annotations

from embedding.errors import InputError

__all__ = ["CheckpointInvalid", "PhotosUnusable", "RecipeInvalid", "RunFailed", "TrainingError"]


class TrainingError(InputError):
    """Training cannot start, or cannot go on."""

    code = "training_error"


class RecipeInvalid(TrainingError):
    """A recipe, or a change to one, cannot be used."""

    code = "invalid_recipe"


class PhotosUnusable(TrainingError):
    """A list of photos cannot be trained on."""

    code = "unusable_photos"


class RunFailed(TrainingError):
    """A run cannot go on."""

    code = "run_failed"


class CheckpointInvalid(TrainingError):
    """A checkpoint is no checkpoint, or that of another recipe."""

    code = "invalid_checkpoint"
