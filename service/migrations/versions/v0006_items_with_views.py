"""An index on items that carry views: they are counted at each enrolment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

HAS_VIEWS = sa.text("length(views) > 0")


def upgrade() -> None:
    """Create the index."""
    op.create_index("ix_items_with_views", "items", ["gallery_id"], sqlite_where=HAS_VIEWS, postgresql_where=HAS_VIEWS)


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("ix_items_with_views", "items")
