"""A data folder, opened: everything that server and command do, without HTTP.

The command uses it directly, also while a server runs on the same folder (they meet in the database):

    with open_workspace(Settings.load(data=folder)) as workspace:
        workspace.enrol("arabica-500g", [Path("a.jpg"), Path("b.jpg")])     # durable when it returns
        recognition = workspace.recognize(Path("query.jpg"))                # .answer.verdict, .timing
        workspace.gallery.page("default", ItemFilter(label="arabica-500g")) # items, paged
        workspace.gallery.delete("default", item_id)                        # or .delete_label, .rename_label, .change
        workspace.galleries.publish("default")                              # `index build`: a new generation
        workspace.verify("default")                                         # `index verify`: files, photos, database
        workspace.galleries.rollback("default")                             # `index rollback`
        workspace.feature_refresh.run("default")                            # `index refresh`
        workspace.feedback.about_photo("default", photo, "arabica-500g")    # `feedback add`
        key = workspace.keys.create("phone", ["recognize"])                 # `keys create`; also .list, .revoke

Every error is a `WhichoneError`. The model is loaded at its first use, so verbs that need none are quick.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from embedding.images import Box, ImageLimits
from index.background import Background
from index.engines import use_milvus
from index.filter import Filter
from index.generation import Checked
from index.search_inside import Search
from index.verification import Verifier, verifier_named
from service.audit.service import AuditService
from service.database import Database
from service.errors import FieldInvalid, PhotoLost
from service.feedback.kept import KeptQueries
from service.feedback.service import Feedback
from service.gallery.enrolment import Enrolled, Enrolment, PhotoSource
from service.gallery.exporting import Export
from service.gallery.galleries import DEFAULT_GALLERY, Galleries
from service.gallery.importing import Import
from service.gallery.item_repository import ItemFilter
from service.gallery.model import Model
from service.gallery.pins import PinAnswer, Pins
from service.gallery.refresh import FeatureRefresh
from service.gallery.repository import GalleryRepository
from service.gallery.service import GalleryService
from service.jobs.service import Jobs
from service.keys.service import KeyService
from service.photo_embedding import PhotoEmbedder
from service.photos import PhotoStore
from service.recognition.replay import ReplayService
from service.recognition.service import Recognition, RecognitionService
from service.settings import Settings
from service.turns import Turns

__all__ = ["Verification", "Workspace", "open_workspace"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What `Workspace.verify` found in order, the ids of items whose photo is not, and how pins are answered now."""

    generations: list[Checked]
    items: int
    lost_photos: list[str]
    pins: list[PinAnswer]


@dataclass(frozen=True, slots=True)
class _File:
    """A photo on disk, as a source for enrolment."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise FieldInvalid(f"{self.path} cannot be read: {error.strerror}", path=str(self.path)) from error


@dataclass(frozen=True, slots=True)
class _Bytes:
    """A photo in memory, as a source for enrolment."""

    data: bytes
    name: str = "photo"

    def read(self) -> bytes:
        return self.data


Photo = Path | bytes | PhotoSource


def _source(photo: Photo) -> PhotoSource:
    if isinstance(photo, Path):
        return _File(photo)
    return _Bytes(photo) if isinstance(photo, bytes) else photo


class Workspace:
    """Services over one data folder. Make one with `open_workspace`. Thread-safe once `start` was called."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        if settings.milvus_uri is not None:
            token = settings.milvus_token
            use_milvus(settings.milvus_uri.get_secret_value(), "" if token is None else token.get_secret_value())
        self.started = False
        self.database = Database(settings)
        self.photos = PhotoStore(settings.data / "photos")
        self.keys = KeyService(self.database)
        self.audit = AuditService(self.database)
        self.jobs = Jobs(self.database, settings)
        self.pins = Pins(self.database, self.photos, lambda: self.embedder)
        self.gallery = GalleryService(self.database, self.photos, lambda: self.verifier.method)

    def prepare(self) -> None:
        """Make folders and tables, or bring them up to date; several processes may do so at once."""
        self.settings.data.mkdir(parents=True, exist_ok=True)
        self.database.migrate()
        self.photos.prepare()
        with self.database.read() as session:
            known = GalleryRepository(session).by_name(DEFAULT_GALLERY) is not None
        if not known:
            with self.database.write() as session:
                GalleryRepository(session).create(
                    DEFAULT_GALLERY, bundle_sha256=self.bundle.sha256, far_budget=self.settings.far_budget
                )

    def start(self) -> None:
        """Load the model and every gallery, so that what cannot be served is known before the first request.

        Raises:
            BundleError, DeviceUnavailable, BundleMismatch, GenerationCorrupt, GenerationMismatch.
        """
        self._adopt_bundle()
        self.embedder.embedder.warm_up()
        _ = self.recognition, self.enrolment
        self.galleries.load_all()
        self.started = True

    def close(self) -> None:
        """Give the database's connections back."""
        self.database.close()

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle of the settings; its files are verified when it is opened."""
        return Bundle.open(self.settings.bundle)

    @cached_property
    def model(self) -> Model:
        """What replicas need of the bundle."""
        return Model(
            self.bundle.id,
            self.bundle.sha256,
            self.bundle.manifest.dim,
            Background.of(self.bundle),
            self.settings.pipeline,
            self.verifier,
        )

    @cached_property
    def turns(self) -> Turns:
        """Who computes next: every photo's heavy steps take turns."""
        return Turns(self.settings.concurrency)

    @cached_property
    def embedder(self) -> PhotoEmbedder:
        """The model, loaded on the settings' device."""
        settings = self.settings
        limits = ImageLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_pixels)
        embedder = Embedder(self.bundle, device=settings.device, threads=settings.threads)
        keep_features = settings.verification != "off"
        return PhotoEmbedder(embedder, limits, verifier=self.verifier, turns=self.turns, keep_features=keep_features)

    @cached_property
    def verifier(self) -> Verifier:
        """The settings' own; its networks, if it has some, on their device."""
        settings = self.settings
        return verifier_named(
            settings.verifier, settings.local_features, device=settings.device, threads=settings.threads
        )

    @cached_property
    def galleries(self) -> Galleries:
        """Replicas, calibrations, generations."""
        return Galleries(
            self.database,
            self.model,
            self.settings.data / "galleries",
            pins=self.pins,
            keep=self.settings.keep_generations,
        )

    @cached_property
    def recognition(self) -> RecognitionService:
        """Photo in, verdict out."""
        return RecognitionService(self.galleries, self.embedder, self.kept_queries)

    @cached_property
    def kept_queries(self) -> KeptQueries:
        """What was asked lately, where the settings keep it."""
        return KeptQueries(self.database, self.bundle.sha256, self.settings.keep_queries)

    @cached_property
    def feedback(self) -> Feedback:
        """What people say about answers."""
        verifies = self.settings.verification != "off"
        return Feedback(self.database, self.model, lambda: self.embedder, self.kept_queries, verifies=verifies)

    @cached_property
    def replay(self) -> ReplayService:
        """Receipts against the galleries that gave them."""
        return ReplayService(self.galleries, self.model)

    @cached_property
    def enrolment(self) -> Enrolment:
        """Photos into galleries."""
        return Enrolment(
            database=self.database,
            photos=self.photos,
            embedder=self.embedder,
            model=self.model,
            far_budget=self.settings.far_budget,
            side_by_side=self.settings.concurrency,
        )

    @property
    def exporting(self) -> Export:
        """Generations into files."""
        return Export(self.database, self.photos, self.settings.data / "galleries")

    @cached_property
    def importing(self) -> Import:
        """Galleries from such files."""
        settings = self.settings
        return Import(
            self.database, self.photos, self.model, data=settings.data, max_metadata=settings.max_metadata_bytes
        )

    @cached_property
    def feature_refresh(self) -> FeatureRefresh:
        """Local features for items that have none of the settings' verifier."""
        return FeatureRefresh(self.database, self.photos, self.embedder, self.verifier.method)

    def enrol(
        self,
        label: str | None,
        photos: Sequence[Photo],
        *,
        gallery: str = DEFAULT_GALLERY,
        external_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> list[Enrolled]:
        """Add photos (paths, bytes, or sources) to a gallery; label None makes them distractors. All of them, or none.

        Raises: see `Enrolment.enrol`; FieldInvalid for a file that cannot be read.
        """
        sources = [_source(photo) for photo in photos]
        return self.enrolment.enrol(gallery, label, sources, external_id=external_id, metadata=metadata)

    def recognize(
        self,
        photo: Photo,
        *,
        gallery: str = DEFAULT_GALLERY,
        box: Box | None = None,
        top_k: int = 5,
        explain: bool = False,
        search: Search = "whole",
        wanted: Filter | None = None,
    ) -> Recognition:
        """Ask about one photo; `explain` for a receipt, `search` for a look at its parts, `wanted` for a part of the
        gallery.

        Raises: see `RecognitionService.recognize`; FieldInvalid for a file that cannot be read.
        """
        data = _source(photo).read()
        return self.recognition.recognize(
            gallery, data, box=box, top_k=top_k, explain=explain, search=search, wanted=wanted
        )

    def verify(self, gallery: str = DEFAULT_GALLERY) -> Verification:
        """Check a gallery's generations, its photos against their sha256, and its pins; and clear photo files that
        nothing refers to.

        Raises:
            UnknownGallery; GenerationCorrupt, GenerationMismatch, RecallLost: see `Galleries.verify`.
        """
        generations = self.galleries.verify(gallery)
        items, lost, after = 0, [], 0
        while True:
            page = self.gallery.page(gallery, ItemFilter(), after=after, limit=500)
            for item in page.items:
                items += 1
                try:
                    self.photos.read(item.image_sha256)
                except PhotoLost:
                    lost.append(item.id)
            if page.after is None:
                break
            after = page.after
        self.gallery.discard_orphans()
        return Verification(generations, items, lost, self.galleries.pin_answers(gallery))

    def _adopt_bundle(self) -> None:
        """A gallery that holds nothing yet goes with whatever bundle is loaded."""
        with self.database.write() as session:
            repository = GalleryRepository(session)
            for row in repository.all():
                if row.bundle_sha256 != self.bundle.sha256 and not row.generation and repository.is_empty(row):
                    row.bundle_sha256 = self.bundle.sha256


@contextmanager
def open_workspace(settings: Settings) -> Iterator[Workspace]:
    """A workspace on the settings' data folder, made ready, closed at the end."""
    workspace = Workspace(settings)
    try:
        workspace.prepare()
        yield workspace
    finally:
        workspace.close()
