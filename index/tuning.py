"""What a gallery has learned about itself: how to compare in it, and what the outcome of a comparison means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from index.adaptation import Adaptation
from index.calibration import Calibration
from index.pipeline import Aggregation, Ranking

__all__ = ["Choice", "Tuning", "TuningBody"]


class Choice(BaseModel):
    """Whether a part of the pipeline is used in a gallery, and why.

    Attributes:
        part: `adaptation`, `centring`, `ranking` (in another form than the blend) or `verification`.
        used: whether it is.
        why: `on` and `off`: so says the pipeline; `measured`: the gallery asked itself; `default`: it is too small to.
        without, with_: share of right answers without and with the part, where that was measured.
        queries: how many it was measured on.
        form: of `ranking`, the best of the other forms; None for other parts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: str
    used: bool
    why: str
    without: float | None = None
    with_: float | None = None
    queries: int = 0
    form: Aggregation | None = None


class TuningBody(BaseModel):
    """The part of a tuning that is JSON. `ranking` is None where it is the pipeline's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calibration: Calibration
    verification: bool
    choices: tuple[Choice, ...] = ()
    ranking: Ranking | None = None


@dataclass(frozen=True, slots=True)
class Tuning:
    """Attributes:
    body: calibration and choices.
    adaptation: None where embeddings are compared as they are.
    """

    body: TuningBody
    adaptation: Adaptation | None = None

    @property
    def calibration(self) -> Calibration:
        return self.body.calibration

    @property
    def verification(self) -> bool:
        """Whether candidates are verified by local features."""
        return self.body.verification

    def to_parts(self) -> tuple[dict[str, Any], bytes]:
        """JSON and bytes (empty without adaptation) to keep it as."""
        return self.body.model_dump(mode="json"), b"" if self.adaptation is None else self.adaptation.to_bytes()

    @classmethod
    def from_parts(cls, body: Any, adaptation: bytes, dim: int) -> Tuning:
        """The inverse of `to_parts`.

        Raises:
            ValueError: (pydantic's ValidationError among them) they are something else.
        """
        return cls(TuningBody.model_validate(body), Adaptation.from_bytes(adaptation, dim) if adaptation else None)
