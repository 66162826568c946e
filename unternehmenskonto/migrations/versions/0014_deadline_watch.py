"""deadline_watch"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


DUE_ON = (
    "COALESCE(remedy_ends_on, CASE WHEN ((regime)::text = 'vwvfg41_2a'::text)"
    " THEN ((made_available_at AT TIME ZONE 'Europe/Berlin'::text)::date + 10) ELSE NULL::date END)"
)
OLD_KINDS = "kind IN ('message', 'decision', 'decision_by_retrieval')"
NEW_KINDS = (
    "kind IN ('message', 'decision', 'decision_by_retrieval', 'deadline_reminder', 'deadline_cover', 'no_reader')"
)


def upgrade() -> None:
    op.create_table(
        "deadline_progress",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_deadline_progress")),
    )
    op.create_table(
        "deadline_settings",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("reminder_days", sa.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("cover_days", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint("cardinality(reminder_days) <= 5", name=op.f("ck_deadline_settings_days")),
        sa.CheckConstraint("cover_days BETWEEN 0 AND 30", name=op.f("ck_deadline_settings_cover")),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_deadline_settings_company_id_companies")
        ),
        sa.PrimaryKeyConstraint("company_id", name=op.f("pk_deadline_settings")),
    )
    op.create_table(
        "missing_readers",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("area", sa.String(length=36), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "reason IN ('nobody_may_read', 'nobody_can_log_in', 'nobody_has_address')",
            name=op.f("ck_missing_readers_reason"),
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_missing_readers_company_id_companies")),
        sa.PrimaryKeyConstraint("company_id", "area", name=op.f("pk_missing_readers")),
    )
    op.create_table(
        "absences",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("membership_id", sa.Uuid(), nullable=False),
        sa.Column("substitute_id", sa.Uuid(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("membership_id <> substitute_id", name=op.f("ck_absences_somebody_else")),
        sa.CheckConstraint("starts_on <= ends_on", name=op.f("ck_absences_order")),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_absences_company_id_companies")),
        sa.ForeignKeyConstraint(
            ["membership_id"], ["memberships.id"], name=op.f("fk_absences_membership_id_memberships")
        ),
        sa.ForeignKeyConstraint(
            ["substitute_id"], ["memberships.id"], name=op.f("fk_absences_substitute_id_memberships")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_absences")),
    )
    op.create_index("ix_absences_company", "absences", ["company_id", "ends_on"], unique=False)
    op.create_table(
        "calendar_feeds",
        sa.Column("membership_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("detail", sa.String(length=8), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("detail IN ('dates', 'subjects')", name=op.f("ck_calendar_feeds_detail")),
        sa.CheckConstraint("language IN ('de', 'en')", name=op.f("ck_calendar_feeds_language")),
        sa.ForeignKeyConstraint(
            ["membership_id"], ["memberships.id"], name=op.f("fk_calendar_feeds_membership_id_memberships")
        ),
        sa.PrimaryKeyConstraint("membership_id", name=op.f("pk_calendar_feeds")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_calendar_feeds_token_hash")),
    )
    op.create_table(
        "deadline_steps",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=14), nullable=False),
        sa.Column("days", sa.SmallInteger(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.CheckConstraint(
            "kind IN ('reminder', 'substitute', 'administrators', 'everybody')", name=op.f("ck_deadline_steps_kind")
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "message_id"],
            ["messages.company_id", "messages.id"],
            name=op.f("fk_deadline_steps_company_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("company_id", "message_id", "due_on", "kind", "days", name=op.f("pk_deadline_steps")),
    )
    op.add_column("messages", sa.Column("due_on", sa.Date(), sa.Computed(DUE_ON, persisted=True), nullable=True))
    for name, columns, opened in (
        ("ix_messages_due", ["company_id", "due_on", "id"], ""),
        ("ix_messages_due_day", ["due_on", "company_id", "id"], ""),
        ("ix_messages_unopened_day", ["due_on", "company_id", "id"], " AND first_retrieved_at IS NULL"),
    ):
        where = sa.text(f"due_on IS NOT NULL{opened}")
        op.create_index(name, "messages", columns, unique=False, postgresql_where=where)
    # The notices of deadlines: several of one kind about one message, and one about no message at all.
    op.add_column("notices", sa.Column("occasion", sa.String(length=40), nullable=False, server_default=""))
    op.alter_column("notices", "occasion", server_default=None)
    op.add_column("notices", sa.Column("due_on", sa.Date(), nullable=True))
    op.alter_column("notices", "message_id", nullable=True)
    op.drop_constraint(op.f("uq_notices_message_id"), "notices", type_="unique")
    op.create_unique_constraint(
        op.f("uq_notices_message_id"),
        "notices",
        ["message_id", "membership_id", "kind", "occasion"],
        postgresql_nulls_not_distinct=True,
    )
    op.drop_constraint(op.f("ck_notices_kind"), "notices", type_="check")
    op.create_check_constraint(op.f("ck_notices_kind"), "notices", NEW_KINDS)
    op.create_check_constraint(op.f("ck_notices_message"), "notices", "(kind = 'no_reader') = (message_id IS NULL)")


def downgrade() -> None:
    op.execute("DELETE FROM notices WHERE kind IN ('deadline_reminder', 'deadline_cover', 'no_reader')")
    op.drop_constraint(op.f("ck_notices_message"), "notices", type_="check")
    op.drop_constraint(op.f("ck_notices_kind"), "notices", type_="check")
    op.create_check_constraint(op.f("ck_notices_kind"), "notices", OLD_KINDS)
    op.drop_constraint(op.f("uq_notices_message_id"), "notices", type_="unique")
    op.create_unique_constraint(
        op.f("uq_notices_message_id"),
        "notices",
        ["message_id", "membership_id", "kind"],
        postgresql_nulls_not_distinct=True,
    )
    op.alter_column("notices", "message_id", nullable=False)
    op.drop_column("notices", "due_on")
    op.drop_column("notices", "occasion")
    for name in ("ix_messages_unopened_day", "ix_messages_due_day", "ix_messages_due"):
        op.drop_index(name, table_name="messages")
    op.drop_column("messages", "due_on")
    op.drop_table("deadline_steps")
    op.drop_table("calendar_feeds")
    op.drop_table("absences")
    op.drop_table("missing_readers")
    op.drop_table("deadline_settings")
    op.drop_table("deadline_progress")
