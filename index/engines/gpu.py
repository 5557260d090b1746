"""Search on one or several GPUs through FAISS: flat in float16, IVF-PQ, and the CAGRA graph of the cuVS build.

What is built on a GPU is saved as the CPU index that FAISS makes of it, so a machine without one can serve it
(`open_on_cpu`), and one with a GPU take it up again. Vectors kept for refining and reading back stay on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock

import faiss
import numpy as np
from numpy.typing import NDArray

from embedding.errors import DeviceUnavailable
from index.engines.errors import InvalidEngineSpec
from index.engines.kept import exact_among, read_kept
from index.engines.ordering import best_of, no_answer, padded
from index.engines.protocol import ABSENT, BLOCK, IndexStats, Mask, Numbers, Vectors
from index.engines.searcher import TrainedSpec
from index.engines.selection import Selection
from index.engines.spec import FlatSpec, GpuSpec, HnswSpec, IvfSpec
from index.engines.trained import TrainedIndex, prepare
from index.errors import DimensionMismatch

__all__ = ["GpuIndex", "build_on_gpu", "gpus_for", "open_on_cpu"]

_MOST_ANSWERS = 2048
"""What FAISS's GPU kernels give for one query."""

_FEW_SELECTED = 2_000
_BITS = 8
_A_CENTRE = 64


def gpus_for(spec: GpuSpec) -> tuple[int, ...]:
    """The GPUs that a specification names, or all there are.

    Raises:
        DeviceUnavailable: this FAISS or this machine does not have them.
    """
    if not hasattr(faiss, "StandardGpuResources"):
        raise DeviceUnavailable(
            "engine gpu: the installed FAISS has no GPU support; install the gpu extra in place of cpu, "
            "or choose flat, ivf or hnsw"
        )
    there = faiss.get_num_gpus()
    devices = spec.devices or tuple(range(there))
    if not devices or max(devices) >= there:
        asked = "+".join(map(str, spec.devices)) or "at least one"
        raise DeviceUnavailable(f"engine gpu: devices: asked for {asked}, this machine has {there}", there=there)
    if spec.method == "cagra" and not hasattr(faiss, "GpuIndexCagra"):
        raise DeviceUnavailable(
            "engine gpu: method cagra needs FAISS's cuVS build (conda package faiss-gpu-cuvs); flat and ivfpq do not"
        )
    return devices


def build_on_gpu(spec: GpuSpec, numbers: Numbers, kept: faiss.Index) -> GpuIndex:
    """Build from kept vectors; `numbers` (n,) ascend.

    Raises:
        DeviceUnavailable: see `gpus_for`.
        InvalidEngineSpec: parameters that FAISS refuses.
    """
    devices = gpus_for(spec)
    try:
        if spec.method == "flat":
            searcher = kept
        elif spec.method == "ivfpq":
            searcher = _built_lists(spec, kept, devices[0])
        else:
            searcher = _built_graph(spec, kept, devices[0])
    except RuntimeError as error:
        raise InvalidEngineSpec(f"engine gpu: FAISS refuses {spec.method}: {_reason(error)}") from error
    return GpuIndex(spec, TrainedIndex(_on_cpu(spec), searcher, kept, numbers))


def open_on_cpu(path: Path, spec: GpuSpec) -> TrainedIndex:
    """What a `GpuIndex` saved, searched on the CPU, by memory map.

    Raises:
        GenerationCorrupt: a file is missing, or is not of such an index.
    """
    if spec.method == "flat":
        expected = faiss.IndexFlatIP if spec.kept_as == "float32" else faiss.IndexScalarQuantizer
    else:
        expected = faiss.IndexIVFPQ if spec.method == "ivfpq" else faiss.IndexHNSWCagra
    return TrainedIndex.open(path, _on_cpu(spec), expected=expected)


class GpuIndex:
    """Searched on GPUs, read-only.

    FAISS's GPU resources serve one search at a time, so searches wait for each other. Batches make up for that.

    Args:
        spec: what was asked for.
        on_cpu: the same index on the CPU.

    Raises:
        DeviceUnavailable: see `gpus_for`.
    """

    def __init__(self, spec: GpuSpec, on_cpu: TrainedIndex) -> None:
        self._spec = spec
        self._cpu = on_cpu
        self._searcher = _on_gpus(spec, on_cpu, gpus_for(spec))
        self._lock = Lock()

    @classmethod
    def open(cls, path: Path, spec: GpuSpec) -> GpuIndex:
        """Bring an index that `save` wrote to the GPUs.

        Raises:
            GenerationCorrupt: a file is missing, or is not of such an index.
            DeviceUnavailable: see `gpus_for`.
        """
        gpus_for(spec)
        return cls(spec, open_on_cpu(path, spec))

    @property
    def dim(self) -> int:
        return self._cpu.dim

    @property
    def spec(self) -> GpuSpec:
        return self._spec

    def __len__(self) -> int:
        return len(self._cpu)

    def numbers(self) -> Numbers:
        return self._cpu.numbers()

    def contains(self, numbers: Numbers) -> Mask:
        return self._cpu.contains(numbers)

    def add(self, numbers: Numbers, vectors: Vectors) -> None:
        self._cpu.add(numbers, vectors)

    def remove(self, numbers: Iterable[int]) -> int:
        return self._cpu.remove(numbers)

    def search(self, queries: Vectors, k: int, *, within: Selection | None = None) -> tuple[Vectors, Numbers]:
        """As every engine. FAISS's GPU indexes take no selectors: more are asked for by the share that is selected,
        and a query for which that is too few is compared with every selected vector on the CPU."""
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise DimensionMismatch(
                f"queries of shape {queries.shape} do not fit an index of {self.dim} dimensions", expected=self.dim
            )
        mask = None if within is None else prepare(within, self.numbers()).mask
        there = len(self) if mask is None else int(np.count_nonzero(mask))
        k_here = min(k, there)
        if k_here == 0 or len(queries) == 0:
            return no_answer(len(queries), k)
        similarities, places = self._search(np.ascontiguousarray(queries, np.float32), k_here, mask, there)
        return padded(similarities, self.numbers()[places], k)

    def reconstruct(self, numbers: Numbers) -> Vectors:
        return self._cpu.reconstruct(numbers)

    def save(self, path: Path) -> None:
        self._cpu.save(path)

    def stats(self) -> IndexStats:
        stats = self._cpu.stats()
        return IndexStats(
            engine=f"gpu: {stats.engine}",
            items=stats.items,
            changes=0,
            memory_bytes=stats.memory_bytes,
            kept_bytes=stats.kept_bytes,
            disk_bytes=stats.disk_bytes,
        )

    def _search(self, queries: Vectors, k: int, mask: Mask | None, there: int) -> tuple[Vectors, NDArray[np.int64]]:
        asked = min(len(self), math.ceil((k + 1) * max(self._spec.refine, 1) * len(self) / there))
        if there <= _FEW_SELECTED or asked > _MOST_ANSWERS:
            return self._among(queries, k, mask)
        with self._lock:
            similarities, places = self._searcher.search(queries, asked)
        gone = places == ABSENT
        if mask is not None:
            gone |= ~mask[places]
        if self._spec.refine:
            similarities = self._refined(queries, places)
        similarities = np.where(gone, np.float32(-np.inf), similarities)
        found, places = best_of(similarities, places, k)
        short = np.isneginf(found[:, -1])
        if short.any():
            found[short], places[short] = self._among(queries[short], k, mask)
        return found, places

    def _refined(self, queries: Vectors, places: NDArray[np.int64]) -> Vectors:
        rows = read_kept(self._cpu.kept, np.maximum(places, 0).ravel()).reshape(*places.shape, self.dim)
        return np.asarray(np.einsum("qd,qkd->qk", queries, rows), np.float32)

    def _among(self, queries: Vectors, k: int, mask: Mask | None) -> tuple[Vectors, NDArray[np.int64]]:
        places = np.arange(len(self)) if mask is None else np.flatnonzero(mask)
        similarities, places = exact_among(self._cpu.kept, queries, places)
        return similarities[:, :k], places[:, :k]


def _on_cpu(spec: GpuSpec) -> TrainedSpec:
    """How the CPU searches what the GPU built."""
    if spec.method == "flat":
        return FlatSpec(storage=spec.kept_as)
    if spec.method == "ivfpq":
        return IvfSpec(pq=spec.pq, lists=spec.lists, probes=spec.probes, refine=spec.refine, keep=spec.keep)
    return HnswSpec(storage="float16", m=spec.degree // 2, ef=spec.ef, refine=spec.refine, keep=spec.keep)


def _on_gpus(spec: GpuSpec, on_cpu: TrainedIndex, devices: Sequence[int]) -> faiss.Index:
    """The index on all of its GPUs."""
    options = faiss.GpuMultipleClonerOptions()
    options.useFloat16 = True
    options.shard = spec.spread == "sharded"
    if spec.method == "flat":
        return faiss.index_cpu_to_gpus_list(_in_full(on_cpu.kept), options, list(devices))
    searcher = on_cpu.searcher
    if spec.method == "ivfpq":
        searcher.nprobe = spec.probes  # FAISS carries it over
    return faiss.index_cpu_to_gpus_list(searcher, options, list(devices))


def _built_lists(spec: GpuSpec, kept: faiss.Index, device: int) -> faiss.Index:
    lists = max(1, min(spec.lists_for(kept.ntotal), kept.ntotal))
    quantizer = faiss.IndexFlatIP(kept.d)
    index = faiss.IndexIVFPQ(quantizer, kept.d, lists, spec.pq, _BITS, faiss.METRIC_INNER_PRODUCT)
    index.own_fields = True
    quantizer.this.disown()
    index.do_polysemous_training = False
    index.cp.min_points_per_centroid = 1
    resources = faiss.StandardGpuResources()
    options = faiss.GpuClonerOptions()
    options.useFloat16 = True
    on_gpu = faiss.index_cpu_to_gpu(resources, device, index, options)
    random = np.random.default_rng(0)
    size = min(kept.ntotal, max(_A_CENTRE * lists, _A_CENTRE << _BITS))
    on_gpu.train(read_kept(kept, np.sort(random.choice(kept.ntotal, size, replace=False))))
    for start in range(0, kept.ntotal, BLOCK):
        on_gpu.add(read_kept(kept, np.arange(start, min(start + BLOCK, kept.ntotal))))
    return faiss.index_gpu_to_cpu(on_gpu)


def _built_graph(spec: GpuSpec, kept: faiss.Index, device: int) -> faiss.Index:
    settings = faiss.GpuIndexCagraConfig()
    settings.device = device
    settings.graph_degree = spec.degree
    settings.intermediate_graph_degree = 2 * spec.degree
    on_gpu = faiss.GpuIndexCagra(faiss.StandardGpuResources(), kept.d, faiss.METRIC_INNER_PRODUCT, settings)
    on_gpu.train(read_kept(kept, np.arange(kept.ntotal)))
    return faiss.index_gpu_to_cpu(on_gpu)


def _in_full(kept: faiss.Index) -> faiss.Index:
    """As an index of float32, from which alone FAISS makes a flat one on a GPU (there in float16)."""
    if isinstance(kept, faiss.IndexFlatIP):
        return kept
    full = faiss.IndexFlatIP(kept.d)
    for start in range(0, kept.ntotal, BLOCK):
        full.add(read_kept(kept, np.arange(start, min(start + BLOCK, kept.ntotal))))
    return full


def _reason(error: RuntimeError) -> str:
    """FAISS's own words, without the place in its source."""
    return str(error).rsplit(": ", 1)[-1].strip()
