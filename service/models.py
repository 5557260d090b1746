"""The tables. The database is the truth: index generations are derived from it and can always be rebuilt.

Change numbers tie the processes together. Every writing transaction first raises its gallery's ``change`` (the row
lock makes the order of changes the order of commits) and stamps the rows it writes with the new number; a process
that knows the gallery up to change n needs only the rows stamped later than n.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

__all__ = [
    "ApiKey",
    "AuditRow",
    "Base",
    "CalibrationRow",
    "Gallery",
    "ItemRow",
    "JobFailureRow",
    "JobRow",
    "KeptQueryRow",
    "LabelledQueryRow",
    "PinRow",
    "Removal",
]

BigNumber = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column that is exactly INTEGER."""


HAS_VIEWS = text("length(views) > 0")
"""As the index on them says it, or no database sees that it fits: they are counted at each enrolment."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC that is aware in Python on every database (SQLite stores no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give back the zone that SQLite drops."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Declarative base; constraint names are fixed so that later migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Gallery(Base):
    """A gallery and the number of its last change.

    Attributes:
        bundle_sha256: identity of the bundle that made its embeddings.
        change: raised by every writing transaction.
        items_change: the last change that touched what it learns from: an item, a distractor or a labelled query. A
            calibration whose basis is older is stale.
        generation: the generation that was published or rolled back to last; 0 before the first.
        unknown_share: share of questions about unknown things that it was told; None: as the settings say.
        pinned: the generation that is served exactly as it is, since a rollback and until the next publish; else None.
    """

    __tablename__ = "galleries"
    id: Mapped[int] = mapped_column(BigNumber, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    bundle_sha256: Mapped[str] = mapped_column(String(64))
    change: Mapped[int] = mapped_column(BigInteger, default=0)
    items_change: Mapped[int] = mapped_column(BigInteger, default=0)
    far_budget: Mapped[float]
    unknown_share: Mapped[float | None]
    generation: Mapped[int] = mapped_column(BigInteger, default=0)
    pinned: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=_now)


class ItemRow(Base):
    """One photo of a gallery: an item with a label, or a distractor without (label '').

    `embedding` holds d little-endian float32; `views` v*d of them, embeddings of simulated re-photographs; `local` the
    photo's local features (`index.verification.LocalFeatures.to_bytes`), empty where they were never extracted.
    """

    __tablename__ = "items"
    __table_args__ = (
        UniqueConstraint("gallery_id", "kind", "label", "image_sha256"),
        Index("ix_items_gallery_id_change", "gallery_id", "change"),
        Index("ix_items_gallery_id_external_id", "gallery_id", "external_id"),
        Index("ix_items_image_sha256", "image_sha256"),
        Index("ix_items_with_views", "gallery_id", sqlite_where=HAS_VIEWS, postgresql_where=HAS_VIEWS),
        {"sqlite_autoincrement": True},  # a number is never used twice: replicas remember removals by number
    )
    number: Mapped[int] = mapped_column(BigNumber, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    gallery_id: Mapped[int] = mapped_column(ForeignKey("galleries.id"))
    kind: Mapped[str] = mapped_column(String(10))
    label: Mapped[str] = mapped_column(String(200))
    image_sha256: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[str | None] = mapped_column(String(200))
    item_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", JSON, default=dict)
    embedding: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    views: Mapped[bytes] = mapped_column(LargeBinary, default=b"", deferred=True)
    local: Mapped[bytes] = mapped_column(LargeBinary, default=b"", deferred=True)
    width: Mapped[int]
    height: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=_now)
    change: Mapped[int] = mapped_column(BigInteger)


class Removal(Base):
    """An item that is gone, for processes that still know it.

    Rows stay for good, three numbers each. None is safe to prune: a process that nobody asked about a gallery since
    long ago stands at a change older than any published generation's, and goes on from there. To prune them, a gallery
    would have to note up to which change it did, so that a replica from before loads anew instead of catching up.
    """

    __tablename__ = "removals"
    gallery_id: Mapped[int] = mapped_column(ForeignKey("galleries.id"), primary_key=True)
    change: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class CalibrationRow(Base):
    """What a gallery learned about itself (`index.tuning.Tuning`).

    Attributes:
        basis: the change number of the gallery that it was learned on.
        body, adaptation: the tuning's two parts.
        pipeline: with which pipeline it was learned.
    """

    __tablename__ = "calibrations"
    gallery_id: Mapped[int] = mapped_column(ForeignKey("galleries.id"), primary_key=True)
    change: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    basis: Mapped[int] = mapped_column(BigInteger)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    adaptation: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    pipeline: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=_now)


class PinRow(Base):
    """A pinned query: a photo that a gallery has to answer in a certain way, before a generation of it is published.

    Attributes:
        image_sha256: of the photo, which is in the photo store.
        label: that it must be known as; None where it must not be known as anything.
    """

    __tablename__ = "pins"
    __table_args__ = (
        UniqueConstraint("gallery_id", "image_sha256"),
        Index("ix_pins_image_sha256", "image_sha256"),
    )
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    gallery_id: Mapped[int] = mapped_column(ForeignKey("galleries.id"))
    image_sha256: Mapped[str] = mapped_column(String(64))
    label: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=_now)


class LabelledQueryRow(Base):
    """A photo that was asked about, and what somebody says it shows: what a gallery learns its confidence from.

    The photo itself is not kept. Photo and box name the query: said again, the later word counts.

    Attributes:
        image_sha256, box: of which photo, and which part of it (x0,y0,x1,y1; empty for the whole).
        label: what it shows, whether the gallery has that or not; None for something without a name.
        bundle_sha256: the bundle that made the embedding.
        embedding, local: as an item's; `local` is empty where no features were extracted.
    """

    __tablename__ = "labelled_queries"
    __table_args__ = (UniqueConstraint("gallery_id", "image_sha256", "box"), {"sqlite_autoincrement": True})
    number: Mapped[int] = mapped_column(BigNumber, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    gallery_id: Mapped[int] = mapped_column(ForeignKey("galleries.id"))
    image_sha256: Mapped[str] = mapped_column(String(64))
    box: Mapped[str] = mapped_column(String(100), default="")
    label: Mapped[str | None] = mapped_column(String(200))
    bundle_sha256: Mapped[str] = mapped_column(String(64))
    embedding: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    local: Mapped[bytes] = mapped_column(LargeBinary, default=b"", deferred=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=_now)


class KeptQueryRow(Base):
    """A query that was answered, kept for a while so that its answer can be judged (`WHICHONE_KEEP_QUERIES`).

    Attributes:
        id: the recognition's.
        asked_at: when; what is older than the setting says is deleted.
        image_sha256, box, bundle_sha256, embedding, local: see `LabelledQueryRow`.
    """

    __tablename__ = "kept_queries"
    __table_args__ = (Index("ix_kept_queries_asked_at", "asked_at"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    gallery_id: Mapped[int] = mapped_column(ForeignKey("galleries.id"))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime, default=_now)
    image_sha256: Mapped[str] = mapped_column(String(64))
    box: Mapped[str] = mapped_column(String(100), default="")
    bundle_sha256: Mapped[str] = mapped_column(String(64))
    embedding: Mapped[bytes] = mapped_column(LargeBinary)
    local: Mapped[bytes] = mapped_column(LargeBinary, default=b"")


class ApiKey(Base):
    """An API key, as its sha256.

    Attributes:
        origin: `environment` (WHICHONE_ADMIN_KEY), `generated` (at first start) or `created` (`whichone keys create`).
        galleries: the names of those it is good for; None for every gallery.
        rate: how many requests it may make, `600/min`; None where the server's own rate holds.
        last_used_at: about when, to a minute.
        previous_sha256, previous_until: the secret before the last rotation, and how long it is still good.
    """

    __tablename__ = "api_keys"
    id: Mapped[int] = mapped_column(BigNumber, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    key_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    galleries: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    rate: Mapped[str | None] = mapped_column(String(20))
    origin: Mapped[str] = mapped_column(String(12))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=_now)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    previous_sha256: Mapped[str | None] = mapped_column(String(64), unique=True)
    previous_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AuditRow(Base):
    """One administrative change, written in the transaction that made it.

    Attributes:
        via: how it came: `key`, `open` (a request without a key), `command` (the command line) or `server` (by itself).
        actor: the key's name; None where no key was used.
        gallery: the gallery's name, without a foreign key: the row outlives the gallery.
        subject: what was changed: an item's id, a label, a generation, a key's name.
        detail: counts and sha256; never photos or keys.
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_gallery_id", "gallery", "id"),
        Index("ix_audit_at", "at"),
        {"sqlite_autoincrement": True},  # a number is never used twice: pages go on after one
    )
    id: Mapped[int] = mapped_column(BigNumber, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=_now)
    via: Mapped[str] = mapped_column(String(10))
    actor: Mapped[str | None] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(40))
    gallery: Mapped[str | None] = mapped_column(String(64))
    subject: Mapped[str | None] = mapped_column(String(200))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    request_id: Mapped[str | None] = mapped_column(String(128))


class JobRow(Base):
    """A bulk import, and how far it is.

    Attributes:
        gallery: by name: the import may be what makes it.
        source: what is imported: `kind` (archive, folder, csv), and `name` as the caller gave it.
        distractors: whether the photos are distractors.
        state: queued, running, done, failed or cancelled.
        total, ignored: photos to add, and files passed over as they are no photos; None before it was looked through.
        position: photos that are behind it: added, found there, or failed. The next one's place in the listing.
        cancelling: it is to end at the next photo.
        code, message: why it failed, or what it is waiting for.
        not_before: it rests until then.
        owner, owned_until: the process that works on it, by a random name, and how long that holds without a word.
        begun_at, begun: at which position a process last took it up, and how many did so at that very position.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_state", "state"),
        Index("ix_jobs_gallery_number", "gallery", "number"),
        {"sqlite_autoincrement": True},  # a number is never used twice: pages go on after one
    )
    number: Mapped[int] = mapped_column(BigNumber, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    gallery: Mapped[str] = mapped_column(String(64))
    source: Mapped[dict[str, Any]] = mapped_column(JSON)
    distractors: Mapped[bool]
    state: Mapped[str] = mapped_column(String(10))
    total: Mapped[int | None]
    ignored: Mapped[int | None]
    position: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)
    duplicates: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    cancelling: Mapped[bool] = mapped_column(default=False)
    code: Mapped[str | None] = mapped_column(String(64))
    message: Mapped[str | None] = mapped_column(String(1000))
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    owner: Mapped[str | None] = mapped_column(String(32))
    owned_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    begun_at: Mapped[int | None]
    begun: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=_now)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class JobFailureRow(Base):
    """A photo that a job could not add.

    Attributes:
        position: its place in the job's listing.
        name: as the archive, folder or CSV calls it.
        code, message: why, as `POST /index` would say it.
    """

    __tablename__ = "job_failures"
    job: Mapped[int] = mapped_column(ForeignKey("jobs.number"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(300))
    code: Mapped[str] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(String(1000))
