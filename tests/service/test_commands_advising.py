"""Wishes as a person types them."""

from __future__ import annotations

import pytest

from index.advice import Wish
from service.commands.advising import wish_of
from service.errors import FieldInvalid


def test_wishes_in_numbers() -> None:
    assert wish_of("5e6", "8G", "10ms", 0.99, there=3) == Wish(5_000_000, 8 << 30, 10.0, 0.99)
    assert wish_of("2,000", "1500000", "0.5s", 1.0, there=3) == Wish(2000, 1_500_000, 500.0, 1.0)
    assert wish_of(None, None, None, 0.9, there=3) == Wish(3, None, None, 0.9)


@pytest.mark.parametrize(
    ("items", "memory", "p95", "recall", "said"),
    [
        ("many", None, None, 0.9, "--items: came 'many'"),
        ("-3", None, None, 0.9, "--items"),
        (None, "big", None, 0.9, "--memory: came 'big'; bytes would do"),
        (None, None, "soon", 0.9, "--p95: came 'soon'"),
        (None, None, "0ms", 0.9, "--p95"),
        (None, None, None, 1.5, "--recall: came 1.5"),
    ],
)
def test_a_wish_that_is_none_is_named(
    items: str | None, memory: str | None, p95: str | None, recall: float, said: str
) -> None:
    with pytest.raises(FieldInvalid, match=said):
        wish_of(items, memory, p95, recall, there=3)
