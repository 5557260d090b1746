from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.engines import (
    EngineSpec,
    FlatSpec,
    GpuSpec,
    HnswSpec,
    InvalidEngineSpec,
    IvfSpec,
    MilvusSpec,
    build,
    parse_spec,
    spec_from_json,
    spec_text,
)

TEXTS: list[tuple[str, EngineSpec]] = [
    ("flat", FlatSpec()),
    ("flat,float16", FlatSpec(storage="float16")),
    ("ivf,sq8,lists=1024,probes=8", IvfSpec(storage="sq8", lists=1024, probes=8)),
    ("ivf,pq=64,refine", IvfSpec(pq=64, refine=16)),
    ("ivf, sq8, refine, keep=float32", IvfSpec(storage="sq8", refine=2, keep="float32")),
    ("hnsw,m=32,ef=64", HnswSpec(m=32, ef=64)),
    ("hnsw,pca=256,sq8,refine", HnswSpec(pca=256, storage="sq8", refine=2)),
    ("milvus", MilvusSpec()),
    ("milvus,hnsw,ef=128", MilvusSpec(method="hnsw", ef=128)),
    ("gpu,ivfpq,sharded,devices=0+2", GpuSpec(method="ivfpq", spread="sharded", devices=(0, 2))),
]


@pytest.mark.parametrize(("text", "spec"), TEXTS)
def test_texts(text: str, spec: EngineSpec) -> None:
    assert parse_spec(text) == spec


small = st.integers(1, 64)
specs = st.one_of(
    st.builds(FlatSpec, storage=st.sampled_from(["float32", "float16"])),
    st.builds(FlatSpec, storage=st.just("sq8"), refine=small, keep=st.sampled_from(["float16", "float32", None])),
    st.builds(
        IvfSpec, storage=st.sampled_from(["float16", "sq8"]), lists=st.none() | small, probes=small, refine=small
    ),
    st.builds(IvfSpec, pq=small, pca=st.none() | small, refine=small),
    st.builds(HnswSpec, storage=st.sampled_from(["float32", "float16", "sq8"]), pca=small, refine=small),
    st.builds(HnswSpec, m=st.integers(2, 64), construction=st.integers(4, 64), ef=small),
    st.builds(GpuSpec, method=st.sampled_from(["flat", "ivfpq"]), spread=st.just("sharded"), devices=st.just((0, 1))),
    st.builds(GpuSpec, method=st.just("cagra"), degree=st.integers(2, 64)),
    st.builds(MilvusSpec, method=st.sampled_from(["auto", "flat"])),
    st.builds(MilvusSpec, method=st.just("hnsw"), m=st.integers(2, 64), construction=st.integers(4, 64), ef=small),
    st.builds(MilvusSpec, method=st.sampled_from(["ivf", "ivf_sq8"]), lists=st.none() | small, probes=small),
)


@given(specs)
def test_a_spec_survives_its_text_and_its_json(spec: EngineSpec) -> None:
    assert parse_spec(spec_text(spec)) == spec
    assert spec_from_json(json.loads(spec.model_dump_json())) == spec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ifv", ["'ifv'", "flat, ivf, hnsw, gpu"]),
        ("ivf,sq9", ["'sq9'", "sq8", "probes"]),
        ("flat,probes=3", ["flat has no 'probes'", "refine"]),
        ("ivf,probes=many", ["probes", "'many'", "whole number"]),
        ("ivf,probes=0", ["probes", "0", "greater than or equal to 1"]),
        ("ivf,sq8,float16", ["storage is given twice"]),
        ("ivf,sq8,pq=64", ["pq=64", "sq8", "give one"]),
        ("ivf,float32,keep=float16", ["keep=float16", "keep=float32"]),
        ("flat,refine=4", ["refine is for sq8"]),
        ("hnsw,pca=8", ["pca=8", "add refine"]),
        ("ivf,pca=0,refine", ["pca", "0", "greater than or equal to 1"]),
        ("flat,pca=8", ["flat has no 'pca'"]),
        ("ivf,keep=half", ["keep", "'half'", "float16"]),
        ("gpu,cagra,sharded", ["cagra", "replicated"]),
        ("milvus,flat,ef=9", ["flat has no ef", "nothing to set"]),
        ("milvus,diskann,m=9", ["diskann has no m", "it has ef"]),
        ("milvus,refine", ["'refine'", "diskann", "probes"]),
        ("milvus,uri=localhost", ["no 'uri'", "probes"]),
    ],
)
def test_what_is_wrong_is_named_with_what_would_do(text: str, words: list[str]) -> None:
    with pytest.raises(InvalidEngineSpec) as caught:
        parse_spec(text)
    for word in words:
        assert word in caught.value.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "annoy"}, ["annoy", "flat, ivf, hnsw, gpu and milvus"]),
        ({"lists": 3}, ["kind"]),
        ({"kind": "ivf", "nprobe": 3}, ["'nprobe'", "probes"]),
        ("ivf", ["kind"]),
    ],
)
def test_json_that_is_none(body: object, words: list[str]) -> None:
    with pytest.raises(InvalidEngineSpec) as caught:
        spec_from_json(body)
    for word in words:
        assert word in caught.value.message


def test_codes_must_divide_the_dimensions() -> None:
    with pytest.raises(InvalidEngineSpec, match=r"pq=5 makes 10 codes, which do not divide 8 .* 1, 2, 4"):
        build(parse_spec("ivf,pq=5"), 8, [(np.arange(40), np.eye(8, dtype=np.float32).repeat(5, axis=0))])


@pytest.mark.parametrize(("items", "lists"), [(0, 1), (100, 12), (10_000, 1024), (100_000, 2048), (1_000_000, 16384)])
def test_lists_follow_the_number_of_vectors(items: int, lists: int) -> None:
    """Eight times the root, as a power of two, and at least eight vectors a list."""
    assert IvfSpec().lists_for(items) == lists


def test_there_are_no_more_directions_than_dimensions() -> None:
    with pytest.raises(InvalidEngineSpec, match="hnsw: pca: got 9; these vectors have 8 dimensions"):
        build(parse_spec("hnsw,pca=9,refine"), 8, [(np.arange(8), np.eye(8, dtype=np.float32))])


@pytest.mark.parametrize("text", ["ivf", "hnsw,sq8,refine"])
def test_json_without_pca_is_what_versions_before_it_read(text: str) -> None:
    assert "pca" not in parse_spec(text).model_dump(mode="json")
