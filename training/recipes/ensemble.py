"""Several recipes whose networks answer together."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from training.errors import RecipeInvalid
from training.recipe import Recipe, load_recipe
from training.recipes.documents import read_document, recipe_path
from training.recipes.mistakes import sentence
from training.spec import Spec

__all__ = ["Ensemble", "Member", "is_ensemble", "load_ensemble"]


class Member(Spec):
    """A network of the ensemble.

    Attributes:
        recipe: path, or name of one that ships.
        stage: whose end is taken; None: the best epoch.
    """

    recipe: str = Field(min_length=1)
    stage: str | None = None


class Ensemble(Spec):
    """Networks, and how their answers are made one.

    Attributes:
        name, description: for people.
        combine: `probabilities` are averaged; `embeddings` stand side by side.
        members: several may be stages of one recipe, which is then trained once.
    """

    kind: Literal["ensemble"] = "ensemble"
    name: str = Field(min_length=1)
    description: str = ""
    combine: Literal["probabilities", "embeddings"]
    members: tuple[Member, ...] = Field(min_length=2)

    def recipes(self) -> dict[str, Recipe]:
        """The recipes to train, by the name that members call them by.

        Raises:
            RecipeInvalid: there is no such recipe, or it has no such stage.
        """
        found = {member.recipe: load_recipe(member.recipe) for member in self.members}
        for member in self.members:
            stages = [stage.name for stage in found[member.recipe].stages]
            if member.stage is not None and member.stage not in stages:
                raise RecipeInvalid(
                    f"{self.name}: {member.recipe} has no stage {member.stage!r}; there is {', '.join(stages)}"
                )
        return found


def is_ensemble(name: str | Path) -> bool:
    """Whether a document is an ensemble rather than a recipe.

    Raises:
        RecipeInvalid: there is no such document.
    """
    return read_document(recipe_path(str(name))).get("kind") == "ensemble"


def load_ensemble(name: str | Path) -> Ensemble:
    """An ensemble by its path, or the name of one that ships.

    Raises:
        RecipeInvalid: there is none, or it cannot be used.
    """
    path = recipe_path(str(name))
    try:
        return Ensemble.model_validate(read_document(path))
    except ValidationError as error:
        raise RecipeInvalid(f"{path}: {sentence(error, Ensemble)}", problems=error.error_count()) from error
