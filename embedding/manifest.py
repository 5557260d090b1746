"""What a bundle says of itself: the frozen, checked form of its ``manifest.json``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_serializer, model_validator

from embedding.preprocess import PreprocessSpec
from embedding.views import check_view, side_needed

__all__ = ["DISTRACTORS", "MANIFEST", "Device", "Manifest", "Precision", "View"]

MANIFEST = "manifest.json"
DISTRACTORS = "distractors.npz"

Device = Literal["cpu", "cuda"]
Precision = Literal["float32", "float16", "int8"]
View: TypeAlias = Annotated[str, AfterValidator(check_view)]
"""A name that `embedding.views` knows."""

# A plain name: no separators, no leading dot, so that it can never lead out of the bundle's folder.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class Manifest(BaseModel):
    """A bundle's manifest.

    Attributes:
        name, version: together the bundle's id, ``name@version``.
        license: of the weights, as an SPDX expression.
        backbone: the architecture, for people.
        dim: length of an embedding.
        outputs: names of the graph's outputs, among them ``embedding``.
        preprocess: how the model wants its photos.
        views: which views of a photo are embedded and averaged (`embedding.views`). Each makes an embedding dearer;
            galleries embedded with other views do not compare, so they are part of what the bundle is.
        models: precision -> ONNX file. Its input ``image`` is (n, 3, h, w) float32, preprocessed; its output
            ``embedding`` (n, dim) float32 of unit length.
        precision: device -> the precision it runs unless told otherwise.
        temperature: what the optional class scores are divided by before a softmax.
        files: every file of the bundle but the manifest -> its sha256.
        recipe, metrics: how it was made and what was measured; for people and reports.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["whichone-bundle/1"] = "whichone-bundle/1"
    name: Name
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
    license: str = Field(min_length=1)
    backbone: str = Field(min_length=1)
    dim: int = Field(ge=1, le=8192)
    outputs: tuple[str, ...] = ("embedding",)
    preprocess: PreprocessSpec
    views: tuple[View, ...] = Field(default=("upright",), min_length=1)
    models: dict[Precision, FileName] = Field(min_length=1)
    precision: dict[Device, Precision]
    temperature: float = Field(default=1.0, gt=0)
    files: dict[FileName, Sha256] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)

    @field_serializer("preprocess")
    def _preprocess_as_json(self, spec: PreprocessSpec) -> dict[str, Any]:
        return spec.as_json()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if "embedding" not in self.outputs:
            raise ValueError(f"outputs {self.outputs} lack 'embedding'")
        if "cpu" not in self.precision:
            raise ValueError("precision names none for cpu, on which every bundle must run")
        if missing := set(self.precision.values()) - set(self.models):
            raise ValueError(f"precision names {sorted(missing)}, for which there is no model")
        side_needed(self.views, self.preprocess)  # raises where a scale makes an input no model can have
        if MANIFEST in self.files:
            raise ValueError(f"files names {MANIFEST} itself")
        return self

    @property
    def id(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"
