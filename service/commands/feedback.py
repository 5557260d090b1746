"""`whichone feedback`: what photos that were asked about really show."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from embedding.errors import InputError
from service.commands.adding import listed, sources_of
from service.commands.folder import opened
from service.commands.gallery import recalibrate
from service.commands.terminal import note, print_json, progress_bar, stdout
from service.feedback.schemas import FeedbackAnswer, FeedbackList
from service.feedback.service import Judged, Said
from service.gallery.words import gallery_name, label_of
from service.jobs.listing import ListedPhoto, Refusal, Showing, Source
from service.settings import Settings
from service.workspace import Workspace

__all__ = ["FeedbackRefused", "add_feedback", "judge_recognition", "list_feedback", "remove_feedback"]


class FeedbackRefused(InputError):
    """Some photos could not be used; what was said of all others counts."""

    code = "feedback_refused"


def add_feedback(
    settings: Settings, paths: Sequence[Path], *, gallery: str, label: str | None, unknown: bool, as_json: bool
) -> None:
    """Say of every photo that can be used what it shows.

    Raises:
        InputError: no photos, or a label and `unknown` both.
        NoPhotos: nothing to say something of.
        FeedbackRefused: some could not be used; they are listed on stderr.
    """
    if not paths:
        raise InputError("what is it about? Give photos, folders, zips or CSVs, or --recognition ID")
    if label is not None and unknown:
        raise InputError("give --label NAME or --unknown, not both")
    gallery_name(gallery)
    showing = Showing(None if label is None else label_of(label), unknown)
    said: list[Said] = []
    refused: list[tuple[str, Refusal]] = []
    with ExitStack() as held:
        sources = [held.enter_context(closing(source)) for source in sources_of(paths, settings)]
        listings = [listing.photos for listing in listed(sources, showing)]
        photos = [(source, photo) for source, found in zip(sources, listings, strict=True) for photo in found]
        with opened(settings) as workspace, progress_bar() as progress:
            for done, (source, photo) in enumerate(photos, 1):
                answer = _say(workspace, gallery, source, photo)
                if isinstance(answer, Said):
                    said.append(answer)
                else:
                    refused.append((photo.name, answer))
                progress("looking at photos", done, len(photos))
            if said:
                recalibrate(workspace, gallery)
            judged = workspace.feedback.all(gallery)
    for name, refusal in refused:
        note(f"not used: {name}: {refusal.message}")
    if as_json:
        answers = [FeedbackAnswer.of(one).model_dump(mode="json") for one in said]
        print_json({"feedback": answers, "refused": [{"path": name, "code": why.code} for name, why in refused]})
    else:
        stdout().print(f"{len(said)} photo(s) judged; {_standing(judged)}", markup=False)
    if refused:
        raise FeedbackRefused(f"{len(refused)} of {len(photos)} photo(s) could not be used; see above")


def judge_recognition(
    settings: Settings,
    recognition: str,
    paths: Sequence[Path],
    *,
    gallery: str,
    label: str | None,
    unknown: bool,
    as_json: bool,
) -> None:
    """Say what an answered question showed.

    Raises:
        InputError: photos as well, neither a label nor `unknown`, or both.
        UnknownRecognition: it is not kept, or no longer.
    """
    if paths:
        raise InputError("give photos or --recognition ID, not both")
    if (label is not None) == unknown:
        raise InputError(f"feedback needs --label NAME, or --unknown; {'both' if unknown else 'neither'} came")
    with opened(settings) as workspace:
        said = workspace.feedback.about_recognition(gallery, recognition, label)
        recalibrate(workspace, gallery)
        judged = workspace.feedback.all(gallery)
    if as_json:
        print_json(FeedbackAnswer.of(said).model_dump(mode="json"))
    else:
        stdout().print(_standing(judged), markup=False)


def list_feedback(settings: Settings, *, gallery: str, as_json: bool) -> None:
    """What was said of a gallery's answers, newest first."""
    with opened(settings) as workspace:
        judged = workspace.feedback.all(gallery)
    if as_json:
        print_json({"gallery": gallery, **FeedbackList.of(judged).model_dump(mode="json")})
        return
    table = Table("id", "shows", "in the gallery", "said", "sha256", "box")
    for said in judged.said:
        row = said.row
        shows = "[dim]nothing with a name[/dim]" if row.label is None else escape(row.label)
        moment = row.created_at.isoformat()[:19]
        held = "this very photo" if said.enrolled else "yes" if said.known else "no"
        table.add_row(row.id, shows, held, moment, row.image_sha256[:12], row.box)
    stdout().print(table)
    stdout().print(f"gallery {gallery}: {_standing(judged)}", markup=False)


def remove_feedback(settings: Settings, id_: str, *, gallery: str, as_json: bool) -> None:
    """Take a word back.

    Raises:
        UnknownFeedback: there is none of this id.
    """
    with opened(settings) as workspace:
        workspace.feedback.remove(gallery, id_)
        recalibrate(workspace, gallery)
    if as_json:
        print_json({"removed": id_})
    else:
        stdout().print(f"feedback {id_} is removed", markup=False)


def _say(workspace: Workspace, gallery: str, source: Source, photo: ListedPhoto) -> Said | Refusal:
    if photo.refusal is not None:
        return photo.refusal
    try:
        return workspace.feedback.about_photo(gallery, source.read(photo), photo.label)
    except InputError as error:
        return Refusal.of(error)


def _standing(judged: Judged) -> str:
    """How much was said, and what comes of it."""
    so_far = f"{judged.known} of known things and {judged.unknown} of others so far"
    if judged.known >= judged.needed:
        return f"{so_far}: the gallery is calibrated on them"
    return f"{so_far}: from {judged.needed} of known things on, the gallery is calibrated on them"
