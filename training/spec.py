"""The base of everything that a recipe says: frozen, and strict about what it is told."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Spec"]


class Spec(BaseModel):
    """A part of a recipe. It stands beside the module that it builds; a word that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
