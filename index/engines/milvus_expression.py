"""A selection in Milvus's own words: boolean expressions over numbers, each of bounded length."""

from __future__ import annotations

from collections.abc import Iterator

from index.engines.protocol import Mask, Numbers

__all__ = ["EVERYTHING", "expressions", "is_one_of"]

EVERYTHING = ""

_MOST_LISTED = 20_000
"""Numbers in one expression: up to 400 kB of text, which a server parses in milliseconds."""


def is_one_of(field: str, numbers: Numbers) -> str:
    """That `field` is one of these."""
    return f"{field} in {numbers.tolist()}"


def expressions(field: str, numbers: Numbers, selected: Mask, most: int = _MOST_LISTED) -> list[str]:
    """Expressions that together are true of the selected numbers, each number by one of them at most.

    Whichever are fewer are listed, the selected or the others; where those are many, in several expressions.

    Args:
        field: that holds the numbers.
        numbers: (n,), ascending, all there are.
        selected: (n,).
        most: numbers in one expression.
    """
    listed, others = numbers[selected], numbers[~selected]
    if len(others) == 0:
        return [EVERYTHING]
    if len(listed) <= len(others):
        return [is_one_of(field, listed[start : start + most]) for start in range(0, len(listed), most)]
    return list(_all_but(field, others, most))


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
