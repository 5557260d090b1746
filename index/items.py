"""A gallery's items as the index knows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Item", "ItemTable", "ListedItems"]


@dataclass(frozen=True, slots=True)
class Item:
    """One photo of a gallery, or a distractor.

    Attributes:
        number: int64 under which the vectors are kept; unique in the gallery.
        id: the public name of the item.
        label: what it shows; None for a distractor.
        embedding: (d,) float32, unit length.
        views: (v, d) float32 embeddings of simulated re-photographs of the photo; v may be 0. They are asked about
            when the gallery calibrates itself, and never searched.
        local: encoded local features (`index.verification.LocalFeatures.to_bytes`); empty for none.
    """

    number: int
    id: str
    label: str | None
    embedding: NDArray[np.float32]
    views: NDArray[np.float32]
    local: bytes = b""


@dataclass(frozen=True, slots=True)
class ListedItems:
    """Items in arrays, as a generation lists them: forty bytes each in place of several hundred.

    Attributes:
        numbers: ascending, (n,).
        ids: ASCII bytes, (n,).
        codes: of each item's label, its place among `names`, (n,).
        names: distinct labels.
    """

    numbers: NDArray[np.int64]
    ids: NDArray[np.bytes_]
    codes: NDArray[np.int64]
    names: Sequence[str]
    _by_code: NDArray[np.int64] = field(init=False)
    _starts: NDArray[np.int64] = field(init=False)
    _code_of: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        by_code = np.argsort(self.codes, kind="stable")
        object.__setattr__(self, "_by_code", by_code)
        object.__setattr__(self, "_starts", np.searchsorted(self.codes[by_code], np.arange(len(self.names) + 1)))
        object.__setattr__(self, "_code_of", {name: code for code, name in enumerate(self.names)})

    @classmethod
    def none(cls) -> ListedItems:
        """No items."""
        nothing = np.empty(0, np.int64)
        return cls(nothing, np.empty(0, "S1"), nothing, ())

    def place(self, number: int) -> int | None:
        """Where an item stands; None for one that is not listed."""
        at = int(np.searchsorted(self.numbers, number))
        return at if at < len(self.numbers) and self.numbers[at] == number else None

    def id(self, place: int) -> str:
        return bytes(self.ids[place]).decode("ascii")

    def label(self, place: int) -> str:
        return self.names[int(self.codes[place])]

    def labels_of(self, numbers: Sequence[int]) -> list[str | None]:
        """The label of each of `numbers`, None for one that is not listed: a question asks for some hundred."""
        wanted = np.asarray(numbers, np.int64)
        if len(self.numbers) == 0:
            return [None] * len(wanted)
        places = np.minimum(np.searchsorted(self.numbers, wanted), len(self.numbers) - 1)
        codes = np.where(self.numbers[places] == wanted, self.codes[places], -1)
        return [None if code < 0 else self.names[code] for code in codes.tolist()]

    def of_label(self, label: str) -> NDArray[np.int64]:
        """The numbers of a label, ascending; empty for a label that has none."""
        code = self._code_of.get(label)
        if code is None:
            return np.empty(0, np.int64)
        return self.numbers[self._by_code[self._starts[code] : self._starts[code + 1]]]

    def labels(self) -> Counter[str]:
        """Every label and how many items it has."""
        counts = zip(self.names, np.diff(self._starts).tolist(), strict=True)
        return Counter({name: count for name, count in counts if count})


class ItemTable:
    """Which number is which item, and which numbers a label has.

    Args:
        listed: items that are there from the start; what is put and discarded later lies over them.
    """

    __slots__ = ("_by_label", "_counts", "_gone", "_listed", "_rows")

    def __init__(self, listed: ListedItems | None = None) -> None:
        self._listed = ListedItems.none() if listed is None else listed
        self._gone: set[int] = set()  # listed, but discarded since, or put anew
        self._rows: dict[int, tuple[str, str]] = {}
        self._by_label: dict[str, set[int]] = {}
        self._counts = self._listed.labels()

    def __len__(self) -> int:
        return len(self._listed.numbers) - len(self._gone) + len(self._rows)

    def __contains__(self, number: int) -> bool:
        return number in self._rows or self._place(number) is not None

    def put(self, number: int, id_: str, label: str) -> None:
        """Add an item, or give one a new label."""
        self.discard(number)
        self._rows[number] = (id_, label)
        self._by_label.setdefault(label, set()).add(number)
        self._counts[label] += 1

    def discard(self, number: int) -> None:
        """Forget an item; one that is not there is passed over."""
        if number not in self:
            return
        label = self.label(number)
        self._counts[label] -= 1
        if not self._counts[label]:
            del self._counts[label]
        if number not in self._rows:
            self._gone.add(number)
            return
        del self._rows[number]
        numbers = self._by_label[label]
        numbers.discard(number)
        if not numbers:
            del self._by_label[label]

    def id(self, number: int) -> str:
        row = self._rows.get(number)
        return self._listed.id(self._held(number)) if row is None else row[0]

    def label(self, number: int) -> str:
        row = self._rows.get(number)
        return self._listed.label(self._held(number)) if row is None else row[1]

    def of_label(self, label: str) -> NDArray[np.int64]:
        """The numbers of a label, ascending; empty for a label that has none."""
        listed = self._listed.of_label(label)
        if self._gone:
            listed = np.array([number for number in listed.tolist() if number not in self._gone], np.int64)
        later = self._by_label.get(label)
        return listed if later is None else np.union1d(listed, np.fromiter(later, np.int64, len(later)))

    def labels(self) -> Counter[str]:
        """Every label and how many items it has."""
        return self._counts.copy()

    def count_labels(self) -> int:
        return len(self._counts)

    def labels_of(self, numbers: Sequence[int]) -> list[str]:
        """The distinct labels of `numbers`, in order of first appearance; numbers not held are passed over."""
        found: dict[str, None] = {}
        for number, listed in zip(numbers, self._listed.labels_of(numbers), strict=True):
            row = self._rows.get(number)
            label = row[1] if row is not None else None if number in self._gone else listed
            if label is not None:
                found[label] = None
        return list(found)

    def _place(self, number: int) -> int | None:
        return None if number in self._gone else self._listed.place(number)

    def _held(self, number: int) -> int:
        place = self._place(number)
        if place is None:
            raise KeyError(number)
        return place
