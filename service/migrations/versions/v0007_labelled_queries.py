"""Labelled queries, which galleries learn from; and queries that are kept for a while to be judged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007_fits_0006"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "labelled_queries",
        sa.Column("number", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("gallery_id", BIG, nullable=False),
        sa.Column("image_sha256", sa.String(64), nullable=False),
        sa.Column("box", sa.String(100), nullable=False),
        sa.Column("label", sa.String(200), nullable=True),
        sa.Column("bundle_sha256", sa.String(64), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.Column("local", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["gallery_id"], ["galleries.id"], name="fk_labelled_queries_gallery_id"),
        sa.PrimaryKeyConstraint("number", name="pk_labelled_queries"),
        sa.UniqueConstraint("id", name="uq_labelled_queries_id"),
        sa.UniqueConstraint(
            "gallery_id", "image_sha256", "box", name="uq_labelled_queries_gallery_id_image_sha256_box"
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "kept_queries",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("gallery_id", BIG, nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("image_sha256", sa.String(64), nullable=False),
        sa.Column("box", sa.String(100), nullable=False),
        sa.Column("bundle_sha256", sa.String(64), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.Column("local", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["gallery_id"], ["galleries.id"], name="fk_kept_queries_gallery_id"),
        sa.PrimaryKeyConstraint("id", name="pk_kept_queries"),
    )
    op.create_index("ix_kept_queries_asked_at", "kept_queries", ["asked_at"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("kept_queries")
    op.drop_table("labelled_queries")
