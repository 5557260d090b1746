"""Vector search engines behind one small protocol. The only package that imports FAISS."""

from index.engines.flat import FlatIndex
from index.engines.overlay import OverlayIndex
from index.engines.protocol import VectorIndex

__all__ = ["FlatIndex", "OverlayIndex", "VectorIndex"]
