"""Keys with galleries, an end, a rate and a rotation; the log of administrative changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns, empty: a key from before is good for every gallery and has no end. Create the log."""
    for column in (
        sa.Column("galleries", sa.JSON(), nullable=True),
        sa.Column("rate", sa.String(20), nullable=True),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.Column("previous_sha256", sa.String(64), nullable=True),
        sa.Column("previous_until", MOMENT, nullable=True),
    ):
        op.add_column("api_keys", column)
    with op.batch_alter_table("api_keys") as table:
        table.create_unique_constraint("uq_api_keys_previous_sha256", ["previous_sha256"])
    op.create_table(
        "audit",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("via", sa.String(10), nullable=False),
        sa.Column("actor", sa.String(100), nullable=True),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("gallery", sa.String(64), nullable=True),
        sa.Column("subject", sa.String(200), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_gallery_id", "audit", ["gallery", "id"])
    op.create_index("ix_audit_at", "audit", ["at"])


def downgrade() -> None:
    """Drop the table and the columns."""
    op.drop_table("audit")
    with op.batch_alter_table("api_keys") as table:
        table.drop_constraint("uq_api_keys_previous_sha256", type_="unique")
        for column in ("previous_until", "previous_sha256", "last_used_at", "expires_at", "rate", "galleries"):
            table.drop_column(column)
