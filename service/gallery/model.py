"""What galleries must know of the bundle that is loaded, and of how they are to be asked."""

from __future__ import annotations

from dataclasses import dataclass

from index.background import Background
from index.pipeline import Pipeline
from index.verification import Verifier
from service.errors import BundleMismatch
from service.models import Gallery

__all__ = ["Model", "check_bundle"]


@dataclass(frozen=True, slots=True)
class Model:
    """A bundle, and what is done with its embeddings.

    Attributes:
        pipeline: of the settings; a gallery's own is that of `pipeline_for`.
    """

    id: str
    sha256: str
    dim: int
    background: Background
    pipeline: Pipeline
    verifier: Verifier

    def pipeline_for(self, unknown_share: float | None) -> Pipeline:
        """The pipeline of a gallery that was told this share of strangers; None: what the settings say."""
        if unknown_share is None:
            return self.pipeline
        return self.pipeline.model_copy(update={"unknown_share": unknown_share})


def check_bundle(row: Gallery, model: Model) -> None:
    """Refuse a gallery that another bundle embedded.

    Raises:
        BundleMismatch: says what to do.
    """
    if row.bundle_sha256 != model.sha256:
        raise BundleMismatch(
            f"gallery {row.name!r} was embedded with bundle {row.bundle_sha256[:12]}, but {model.id} "
            f"({model.sha256[:12]}) is loaded, and their embeddings do not compare; set WHICHONE_BUNDLE to the folder "
            "of the gallery's bundle, or WHICHONE_DATA to another folder",
            gallery=row.name,
            expected=row.bundle_sha256,
            got=model.sha256,
        )
