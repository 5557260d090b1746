"""The table of items: arrays from a generation, and changes over them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.items import ItemTable, ListedItems

NUMBERS = st.integers(0, 30)
LABELS = st.sampled_from("abcde")


def listed(items: dict[int, str]) -> ListedItems:
    names = sorted(set(items.values()))
    numbers = sorted(items)
    return ListedItems(
        np.array(numbers, np.int64),
        np.array([f"id{number}".encode() for number in numbers] or [], "S8"),
        np.array([names.index(items[number]) for number in numbers], np.int64),
        names,
    )


@given(
    start=st.dictionaries(NUMBERS, LABELS),
    changes=st.lists(st.tuples(NUMBERS, LABELS | st.none()), max_size=30),
)
def test_any_changes_over_a_list_give_what_a_dictionary_would(
    start: dict[int, str], changes: list[tuple[int, str | None]]
) -> None:
    table, model = ItemTable(listed(start)), dict(start)
    for number, label in changes:
        if label is None:
            table.discard(number)
            model.pop(number, None)
        else:
            table.put(number, f"id{number}", label)
            model[number] = label
    assert len(table) == len(model)
    assert table.count_labels() == len(set(model.values()))
    for label in "abcde":
        numbers = sorted(number for number in model if model[number] == label)
        np.testing.assert_array_equal(table.of_label(label), np.array(numbers, np.int64))
        assert table.labels()[label] == len(numbers)
    for number in range(31):
        assert (number in table) == (number in model)
        if number in model:
            assert (table.id(number), table.label(number)) == (f"id{number}", model[number])
        else:
            with pytest.raises(KeyError):
                table.label(number)
    assert table.labels_of(range(31)) == list(dict.fromkeys(model[number] for number in sorted(model)))
