"""The directions in which vectors are longest: along those alone, most of every inner product is there.

Embeddings vary in few directions. The leading right singular vectors of a sample keep more of its inner products than
any other directions, as many (Eckart and Young, 1936). Nothing is centred, as principal components would be: that would
change inner products, each by something else.
"""

from __future__ import annotations

import faiss
import numpy as np

from index.engines.protocol import Vectors

__all__ = ["leading_directions", "leading_share", "transformed", "within"]

_SEED = 20_240_501


def leading_directions(sample: Vectors, count: int, *, mixed: bool = False) -> faiss.LinearTransform:
    """From d dimensions to the `count` <= d leading ones of `sample` (n, d), n >= 1; lengths and angles in those stay.

    Args:
        mixed: turn them by chance among themselves, so that all vary alike, as codes of equal size want it (Jégou and
            others, 2010).
    """
    dim = sample.shape[1]
    # Eigenvectors of d x d values take a hundredth of the time of the decomposition of n x d, and come least first.
    directions = np.linalg.eigh(sample.T @ sample)[1][:, ::-1][:, :count].T
    if mixed:
        rotation = faiss.RandomRotationMatrix(count, count)
        rotation.init(_SEED)
        directions = faiss.vector_to_array(rotation.A).reshape(count, count) @ directions
    transform = faiss.LinearTransform(dim, count, False)
    faiss.copy_array_to_vector(np.ascontiguousarray(directions, np.float32).ravel(), transform.A)
    transform.is_trained = True
    return transform


def leading_share(sample: Vectors, count: int) -> float:
    """How much of the squared lengths of `sample` (n, d) lies in its `count` leading directions, 0..1."""
    along = np.linalg.eigvalsh(sample.T @ sample)[::-1]
    return float(along[:count].sum() / along.sum())


def transformed(transform: faiss.LinearTransform, index: faiss.Index) -> faiss.IndexPreTransform:
    """An index of what `transform` makes of vectors; it owns both."""
    both = faiss.IndexPreTransform(transform, index)
    for part in (transform, index):
        part.this.disown()
    both.own_fields = True
    return both


def within(index: faiss.Index) -> faiss.Index:
    """What `transformed` was given; another index as it is."""
    return faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
