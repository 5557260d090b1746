"""The GPU engine; what needs one skips where there is none."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from embedding.errors import DeviceUnavailable
from index.engines import OverlayIndex, build, open_index, parse_spec, recall
from index.engines.gpu import GpuIndex, open_on_cpu
from index.engines.spec import GpuSpec
from tests.index.engines.worlds import clustered, in_blocks

HAS_GPU = hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0
needs_gpu = pytest.mark.skipif(not HAS_GPU, reason="needs a GPU and a FAISS built for it")


@pytest.mark.skipif(HAS_GPU, reason="says what happens without a GPU")
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(DeviceUnavailable, match="flat, ivf or hnsw"):
        build(parse_spec("gpu"), 8, [])
    with pytest.raises(DeviceUnavailable, match="flat, ivf or hnsw"):
        open_index(tmp_path / "none.faiss", parse_spec("gpu"))


@pytest.mark.parametrize("text", ["gpu,ivfpq,pq=8,refine", "gpu"])
def test_what_a_gpu_built_a_cpu_serves(text: str, tmp_path: Path) -> None:
    """The files are FAISS's own CPU indexes, so one made on the CPU stands for them here."""
    vectors, queries = np.split(clustered(1_100, 32, seed=2), [1_000])
    spec = parse_spec(text)
    assert isinstance(spec, GpuSpec)
    build(parse_spec("flat,float16"), 32, in_blocks(dict(enumerate(vectors)))).save(tmp_path / "index.faiss")
    if spec.method == "ivfpq":
        (tmp_path / "index.faiss").rename(tmp_path / "index.faiss.vectors")
        lists = faiss.index_factory(32, "IVF8,PQ8", faiss.METRIC_INNER_PRODUCT)
        lists.pq.cp.min_points_per_centroid = lists.cp.min_points_per_centroid = 1
        lists.pq.cp.niter = 2
        lists.do_polysemous_training = False  # slow
        lists.train(vectors)
        lists.add(vectors)
        faiss.write_index(lists, str(tmp_path / "index.faiss"))
    opened = open_on_cpu(tmp_path / "index.faiss", spec)
    truth = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    assert recall(opened.search(queries, 10)[1], truth) >= 0.95


METHODS = ["gpu", "gpu,refine", "gpu,ivfpq,pq=16,refine=32", "gpu,cagra,degree=32,refine"]


@needs_gpu
@pytest.mark.parametrize("text", METHODS)
def test_built_on_a_gpu_changed_saved_and_served_by_both(text: str, tmp_path: Path) -> None:
    if "cagra" in text and not hasattr(faiss, "GpuIndexCagra"):
        pytest.skip("needs FAISS's cuVS build")
    vectors, queries = np.split(clustered(12_200, 64, seed=2), [12_000])
    spec = parse_spec(text)
    assert isinstance(spec, GpuSpec)
    built = build(spec, 64, in_blocks(dict(enumerate(vectors)), 5_000))
    built.save(tmp_path / "index.faiss")
    on_gpu, on_cpu = open_index(tmp_path / "index.faiss", spec), open_on_cpu(tmp_path / "index.faiss", spec)
    assert isinstance(on_gpu, GpuIndex)
    kept = np.arange(500, 12_000)
    truth = kept[np.argsort(-(queries @ vectors[kept].T), axis=1)[:, :10]]
    for index in map(OverlayIndex, (built, on_gpu, on_cpu)):
        index.remove(range(500))
        assert recall(index.search(queries, 10)[1], truth) >= 0.95
