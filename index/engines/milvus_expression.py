"""A selection in Milvus's own words: boolean expressions over numbers, each of bounded length."""

from __future__ import annotations

from collections.abc import Iterator

from index.engines.protocol import Numbers

__all__ = ["EVERYTHING", "expressions", "is_one_of"]

EVERYTHING = ""

_MOST_LISTED = 20_000
"""Numbers in one expression: up to 400 kB of text, which a server parses in milliseconds."""


def is_one_of(field: str, numbers: Numbers) -> str:
    """That `field` is one of these."""
    return f"{field} in {numbers.tolist()}"


def expressions(field: str, listed: Numbers, *, inverted: bool, most: int = _MOST_LISTED) -> list[str]:
    """Expressions that together are true of the listed numbers, or of all others, each number by one of them at most.

    Args:
        field: that holds the numbers.
        listed: (m,), ascending.
        inverted: whether all others are meant.
        most: numbers in one expression; more make several.
    """
    if inverted:
        return list(_all_but(field, listed, most)) or [EVERYTHING]
    return [is_one_of(field, listed[start : start + most]) for start in range(0, len(listed), most)]


def _all_but(field: str, others: Numbers, most: int) -> Iterator[str]:
    """The range up to the last of each part, without that part; and at last all that is above."""
    below = None
    for start in range(0, len(others), most):
        part = others[start : start + most]
        above = part[-1] if start + most < len(others) else None
        bounds = [f"{field} > {below} and "] if below is not None else []
        if above is not None:
            bounds.append(f"{field} <= {above} and ")
        yield f"{''.join(bounds)}{field} not in {part.tolist()}"
        below = above
