"""A gallery's own share of questions about unknown things."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008_fits_0006"
down_revision = "0007_fits_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; unset, a gallery goes by the server's settings, as before."""
    op.add_column("galleries", sa.Column("unknown_share", sa.Float(), nullable=True))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("galleries", "unknown_share")
