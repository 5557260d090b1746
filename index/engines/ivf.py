"""Inverted lists: what they are trained from, and how they are searched."""

from __future__ import annotations

import faiss
import numpy as np

from index.engines.centres import MANY, centre_finder, centre_learner, centre_parameters
from index.engines.errors import InvalidEngineSpec
from index.engines.protocol import Vectors
from index.engines.scalar import QUANTIZERS
from index.engines.spec import IvfSpec

__all__ = ["ivf_class", "ivf_parameters", "ivf_sample", "train_ivf"]

_ROUNDS = 8
_ROUNDS_OF_MANY = 4
"""A fifth builds a million in 82 s in place of 73; a query then takes .55 ms in place of .62."""

_A_CENTRE = 32
_A_CENTRE_OF_MANY = 16
_ENOUGH = 131_072
_ENCODER = 20_000
_BITS = 4
"""FAISS's fast scan works on codes of four bits: a table of 16 entries stays in a register."""

_SEED = 20_240_501


def ivf_sample(lists: int) -> int:
    """How many vectors `train_ivf` learns from."""
    wanted = max(min(_A_CENTRE * lists, _ENOUGH), _A_CENTRE_OF_MANY * lists)
    return max(wanted, _ENCODER)


def ivf_class(spec: IvfSpec) -> type:
    """The FAISS class that holds such lists."""
    if spec.pq is not None:
        return faiss.IndexIVFPQFastScan  # type: ignore[no-any-return]
    return faiss.IndexIVFFlat if spec.storage == "float32" else faiss.IndexIVFScalarQuantizer  # type: ignore[no-any-return]


def train_ivf(spec: IvfSpec, dim: int, items: int, sample: Vectors) -> faiss.Index:
    """Empty lists whose centres and codes are learned from `sample` (n, d), n >= 1.

    Raises:
        InvalidEngineSpec: codes that do not divide the dimensions.
    """
    lists = min(spec.lists_for(items), len(sample))
    sample = np.ascontiguousarray(sample, np.float32)
    finder = centre_finder(_centres(sample, lists))
    index = _empty(spec, finder, dim, lists)
    finder.this.disown()
    index.own_fields = True
    if spec.pq is not None:
        _thrifty(index.pq.cp)
        sample = np.resize(sample, (max(len(sample), 1 << _BITS), dim))
    index.train(sample)
    return index


def ivf_parameters(spec: IvfSpec, selector: faiss.IDSelector | None, widen: float) -> faiss.SearchParameters:
    """How to search; `widen` times as many lists where a selection leaves few of each."""
    probes = max(1, int(spec.probes * widen))
    parameters = faiss.SearchParametersIVF(nprobe=probes, quantizer_params=centre_parameters(probes))
    if selector is not None:
        parameters.sel = selector
    return parameters


def _empty(spec: IvfSpec, quantizer: faiss.Index, dim: int, lists: int) -> faiss.Index:
    if spec.pq is not None:
        codes = spec.pq * 8 // _BITS
        if dim % codes:
            fits = [size for size in range(1, dim // 2 + 1) if dim % (size * 8 // _BITS) == 0]
            raise InvalidEngineSpec(
                f"ivf: pq={spec.pq} makes {codes} codes, which do not divide {dim} dimensions; "
                f"pq may be {', '.join(map(str, fits))}"
            )
        return faiss.IndexIVFPQFastScan(quantizer, dim, lists, codes, _BITS, faiss.METRIC_INNER_PRODUCT)
    if spec.storage == "float32":
        return faiss.IndexIVFFlat(quantizer, dim, lists, faiss.METRIC_INNER_PRODUCT)
    return faiss.IndexIVFScalarQuantizer(
        quantizer, dim, lists, QUANTIZERS[spec.storage], faiss.METRIC_INNER_PRODUCT, False
    )


def _centres(sample: Vectors, count: int) -> Vectors:
    """(count, d), of spherical k-means."""
    dim = sample.shape[1]
    parameters = faiss.ClusteringParameters()
    _thrifty(parameters)
    if count >= MANY:
        parameters.niter = _ROUNDS_OF_MANY
    parameters.max_points_per_centroid = _A_CENTRE
    parameters.spherical = True
    parameters.update_index = True  # codes are made for where the centres are by now
    clustering = faiss.Clustering(dim, count, parameters)
    clustering.train(sample, centre_learner(dim, count))
    centres: Vectors = faiss.vector_to_array(clustering.centroids).reshape(count, dim)
    return centres


def _thrifty(clustering: faiss.ClusteringParameters) -> None:
    """Fewer rounds than FAISS's 25: recall is the same to a thousandth, and building takes a third."""
    clustering.niter = _ROUNDS
    clustering.min_points_per_centroid = 1
    clustering.seed = _SEED
