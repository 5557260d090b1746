"""Vector search engines behind one small protocol. The only package that imports FAISS or pymilvus."""

from index.engines.building import announce, build, discard, open_index
from index.engines.errors import EngineUnavailable, InvalidEngineSpec, MergeUnderWay, NumbersOutOfOrder
from index.engines.fields import ItemFields
from index.engines.flat import FlatIndex
from index.engines.milvus import MilvusIndex
from index.engines.milvus_server import use_milvus
from index.engines.overlay import OverlayIndex
from index.engines.probe import effort_of, least_effort, recall
from index.engines.protocol import IndexStats, VectorIndex
from index.engines.selection import Selection
from index.engines.spec import EngineSpec, FlatSpec, GpuSpec, HnswSpec, IvfSpec, MilvusSpec, spec_from_json
from index.engines.spec_text import parse_spec, spec_text
from index.engines.trained import TrainedIndex

__all__ = [
    "EngineSpec",
    "EngineUnavailable",
    "FlatIndex",
    "FlatSpec",
    "GpuSpec",
    "HnswSpec",
    "IndexStats",
    "InvalidEngineSpec",
    "ItemFields",
    "IvfSpec",
    "MergeUnderWay",
    "MilvusIndex",
    "MilvusSpec",
    "NumbersOutOfOrder",
    "OverlayIndex",
    "Selection",
    "TrainedIndex",
    "VectorIndex",
    "announce",
    "build",
    "discard",
    "effort_of",
    "least_effort",
    "open_index",
    "parse_spec",
    "recall",
    "spec_from_json",
    "spec_text",
    "use_milvus",
]
