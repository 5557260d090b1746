"""What can go wrong with a choice of engine."""

from __future__ import annotations

from embedding.errors import InputError
from index.errors import GalleryError

__all__ = ["EngineUnavailable", "InvalidEngineSpec", "MergeUnderWay", "NumbersOutOfOrder"]


class InvalidEngineSpec(InputError):
    """An engine was asked for that is none, or that does not fit the vectors."""

    code = "invalid_engine"


class NumbersOutOfOrder(GalleryError):
    """An engine was to be built from blocks whose numbers do not ascend, or from blocks of uneven shapes."""

    code = "numbers_out_of_order"


class MergeUnderWay(GalleryError):
    """A merge was asked for while another one runs."""

    code = "merge_under_way"


class EngineUnavailable(GalleryError):
    """An engine that is a server of its own does not answer, or nobody said where it is."""

    code = "engine_unavailable"
