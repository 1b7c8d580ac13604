"""
Approvers of the hardest actions may have to sign in again; each time is a row.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sign_ins",
        sa.Column("state_hash", sa.String(64), primary_key=True),
        sa.Column("prompt_id", sa.String(64), nullable=False),
        sa.Column("user_oid", sa.String(64), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.Boolean, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("ix_sign_ins_prompt_id", "sign_ins", ["prompt_id"])
    op.create_index("ix_sign_ins_asked_at", "sign_ins", ["asked_at"])


def downgrade() -> None:
    op.drop_table("sign_ins")
