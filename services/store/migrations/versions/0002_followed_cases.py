"""
A case that is unblocked is followed from now on, and only then closed. Those that had ended as unblocked are closed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_cases = sa.table(
    "cases",
    sa.column("case_id", sa.String),
    sa.column("state", sa.String),
    sa.column("document", sa.JSON),
)


def upgrade() -> None:
    _move("unblocked", "closed")


def downgrade() -> None:
    _move("closed", "unblocked")


def _move(before: str, after: str) -> None:
    connection = op.get_bind()
    for row in connection.execute(sa.select(_cases).where(_cases.c.state == before)).all():
        changed = {"state": after, "document": {**row.document, "state": after}}
        connection.execute(_cases.update().where(_cases.c.case_id == row.case_id).values(**changed))
