"""
What is noticed before anybody asks: alerts, their posted cards, and the sources that are read for them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    _make_alerts()
    op.create_table(
        "alert_names",
        sa.Column("alert_id", sa.String(16), sa.ForeignKey("alerts.alert_id"), primary_key=True),
        sa.Column("name", sa.String(512), primary_key=True),
    )
    op.create_index("ix_alert_names_name", "alert_names", ["name"])
    op.create_table(
        "alert_copies",
        sa.Column("copy_id", sa.String(64), primary_key=True),
        sa.Column("alert_id", sa.String(16), sa.ForeignKey("alerts.alert_id")),
        sa.Column("digest_id", sa.String(64)),
        sa.Column("conversation_id", sa.String(512), nullable=False),
        sa.Column("activity_id", sa.String(256)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("shown_version", sa.Integer, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("ix_alert_copies_alert_id", "alert_copies", ["alert_id"])
    op.create_index("ix_alert_copies_digest_id", "alert_copies", ["digest_id"])
    op.create_table(
        "alert_sources",
        sa.Column("source", sa.String(64), primary_key=True),
        sa.Column("due_at", _moment, nullable=False),
        sa.Column("leased_by", sa.String(128), nullable=False),
        sa.Column("leased_until", _moment),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )


def _make_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("alert_id", sa.String(16), primary_key=True),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("about", sa.String(512), nullable=False),
        sa.Column("open_key", sa.String(512)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("since", _moment, nullable=False),
        sa.Column("noticed_at", _moment, nullable=False),
        sa.Column("posted_at", _moment),
        sa.Column("snoozed_until", _moment),
        sa.Column("is_set_aside", sa.Boolean, nullable=False),
        sa.Column("digest_id", sa.String(64)),
        sa.Column("case_id", sa.String(16)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.UniqueConstraint("tenant_id", "open_key", name="one_open_alert_per_thing"),
    )
    for column in ("state", "noticed_at", "digest_id", "case_id"):
        op.create_index(f"ix_alerts_{column}", "alerts", [column])


def downgrade() -> None:
    for table in ("alert_sources", "alert_copies", "alert_names", "alerts"):
        op.drop_table(table)
