"""Vector search engines behind one small protocol. The only package that imports FAISS."""

from index.engines.building import build, open_index
from index.engines.errors import InvalidEngineSpec, MergeUnderWay, NumbersOutOfOrder
from index.engines.flat import FlatIndex
from index.engines.overlay import OverlayIndex
from index.engines.probe import least_effort, recall
from index.engines.protocol import IndexStats, VectorIndex
from index.engines.selection import Selection
from index.engines.spec import EngineSpec, FlatSpec, GpuSpec, HnswSpec, IvfSpec, spec_from_json
from index.engines.spec_text import parse_spec, spec_text
from index.engines.trained import TrainedIndex

__all__ = [
    "EngineSpec",
    "FlatIndex",
    "FlatSpec",
    "GpuSpec",
    "HnswSpec",
    "IndexStats",
    "InvalidEngineSpec",
    "IvfSpec",
    "MergeUnderWay",
    "NumbersOutOfOrder",
    "OverlayIndex",
    "Selection",
    "TrainedIndex",
    "VectorIndex",
    "build",
    "least_effort",
    "open_index",
    "parse_spec",
    "recall",
    "spec_from_json",
    "spec_text",
]
