"""What came of a query, and of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from index.verdict import Verdict
from service.demo.queries import Query

__all__ = ["Outcome", "summary", "summary_line"]


@dataclass(frozen=True)
class Outcome:
    """A query and its verdict."""

    query: Query
    verdict: Verdict

    @property
    def right(self) -> bool:
        """Named rightly, or, for a stranger, called unknown outright."""
        if self.query.known:
            return self.verdict.label == self.query.shows
        return self.verdict.verdict == "unknown"

    def to_json(self) -> dict[str, Any]:
        query, verdict = self.query, self.verdict
        return {
            "photo": str(query.path),
            "kind": query.kind,
            "shows": query.shows,
            "known": query.known,
            "right": self.right,
            **verdict.to_json(),
        }


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Counts: of known things and of strangers, real and simulated."""
    return {
        group: {
            kind: {
                "asked": len(
                    chosen := [one for one in outcomes if one.query.known is known and one.query.kind == kind]
                ),
                "right": sum(one.right for one in chosen),
                "named_wrongly": sum(one.verdict.label not in (None, one.query.truth) for one in chosen),
            }
            for kind in ("real", "simulated")
        }
        for group, known in (("known", True), ("strangers", False))
    }


def summary_line(outcomes: Sequence[Outcome]) -> str:
    """The same as a sentence or two."""
    counted = summary(outcomes)
    parts = []
    for group, title, word in (("known", "Known things", "named rightly"), ("strangers", "Strangers", "unknown")):
        kinds = counted[group]
        asked = sum(kind["asked"] for kind in kinds.values())
        right = sum(kind["right"] for kind in kinds.values())
        wrongly = sum(kind["named_wrongly"] for kind in kinds.values())
        if not asked:
            continue
        split = ", ".join(f"{name} {kind['right']} of {kind['asked']}" for name, kind in kinds.items() if kind["asked"])
        text = f"{title}: {right} of {asked} {word} ({split})"
        parts.append(text + (f"; {wrongly} given a wrong name." if wrongly else "; none given a wrong name."))
    return " ".join(parts)
