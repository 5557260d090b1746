"""Which engine a gallery uses, and its parameters: frozen, as JSON, and as a short text such as `ivf,sq8,refine`."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from index.engines.errors import InvalidEngineSpec

__all__ = [
    "EngineSpec",
    "FlatSpec",
    "GpuSpec",
    "HnswSpec",
    "IvfSpec",
    "Keep",
    "MilvusSpec",
    "Storage",
    "spec_from_json",
]

Storage: TypeAlias = Literal["float32", "float16", "sq8"]
"""How the searched vectors are held; `sq8` is eight bits a value, from its least to its greatest in the dimension."""

Keep: TypeAlias = Literal["float16", "float32"]
"""How the vectors are kept beside the searched ones, to be read back and to refine with."""

_MANY = 1 << 19
"""Items from which on lists are twice as many: of a million, 352 of 8,192 lists hold .992 of the nearest, and 16 of
16,384 hold .988 in an eighth of the time."""

_FEWEST_A_LIST = 8

Lists = Annotated[int, Field(ge=1, le=1 << 20)]
Probes = Annotated[int, Field(ge=1, le=1 << 20)]
CodeBytes = Annotated[int, Field(ge=1, le=1024)]
Refine = Annotated[int, Field(ge=0, le=1000)]
Directions = Annotated[int | None, Field(ge=1, le=1 << 14, exclude_if=lambda directions: directions is None)]
"""Left out of manifests where it is not used: versions that do not know it read those."""


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: Keep | None = None

    @property
    def kept_as(self) -> Keep:
        """How the vectors are kept: as asked for, or else as exactly as they are searched."""
        return self.keep or "float16"


class _StoredSpec(_Spec):
    storage: Storage = "float32"

    @property
    def kept_as(self) -> Keep:
        """How the vectors are kept: as asked for, or else as exactly as they are searched."""
        return self.keep or ("float32" if self._searched_in_full else "float16")

    @property
    def _searched_in_full(self) -> bool:
        return self.storage == "float32"

    @model_validator(mode="after")
    def _keeps_what_it_searches(self) -> Self:
        if self._searched_in_full and self.keep == "float16":
            raise ValueError(
                "keep=float16 with storage float32 would search halved vectors in twice the room; "
                "give float16, or keep=float32"
            )
        return self


class FlatSpec(_StoredSpec):
    """Every vector is looked at.

    Attributes:
        refine: of `sq8`: look again at this many times as many vectors as are asked for, as they are kept; 0 for not.
    """

    kind: Literal["flat"] = "flat"
    refine: Refine = 0

    @model_validator(mode="after")
    def _refines_what_was_shortened(self) -> FlatSpec:
        for name in ("refine", "keep"):
            if getattr(self, name) and self.storage != "sq8":
                raise ValueError(f"{name} is for sq8; {self.storage} is kept as it is searched")
        return self


class IvfSpec(_StoredSpec):
    """Vectors in lists by their nearest of many centres; the lists of a query's nearest centres are looked through.

    Attributes:
        pq: bytes of a product-quantised vector, two values of four bits each, in place of `storage`.
        lists: None for the power of two next to eight times the root of the number of vectors.
        probes: lists looked through a query.
        pca: search in so many leading directions of the vectors (`index.engines.leading`); None for all dimensions.
        refine: as of `FlatSpec`.
    """

    kind: Literal["ivf"] = "ivf"
    pca: Directions = None
    pq: CodeBytes | None = None
    lists: Lists | None = None
    probes: Probes = 8
    refine: Refine = 0

    @property
    def _searched_in_full(self) -> bool:
        return self.storage == "float32" and self.pq is None and self.pca is None

    @model_validator(mode="after")
    def _is_stored_one_way(self) -> IvfSpec:
        _compares_again(self)
        if self.pq is not None and self.storage != "float32":
            raise ValueError(f"pq={self.pq} and {self.storage} are two ways to store a vector; give one")
        return self

    def lists_for(self, items: int) -> int:
        """How many lists `items` vectors get."""
        if self.lists is not None:
            return max(1, min(self.lists, items))
        wanted = (16 if items >= _MANY else 8) * math.sqrt(max(items, 1))
        return max(1, min(1 << round(math.log2(wanted)), items // _FEWEST_A_LIST))


class HnswSpec(_StoredSpec):
    """A graph of neighbours, walked greedily (Malkov and Yashunin, 2018).

    Attributes:
        m: neighbours of a vector; twice as many on the lowest layer.
        construction: candidates while building.
        ef: candidates while searching.
        pca, refine: as of `IvfSpec`.
    """

    kind: Literal["hnsw"] = "hnsw"
    pca: Directions = None
    storage: Storage = "float16"
    m: Annotated[int, Field(ge=2, le=512)] = 32
    construction: Annotated[int, Field(ge=4, le=10_000)] = 128
    ef: Annotated[int, Field(ge=1, le=1 << 20)] = 64
    refine: Refine = 0

    @property
    def _searched_in_full(self) -> bool:
        return self.storage == "float32" and self.pca is None

    @model_validator(mode="after")
    def _has_whole_similarities(self) -> HnswSpec:
        _compares_again(self)
        return self


def _compares_again(spec: IvfSpec | HnswSpec) -> None:
    if spec.pca is not None and not spec.refine:
        raise ValueError(f"pca={spec.pca} finds candidates by a part of their similarity; add refine")


class GpuSpec(_Spec):
    """Searched on one or several GPUs; needs a FAISS built for them.

    Attributes:
        method: `flat` in float16, `ivfpq` with bytes of eight bits, or the `cagra` graph, which needs the cuVS build.
        spread: over several GPUs, each holds all vectors (`replicated`) or its share (`sharded`).
        devices: GPUs by their numbers; none for all there are.
        degree: neighbours of a vector in the graph.
    """

    kind: Literal["gpu"] = "gpu"
    method: Literal["flat", "ivfpq", "cagra"] = "flat"
    spread: Literal["replicated", "sharded"] = "replicated"
    devices: tuple[Annotated[int, Field(ge=0)], ...] = ()
    pq: CodeBytes = 64
    lists: Lists | None = None
    probes: Probes = 32
    ef: Annotated[int, Field(ge=1, le=1 << 20)] = 64
    degree: Annotated[int, Field(ge=2, le=512)] = 64
    refine: Refine = 0

    @model_validator(mode="after")
    def _a_graph_stays_whole(self) -> GpuSpec:
        if self.method == "cagra" and self.spread == "sharded":
            raise ValueError("a cagra graph cannot be sharded; replicated would do")
        return self

    def lists_for(self, items: int) -> int:
        """How many lists `items` vectors get."""
        return IvfSpec(lists=self.lists).lists_for(items)


class MilvusSpec(BaseModel):
    """Searched by a Milvus server. Where that is, is a matter of the machine, not of the gallery: see `milvus_server`.

    Attributes:
        method: Milvus's index: its own choice (`auto`), every vector (`flat`), a graph (`hnsw`; on disks `diskann`), or
            lists (`ivf`, `ivf_sq8`).
        m, construction: of `hnsw`, as of `HnswSpec`.
        ef: candidates while searching, of `hnsw` and `diskann`.
        lists, probes: of `ivf` and `ivf_sq8`, as of `IvfSpec`, in each of Milvus's segments.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["milvus"] = "milvus"
    method: Literal["auto", "flat", "hnsw", "ivf", "ivf_sq8", "diskann"] = "auto"
    m: Annotated[int, Field(ge=2, le=2048)] = 32
    construction: Annotated[int, Field(ge=4, le=10_000)] = 128
    ef: Annotated[int, Field(ge=1, le=1 << 15)] = 64
    lists: Annotated[int, Field(ge=1, le=1 << 16)] | None = None
    probes: Annotated[int, Field(ge=1, le=1 << 16)] = 8

    @property
    def kept_as(self) -> Keep:
        """How the vectors are kept: Milvus gives back what it was given."""
        return "float32"

    @property
    def effort(self) -> Literal["ef", "probes"] | None:
        """The field that says how far a search looks; None for a method that has none."""
        if self.method in {"hnsw", "diskann"}:
            return "ef"
        return "probes" if self.method in {"ivf", "ivf_sq8"} else None

    @model_validator(mode="after")
    def _takes_what_its_method_has(self) -> MilvusSpec:
        has = {"hnsw": ("m", "construction", "ef"), "diskann": ("ef",)}
        own = has.get(self.method, ("lists", "probes") if self.method.startswith("ivf") else ())
        for name, field in type(self).model_fields.items():
            if name not in ("kind", "method", *own) and getattr(self, name) != field.default:
                raise ValueError(f"{self.method} has no {name}; it has {', '.join(own) or 'nothing to set'}")
        return self

    def lists_for(self, items: int) -> int:
        """How many lists a segment of `items` vectors gets."""
        return min(IvfSpec(lists=self.lists).lists_for(items), 1 << 16)


EngineSpec: TypeAlias = Annotated[FlatSpec | IvfSpec | HnswSpec | GpuSpec | MilvusSpec, Field(discriminator="kind")]

_ADAPTER: TypeAdapter[EngineSpec] = TypeAdapter(EngineSpec)


def spec_from_json(body: object) -> EngineSpec:
    """A specification from its JSON form (`model_dump`).

    Raises:
        InvalidEngineSpec: naming the field, what came, and what would do.
    """
    try:
        return _ADAPTER.validate_python(body)
    except ValidationError as error:
        raise InvalidEngineSpec(_sentence(error)) from error


def _sentence(error: ValidationError) -> str:
    """The first of the faults, for a person."""
    fault = error.errors(include_url=False, include_context=False)[0]
    place = [str(part) for part in fault["loc"]]
    if fault["type"] in ("union_tag_invalid", "union_tag_not_found", "model_attributes_type"):
        return f"kind of engine: got {fault['input']!r}; there are flat, ivf, hnsw, gpu and milvus"
    kind, field = place[0], ".".join(place[1:])
    if fault["type"] == "extra_forbidden":
        return f"{kind} has no {field!r}; it has {', '.join(_fields(kind))}"
    if not field:
        return f"{kind}: {fault['msg'].removeprefix('Value error, ')}"
    return f"{kind}: {field}: got {fault['input']!r}; {fault['msg'].removeprefix('Value error, ')}"


def _fields(kind: str) -> list[str]:
    models: tuple[type[BaseModel], ...] = (FlatSpec, IvfSpec, HnswSpec, GpuSpec, MilvusSpec)
    [fields] = [model.model_fields for model in models if model.model_fields["kind"].default == kind]
    return [name for name in fields if name != "kind"]
