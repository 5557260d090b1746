"""Pinned queries: photos, and how a gallery has to answer them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "pins",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("gallery_id", BIG, nullable=False),
        sa.Column("image_sha256", sa.String(64), nullable=False),
        sa.Column("label", sa.String(200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["gallery_id"], ["galleries.id"], name="fk_pins_gallery_id"),
        sa.PrimaryKeyConstraint("id", name="pk_pins"),
        sa.UniqueConstraint("gallery_id", "image_sha256", name="uq_pins_gallery_id_image_sha256"),
    )
    op.create_index("ix_pins_image_sha256", "pins", ["image_sha256"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("pins")
