"""The FAISS index that a specification asks for: made, asked and measured. One place that knows all kinds."""

from __future__ import annotations

import faiss

from index.engines.centres import centre_bytes
from index.engines.errors import InvalidEngineSpec
from index.engines.hnsw import hnsw_class, hnsw_parameters, train_hnsw
from index.engines.ivf import ivf_class, ivf_parameters, ivf_sample, train_ivf
from index.engines.leading import leading_directions, transformed, within
from index.engines.protocol import Vectors
from index.engines.scalar import train_scalar
from index.engines.spec import FlatSpec, HnswSpec, IvfSpec

__all__ = [
    "TrainedSpec",
    "directions",
    "faiss_class",
    "looked_at",
    "parameters",
    "resolved",
    "sample_size",
    "search_bytes",
    "train_searcher",
]

TrainedSpec = FlatSpec | IvfSpec | HnswSpec

_FEW = 20_000
_ID_BYTES = 8


def resolved(spec: TrainedSpec, index: faiss.Index) -> TrainedSpec:
    """The specification with what depended on the number of vectors filled in."""
    return spec.model_copy(update={"lists": int(within(index).nlist)}) if isinstance(spec, IvfSpec) else spec


def sample_size(spec: TrainedSpec, items: int) -> int:
    """How many vectors `train_searcher` learns from."""
    return ivf_sample(spec.lists_for(items)) if isinstance(spec, IvfSpec) else _FEW


def train_searcher(spec: TrainedSpec, dim: int, items: int, sample: Vectors) -> faiss.Index:
    """An empty index for `items` vectors, which has learned from `sample` (n, d), n >= 1.

    Raises:
        InvalidEngineSpec: parameters that do not fit the dimension.
    """
    pca = directions(spec)
    if pca is None:
        return _train(spec, dim, items, sample)
    if pca > dim:
        raise InvalidEngineSpec(f"{spec.kind}: pca: got {pca}; these vectors have {dim} dimensions")
    leading = leading_directions(sample, pca)
    return transformed(leading, _train(spec, pca, items, leading.apply(sample)))


def faiss_class(spec: TrainedSpec) -> type:
    """Of the index that `train_searcher` makes, behind its leading directions if it has some."""
    if isinstance(spec, IvfSpec):
        return ivf_class(spec)
    if isinstance(spec, HnswSpec):
        return hnsw_class(spec)
    return faiss.IndexScalarQuantizer  # type: ignore[no-any-return]


def parameters(
    spec: TrainedSpec, selector: faiss.IDSelector | None, widen: float, asked: int
) -> faiss.SearchParameters:
    """How to search for `asked` vectors, going `widen` times as far as specified.

    The last of those tells only whether it equals the one before (`index.engines.ordering`): what is compared again in
    full is counted without it.
    """
    candidates = max(asked, (asked - 1) * spec.refine)
    if isinstance(spec, IvfSpec):
        inner = ivf_parameters(spec, selector, widen)
    elif isinstance(spec, HnswSpec):
        inner = hnsw_parameters(spec, selector, widen, candidates)
    else:
        inner = faiss.SearchParameters(sel=selector) if selector is not None else faiss.SearchParameters()
    if directions(spec) is not None:
        inner = faiss.SearchParametersPreTransform(index_params=inner)
    if not spec.refine:
        return inner
    # FAISS cuts `asked` times the factor off to a whole number: half a candidate more keeps it at the right one.
    return faiss.IndexRefineSearchParameters(k_factor=(candidates + 0.5) / asked, base_index_params=inner)


def looked_at(spec: TrainedSpec, index: faiss.Index) -> int:
    """About how many vectors a search compares with one query."""
    items = int(index.ntotal)
    if isinstance(spec, IvfSpec):
        lists = within(index).nlist
        return int(lists + items * min(spec.probes, lists) // lists)
    return min(items, spec.ef * spec.m) if isinstance(spec, HnswSpec) else items


def search_bytes(spec: TrainedSpec, index: faiss.Index) -> int:
    """What searches go through."""
    items, index = int(index.ntotal), within(index)
    if isinstance(spec, IvfSpec):
        return int(items * (index.code_size + _ID_BYTES)) + centre_bytes(index)
    if isinstance(spec, HnswSpec):
        links = items * (2 * spec.m * 4 + _ID_BYTES + 4)  # the layers above the lowest add about 1/m of that
        return int(items * index.storage.sa_code_size() + links + links // spec.m)
    return int(items * index.sa_code_size())


def directions(spec: TrainedSpec) -> int | None:
    """How many leading directions are searched; None for all dimensions."""
    return None if isinstance(spec, FlatSpec) else spec.pca


def _train(spec: TrainedSpec, dim: int, items: int, sample: Vectors) -> faiss.Index:
    if isinstance(spec, IvfSpec):
        return train_ivf(spec, dim, items, sample)
    if isinstance(spec, HnswSpec):
        return train_hnsw(spec, dim, sample)
    return train_scalar(spec, dim, sample)
