"""The first tables: cases and their parts, conversations, card copies, the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "cases",
        sa.Column("case_id", sa.String(16), primary_key=True),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(32), nullable=False, index=True),
        sa.Column("subject_oid", sa.String(64), index=True),
        sa.Column("open_subject_oid", sa.String(64)),
        sa.Column("requester_oid", sa.String(64), nullable=False),
        sa.Column("opened_at", _moment, nullable=False, index=True),
        sa.Column("changed_at", _moment, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.UniqueConstraint("tenant_id", "open_subject_oid", name="one_open_case_per_account"),
    )
    for name, key in (
        ("findings", "signal_id"),
        ("actions", "action_id"),
        ("approvals", "prompt_id"),
        ("prevention", "item_id"),
    ):
        op.create_table(
            name,
            sa.Column("case_id", sa.String(16), sa.ForeignKey("cases.case_id"), primary_key=True),
            sa.Column(key, sa.String(64), primary_key=True),
            sa.Column("position", sa.Integer, nullable=False),
            sa.Column("state", sa.String(32), nullable=False),
            sa.Column("document", sa.JSON, nullable=False),
        )
    op.create_table(
        "claims",
        sa.Column("claim", sa.String(64), primary_key=True),
        sa.Column("case_id", sa.String(16), sa.ForeignKey("cases.case_id"), nullable=False),
        sa.Column("prompt_id", sa.String(64), nullable=False),
    )
    op.create_table(
        "conversations",
        sa.Column("conversation_id", sa.String(512), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("user_oid", sa.String(64), index=True),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("seen_at", _moment, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_table(
        "card_copies",
        sa.Column("copy_id", sa.String(64), primary_key=True),
        sa.Column("case_id", sa.String(16), sa.ForeignKey("cases.case_id"), nullable=False, index=True),
        sa.Column("prompt_id", sa.String(64)),
        sa.Column("conversation_id", sa.String(512), nullable=False),
        sa.Column("activity_id", sa.String(256)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("shown_version", sa.Integer, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_table(
        "choices", sa.Column("name", sa.String(64), primary_key=True), sa.Column("value", sa.Text, nullable=False)
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("case_id", sa.String(16), index=True),
        sa.Column("tag", sa.String(64), nullable=False),
        sa.Column("actor_oid", sa.String(64)),
        sa.Column("actor_name", sa.Text),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "audit_head",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    for name in (
        "audit_head",
        "audit",
        "choices",
        "card_copies",
        "conversations",
        "claims",
        "prevention",
        "approvals",
        "actions",
        "findings",
        "cases",
    ):
        op.drop_table(name)
