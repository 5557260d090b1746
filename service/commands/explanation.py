"""`whichone explain`: a verdict made again from its receipt, and, where they are at hand, from gallery and photo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from embedding.errors import InputError, WhichoneError
from embedding.images import Box, decode
from index.ranking import SAME_PHOTO
from index.receipt import Decision, Receipt, check_arithmetic
from index.verification import Match
from index.verification.drawing import draw_match
from service.commands.data_folder import NoDataFolder, require_data_folder
from service.commands.receipt_file import read_receipt
from service.commands.recognition import verdict_cell
from service.commands.terminal import note, print_json, stdout
from service.photo_embedding import EmbeddedQuery
from service.recognition.replay import Replayed
from service.settings import Settings
from service.workspace import Workspace

__all__ = ["Explanation", "explain_receipt"]

_LABELS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of a receipt.

    Attributes:
        faults: what does not add up in the receipt itself.
        replayed: what the gallery says; None where it cannot be asked.
        not_asked: why it cannot.
        photo: what is wrong with the photo that was given, or empty; None where none was.
    """

    receipt: Receipt
    faults: list[str]
    replayed: Replayed | None
    not_asked: str
    photo: str | None

    @property
    def reproduced(self) -> bool:
        """Nothing that was looked at contradicts the receipt."""
        differs = self.replayed is not None and self.replayed.same_state and bool(self.replayed.differences)
        return not (self.faults or differs or self.photo)

    def to_json(self) -> dict[str, Any]:
        replayed = self.replayed
        return {
            "reproduced": self.reproduced,
            "decision": self.receipt.decision.model_dump(mode="json"),
            "arithmetic": {"adds_up": not self.faults, "faults": self.faults},
            "gallery": {"asked": False, "reason": self.not_asked}
            if replayed is None
            else {
                "asked": True,
                "same_state": replayed.same_state,
                "where": replayed.where,
                "change": replayed.receipt.about.change,
                "differences": replayed.differences,
                "decision": replayed.receipt.decision.model_dump(mode="json"),
            },
            "photo": None if self.photo is None else {"same": not self.photo, "reason": self.photo},
        }


def explain_receipt(settings: Settings, path: Path, *, photo: Path | None, draw: Path | None, as_json: bool) -> bool:
    """Make the verdict again and tell what came of it; True if it is the same.

    Args:
        photo: the file that was asked about.
        draw: the picture to write.

    Raises:
        ReceiptInvalid: it is none. InputError: the photo cannot be read, or not be embedded as it was.
    """
    if draw is not None and photo is None:
        raise InputError("--draw shows the photo that was asked about: name it with --photo")
    receipt = read_receipt(path)
    with _opened(settings) as (workspace, why_not):
        query = None if photo is None else _embedded(workspace, receipt, photo)
        explanation = _explained(workspace, why_not, receipt, query)
        if as_json:
            print_json(explanation.to_json())
        else:
            _print(explanation)
        if draw is not None and query is not None:
            _draw(workspace, why_not, explanation, query, draw)
    return explanation.reproduced


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Workspace, str]]:
    """A workspace, and why its galleries cannot be asked; nothing is made where there is no data folder."""
    workspace = Workspace(settings)
    try:
        why_not = ""
        try:
            require_data_folder(settings)
            workspace.prepare()
        except NoDataFolder as error:
            why_not = error.message
        yield workspace, why_not
    finally:
        workspace.close()


def _embedded(workspace: Workspace, receipt: Receipt, photo: Path) -> EmbeddedQuery:
    about = receipt.about
    if about.model_sha256 != workspace.bundle.sha256:
        raise InputError(
            f"the receipt is of model {about.model} ({about.model_sha256[:12]}), but {workspace.bundle.id} "
            f"({workspace.bundle.sha256[:12]}) is loaded; set WHICHONE_BUNDLE to the folder of the receipt's"
        )
    try:
        data = photo.read_bytes()
    except OSError as error:
        raise InputError(f"{photo} cannot be read: {error.strerror}") from error
    return workspace.embedder.query(data, None if about.box is None else Box.parse(about.box))


def _explained(workspace: Workspace, why_not: str, receipt: Receipt, query: EmbeddedQuery | None) -> Explanation:
    photo = None if query is None else _photo_fault(receipt, query)
    replayed = None
    if not why_not:
        try:
            replayed = workspace.replay.replay(receipt, None if photo else query)
        except WhichoneError as error:  # no such gallery, another model, a damaged generation
            why_not = error.message
    return Explanation(receipt, check_arithmetic(receipt), replayed, why_not, photo)


def _photo_fault(receipt: Receipt, query: EmbeddedQuery) -> str:
    if query.sha256 != receipt.about.image_sha256:
        return f"it is another file: its sha256 begins {query.sha256[:12]}, not {receipt.about.image_sha256[:12]}"
    vector = receipt.vector
    if vector.shape != query.embedding.shape:
        return f"its embedding has {len(query.embedding)} numbers, the receipt's {len(vector)}"
    cosine = float(np.dot(vector, query.embedding))
    return "" if cosine >= SAME_PHOTO else f"its embedding is another one: cosine {cosine:.6f}"


# ---------------------------------------------------------------- telling


def _print(explanation: Explanation) -> None:
    receipt, console = explanation.receipt, stdout()
    about = receipt.about
    console.print(f"{_said(receipt.decision)} {escape(receipt.decision.explanation)}")
    console.print(
        f"Gallery {about.gallery} at change {about.change}, generation {about.generation or 'none'}; "
        f"model {about.model}; photo {about.image_sha256[:12]}" + (f", box {about.box}" if about.box else ""),
        markup=False,
    )
    if about.filter is not None:
        console.print(f"Asked within {about.filter.model_dump_json(exclude_defaults=True)}", markup=False)
    if receipt.labels:
        console.print(_table(receipt))
    if explanation.faults:
        console.print("[red]The receipt does not add up:[/red]")
        for fault in explanation.faults:
            console.print(f"  {fault}", markup=False)
    else:
        console.print("The receipt adds up: its own numbers give this verdict.")
    if explanation.photo is not None:
        fault = explanation.photo
        console.print(
            f"[red]The photo is not the one:[/red] {fault}" if fault else "The photo gives the same embedding."
        )
    _print_replay(explanation)


def _said(decision: Decision) -> str:
    label = f" {escape(repr(decision.label))}" if decision.label is not None else ""
    numbers = f"confidence {decision.confidence:.4f}, threshold {decision.threshold:.4f}"
    return f"[b]{verdict_cell(decision.verdict)}{label}[/b] ({decision.reason.replace('_', ' ')}; {numbers})."


def _table(receipt: Receipt) -> Table:
    """The best labels, and what each measure adds to their logits: value x weight = contribution."""
    shown = receipt.labels[:_LABELS_SHOWN]
    table = Table("", *(escape(trace.label) for trace in shown))
    for name in [term.name for term in shown[0].terms]:
        terms = [next(term for term in trace.terms if term.name == name) for trace in shown]
        cells = [f"{term.value:+.4f} x {term.weight:+.3f} = {term.contribution:+.3f}" for term in terms]
        table.add_row(name, *cells)
    if receipt.learned is not None:
        table.add_row("intercept", *[f"{receipt.learned.calibration.intercept:+.3f}"] * len(shown))
        table.add_row("logit", *(f"{trace.logit:+.3f}" for trace in shown))
    table.add_row("confidence", *(f"{trace.confidence:.4f}" for trace in shown))
    for place in range(max(len(trace.photos) for trace in shown)):
        photos = [trace.photos[place] if place < len(trace.photos) else None for trace in shown]
        cells = [
            ""
            if photo is None
            else f"{photo.id[:12]} cosine {photo.similarity:.3f}"
            + ("" if photo.inliers is None else f", {photo.inliers} places")
            for photo in photos
        ]
        table.add_row("photos" if place == 0 else "", *cells)
    return table


def _print_replay(explanation: Explanation) -> None:
    console, replayed = stdout(), explanation.replayed
    if replayed is None:
        console.print(f"The gallery was not asked: {explanation.not_asked}", markup=False)
        return
    source = "" if explanation.photo == "" else " (what verification found was taken from the receipt)"
    if replayed.same_state and not replayed.differences:
        console.print(f"The gallery gives the identical verdict{source}: {replayed.where}.", markup=False)
        return
    if replayed.same_state:
        console.print(f"[red]The gallery gives another verdict[/red] ({replayed.where}), though it is as it was:")
    else:
        console.print(
            f"The gallery has moved on, from change {explanation.receipt.about.change} to "
            f"{replayed.receipt.about.change}, and no generation holds what it was. Now it says:"
        )
    console.print(f"  {_said(replayed.receipt.decision)}")
    for difference in replayed.differences:
        console.print(f"  {difference}", markup=False)


# ---------------------------------------------------------------- drawing


def _draw(workspace: Workspace, why_not: str, explanation: Explanation, query: EmbeddedQuery, path: Path) -> None:
    """What the query has in common with the photo of the best candidate that verification found most in."""
    receipt = explanation.receipt
    if not explanation.photo and explanation.replayed is not None and explanation.replayed.same_state:
        receipt = explanation.replayed.receipt
    best = receipt.labels[0].label if receipt.labels else None
    verified = [photo for photo in receipt.verified if photo.label == best]
    if why_not or not verified:
        note(f"nothing is drawn: {why_not or 'no photo of the best candidate was verified'}")
        return
    shown = max(verified, key=lambda photo: photo.evidence)
    places = np.array(shown.points, np.float32).reshape(-1, 4)
    try:
        stored, _ = workspace.gallery.image(receipt.about.gallery, shown.id)
    except WhichoneError as error:
        note(f"nothing is drawn: {error.message}")
        return
    box = None if receipt.about.box is None else Box.parse(receipt.about.box)
    picture = draw_match(
        decode(query.photo, limits=workspace.embedder.limits, box=box),
        decode(stored, limits=workspace.embedder.limits),
        Match(places[:, :2], places[:, 2:], None),
    )
    picture.save(path)
    note(f"{path}: {len(places)} of {shown.inliers} places in common with photo {shown.id} of {shown.label!r}")
