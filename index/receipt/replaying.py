"""Making a verdict again from the gallery, and comparing the two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from embedding.quality import Defect
from index.engines import Selection
from index.promotion import promote_by_evidence
from index.receipt.checking import defect_of_receipt, evidence_by_label, same
from index.receipt.document import About, Receipt
from index.receipt.making import FEWEST_LABELS, build
from index.recognizer import Local, Ranked, Recognizer
from index.verdict import DIGITS

__all__ = ["differences", "replay"]


def replay(
    recognizer: Recognizer,
    receipt: Receipt,
    *,
    about: About,
    embedding: NDArray[np.float32] | None = None,
    local: Local = None,
    defect: Defect | None = None,
    within: Selection | None = None,
) -> Receipt:
    """The receipt that the gallery gives for the same query.

    Without the photo, what verification found and what is wrong with the photo are taken from the receipt, and all else
    is computed anew.

    Args:
        about: the gallery as it is now.
        embedding: (d,) of the photo itself, where it is at hand; else the receipt's.
        local: its local features.
        defect: what is wrong with it.
        within: what the receipt's filter selects now.
    """
    most = max(len(receipt.labels), FEWEST_LABELS)
    if embedding is not None:
        traced = recognizer.trace(embedding, local=local, defect=defect, top_k=most, within=within)
        return build(recognizer, embedding, traced, about=about, defect=defect, top_k=most)
    defect = defect_of_receipt(receipt)
    ranked = _verified_as_before(recognizer, receipt, within)
    traced = recognizer.conclude(ranked, defect=defect, top_k=most)
    again = build(recognizer, receipt.vector, traced, about=about, defect=defect, top_k=most)
    return again.model_copy(update={"verified": receipt.verified})


def _verified_as_before(recognizer: Recognizer, receipt: Receipt, within: Selection | None) -> Ranked | None:
    ranked = recognizer.ranked(receipt.vector, within=within)
    if ranked is None:
        return None
    settings, evidence = recognizer.pipeline.verification, evidence_by_label(receipt)
    return replace(ranked, labels=promote_by_evidence(ranked.labels, evidence, settings.weight, settings.presence))


def differences(one: Receipt, other: Receipt) -> list[str]:
    """In what two receipts' verdicts and labels differ, as sentences; explanations and matched points do not count.

    Numbers are compared to the digits that an answer has: finer ones are float noise, and differ between machines.
    """
    found = _changed("", one.decision, other.decision, ("verdict", "reason", "label", "defect", "far_budget"))
    found += _changed("", one.decision, other.decision, ("confidence", "threshold"))
    if len(one.labels) != len(other.labels):
        found.append(f"labels: {len(one.labels)}, and now {len(other.labels)}")
    for at, (before, now) in enumerate(zip(one.labels, other.labels, strict=False), 1):
        if before.label != now.label:
            found.append(f"label {at}: {before.label!r}, and now {now.label!r}")
        else:
            measures = ("score", "margin", "penalty", "share", "match_evidence", "confidence")
            found += _changed(f" of {before.label!r}", before, now, measures)
    return found


def _changed(where: str, one: object, other: object, names: tuple[str, ...]) -> list[str]:
    pairs = [(name, getattr(one, name), getattr(other, name)) for name in names]
    return [
        f"{name}{where}: {_shown(before)}, and now {_shown(now)}"
        for name, before, now in pairs
        if not same(before, now, 10.0**-DIGITS)
    ]


def _shown(value: object) -> str:
    return f"{value:.{DIGITS}f}" if isinstance(value, float) else repr(value)
