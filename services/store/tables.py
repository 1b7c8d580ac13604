"""The tables. What is searched for is a column; the rest of a noun is one JSON document beside it."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

_moment = sa.DateTime(timezone=True)

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("case_id", sa.String(16), primary_key=True),
    sa.Column("tenant_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(32), nullable=False, index=True),
    sa.Column("subject_oid", sa.String(64), index=True),
    # The subject while the case is open, else NULL: the unique index below makes a second open case impossible.
    sa.Column("open_subject_oid", sa.String(64)),
    sa.Column("requester_oid", sa.String(64), nullable=False),
    sa.Column("opened_at", _moment, nullable=False, index=True),
    sa.Column("changed_at", _moment, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.UniqueConstraint("tenant_id", "open_subject_oid", name="one_open_case_per_account"),
)


def _part(name: str, key: str) -> sa.Table:
    """A table of the parts of a case: one row each, with its place in the order."""
    return sa.Table(
        name,
        metadata,
        sa.Column("case_id", sa.String(16), sa.ForeignKey("cases.case_id"), primary_key=True),
        sa.Column(key, sa.String(64), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )


findings = _part("findings", "signal_id")
actions = _part("actions", "action_id")
approvals = _part("approvals", "prompt_id")
prevention = _part("prevention", "item_id")

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("claim", sa.String(64), primary_key=True),
    sa.Column("case_id", sa.String(16), sa.ForeignKey("cases.case_id"), nullable=False),
    sa.Column("prompt_id", sa.String(64), nullable=False),
)

conversations = sa.Table(
    "conversations",
    metadata,
    sa.Column("conversation_id", sa.String(512), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("user_oid", sa.String(64), index=True),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("seen_at", _moment, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
)

card_copies = sa.Table(
    "card_copies",
    metadata,
    sa.Column("copy_id", sa.String(64), primary_key=True),
    sa.Column("case_id", sa.String(16), sa.ForeignKey("cases.case_id"), nullable=False, index=True),
    sa.Column("prompt_id", sa.String(64)),
    sa.Column("conversation_id", sa.String(512), nullable=False),
    sa.Column("activity_id", sa.String(256)),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("shown_version", sa.Integer, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
)

#: Each time that an approver was asked to sign in again, and the proof that they did.
sign_ins = sa.Table(
    "sign_ins",
    metadata,
    # SHA-256 of the one-time state: whoever reads the table cannot go on with it.
    sa.Column("state_hash", sa.String(64), primary_key=True),
    sa.Column("prompt_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_oid", sa.String(64), nullable=False),
    sa.Column("asked_at", _moment, nullable=False, index=True),
    sa.Column("used", sa.Boolean, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("alert_id", sa.String(16), primary_key=True),
    sa.Column("tenant_id", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("about", sa.String(512), nullable=False),
    # What it is about while it is open, else NULL: the unique index below makes a second open alert impossible.
    sa.Column("open_key", sa.String(512)),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("severity", sa.Integer, nullable=False),
    sa.Column("since", _moment, nullable=False),
    sa.Column("noticed_at", _moment, nullable=False, index=True),
    sa.Column("posted_at", _moment),
    sa.Column("snoozed_until", _moment),
    sa.Column("is_set_aside", sa.Boolean, nullable=False),
    sa.Column("digest_id", sa.String(64), index=True),
    sa.Column("case_id", sa.String(16), index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.UniqueConstraint("tenant_id", "open_key", name="one_open_alert_per_thing"),
)

#: Every name under which the thing of an alert is reported: addresses, object id.
alert_names = sa.Table(
    "alert_names",
    metadata,
    sa.Column("alert_id", sa.String(16), sa.ForeignKey("alerts.alert_id"), primary_key=True),
    sa.Column("name", sa.String(512), primary_key=True, index=True),
)

#: Posted messages about alerts, each about one of them or about those of a digest.
alert_copies = sa.Table(
    "alert_copies",
    metadata,
    sa.Column("copy_id", sa.String(64), primary_key=True),
    sa.Column("alert_id", sa.String(16), sa.ForeignKey("alerts.alert_id"), index=True),
    sa.Column("digest_id", sa.String(64), index=True),
    sa.Column("conversation_id", sa.String(512), nullable=False),
    sa.Column("activity_id", sa.String(256)),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("shown_version", sa.Integer, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
)

#: How each source of alerts is doing, and which replica reads it now.
alert_sources = sa.Table(
    "alert_sources",
    metadata,
    sa.Column("source", sa.String(64), primary_key=True),
    sa.Column("due_at", _moment, nullable=False),
    sa.Column("leased_by", sa.String(128), nullable=False),
    sa.Column("leased_until", _moment),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
)

choices = sa.Table(
    "choices",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
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

#: The last entry's number and hash, so that cutting off the end of the trail is found as well.
audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)
