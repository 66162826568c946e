"""conversations"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

#: What was sent never changes; that the authority has it is written once.
FACTS = """
CREATE TRIGGER messages_keep_reply BEFORE UPDATE OF reply, case_id ON messages
    FOR EACH ROW EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER sent_messages_keep BEFORE UPDATE OF company_id, id, sequence_number, service, service_number,
    recipient_name, recipient_authority, message_id, reference, topic, subject, body, answers, org_sub, company_name,
    sender_name, sent_by, assurance_level, sent_at, receipt ON sent_messages
    FOR EACH ROW EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER sent_messages_keep_acknowledgement BEFORE UPDATE OF acknowledged_at, acknowledgement ON sent_messages
    FOR EACH ROW WHEN (OLD.acknowledged_at IS NOT NULL) EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER case_events_keep BEFORE UPDATE ON case_events
    FOR EACH ROW EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER sent_files_keep BEFORE UPDATE ON sent_files
    FOR EACH ROW EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER sent_links_keep BEFORE UPDATE OF company_id, sequence_number, sent_id, leaf, previous, hash ON sent_links
    FOR EACH ROW EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER sent_links_keep_salt BEFORE UPDATE OF salt ON sent_links
    FOR EACH ROW WHEN (NEW.salt IS NOT NULL) EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER sent_links_keep_rows BEFORE DELETE OR TRUNCATE ON sent_links
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_mailbox_change();
"""
ROLES = "roles <@ ARRAY['administrator', 'correspondence', 'mailbox', 'services']::varchar[]"
OLD_ROLES = "roles <@ ARRAY['administrator', 'mailbox', 'services']::varchar[]"


def upgrade() -> None:
    op.create_table(
        "service_intakes",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service", name=op.f("pk_service_intakes")),
    )
    op.create_table(
        "cases",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sector", sa.String(length=255), nullable=False),
        sa.Column("external_id", sa.String(length=100), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("service_name", sa.String(length=200), nullable=False),
        sa.Column("authority", sa.String(length=200), nullable=False),
        sa.Column("public_service", sa.String(length=14), nullable=True),
        sa.Column("link", sa.String(length=2000), nullable=True),
        sa.Column("state", sa.String(length=15), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('initiated', 'submitted', 'received', 'processing', 'action_required', 'completed')",
            name=op.f("ck_cases_state"),
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_cases_company_id_companies")),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_cases")),
    )
    op.create_index("ix_cases_list", "cases", ["company_id", "is_open", "changed_at", "id"], unique=False)
    op.create_index("uq_cases_external", "cases", ["sector", "external_id"], unique=True)
    op.create_table(
        "outboxes",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_outboxes_company_id_companies")),
        sa.PrimaryKeyConstraint("company_id", name=op.f("pk_outboxes")),
    )
    op.create_table(
        "case_events",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("service_name", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=15), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.String(length=500), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('initiated', 'submitted', 'received', 'processing', 'action_required', 'completed')",
            name=op.f("ck_case_events_state"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "case_id"], ["cases.company_id", "cases.id"], name=op.f("fk_case_events_company_id_cases")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_case_events")),
        sa.UniqueConstraint("company_id", "case_id", "at", "state", name=op.f("uq_case_events_company_id")),
    )
    op.create_table(
        "sent_links",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("sequence_number", sa.BigInteger(), nullable=False),
        sa.Column("sent_id", sa.Uuid(), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=True),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.Column("previous", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["outboxes.company_id"], name=op.f("fk_sent_links_company_id_outboxes")
        ),
        sa.PrimaryKeyConstraint("company_id", "sequence_number", name=op.f("pk_sent_links")),
    )
    op.create_table(
        "drafts",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("author", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("answers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["author"], ["memberships.id"], name=op.f("fk_drafts_author_memberships")),
        sa.ForeignKeyConstraint(
            ["company_id", "message_id"],
            ["messages.company_id", "messages.id"],
            name=op.f("fk_drafts_company_id_messages"),
            ondelete="SET NULL (message_id)",
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_drafts_company_id_companies")),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_drafts")),
    )
    op.create_index(
        "ix_drafts_deleted_at",
        "drafts",
        ["deleted_at"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index(
        "ix_drafts_list",
        "drafts",
        ["company_id", "updated_at", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "sent_messages",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence_number", sa.BigInteger(), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("service_number", sa.BigInteger(), nullable=False),
        sa.Column("recipient_name", sa.String(length=200), nullable=False),
        sa.Column("recipient_authority", sa.String(length=200), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("reference", sa.String(length=255), nullable=True),
        sa.Column("topic", sa.String(length=100), nullable=True),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("answers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("org_sub", sa.String(length=43), nullable=False),
        sa.Column("company_name", sa.String(length=500), nullable=False),
        sa.Column("sender_name", sa.String(length=510), nullable=False),
        sa.Column("sent_by", sa.Uuid(), nullable=False),
        sa.Column("assurance_level", sa.String(length=15), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledgement", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(acknowledged_at IS NULL) = (acknowledgement IS NULL)", name=op.f("ck_sent_messages_acknowledged")
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["outboxes.company_id"], name=op.f("fk_sent_messages_company_id_outboxes")
        ),
        sa.ForeignKeyConstraint(["sent_by"], ["memberships.id"], name=op.f("fk_sent_messages_sent_by_memberships")),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_sent_messages")),
        sa.UniqueConstraint("company_id", "sequence_number", name=op.f("uq_sent_messages_company_id")),
    )
    op.create_index("ix_sent_messages_id", "sent_messages", ["id"], unique=False)
    op.create_index("ix_sent_messages_list", "sent_messages", ["company_id", "sent_at", "id"], unique=False)
    op.create_index("ix_sent_messages_message", "sent_messages", ["company_id", "message_id", "sent_at"], unique=False)
    op.create_index("uq_sent_messages_service", "sent_messages", ["service", "service_number"], unique=True)
    op.create_table(
        "draft_files",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("draft_id", sa.Uuid(), nullable=False),
        sa.Column("question", sa.String(length=40), nullable=True),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "draft_id"],
            ["drafts.company_id", "drafts.id"],
            name=op.f("fk_draft_files_company_id_drafts"),
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_draft_files")),
    )
    op.create_index("ix_draft_files_draft", "draft_files", ["company_id", "draft_id"], unique=False)
    op.create_index("ix_draft_files_path", "draft_files", ["path"], unique=False)
    op.create_table(
        "sent_files",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sent_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("question", sa.String(length=40), nullable=True),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "sent_id"],
            ["sent_messages.company_id", "sent_messages.id"],
            name=op.f("fk_sent_files_company_id_sent_messages"),
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_sent_files")),
        sa.UniqueConstraint("company_id", "sent_id", "position", name=op.f("uq_sent_files_company_id")),
    )
    op.create_index("ix_sent_files_path", "sent_files", ["path"], unique=False)
    op.add_column("messages", sa.Column("reply", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("messages", sa.Column("case_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_messages_case",
        "messages",
        ["company_id", "case_id", "made_available_at", "id"],
        unique=False,
        postgresql_where=sa.text("case_id IS NOT NULL"),
    )
    op.create_foreign_key(
        op.f("fk_messages_company_id_cases"), "messages", "cases", ["company_id", "case_id"], ["company_id", "id"]
    )
    op.add_column(
        "online_services", sa.Column("accepts_messages", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
    )
    op.drop_constraint(op.f("ck_memberships_roles"), "memberships", type_="check")
    op.create_check_constraint(op.f("ck_memberships_roles"), "memberships", ROLES)
    op.execute(FACTS)


def downgrade() -> None:
    op.execute("DROP TRIGGER messages_keep_reply ON messages")
    op.drop_constraint(op.f("fk_messages_company_id_cases"), "messages", type_="foreignkey")
    op.drop_index("ix_messages_case", table_name="messages")
    op.drop_column("messages", "case_id")
    op.drop_column("messages", "reply")
    op.drop_column("online_services", "accepts_messages")
    for table in (
        "sent_files",
        "draft_files",
        "sent_messages",
        "drafts",
        "sent_links",
        "case_events",
        "outboxes",
        "cases",
        "service_intakes",
    ):
        op.drop_table(table)
    op.drop_constraint(op.f("ck_memberships_roles"), "memberships", type_="check")
    op.execute("UPDATE memberships SET roles = array_remove(roles, 'correspondence')")
    op.create_check_constraint(op.f("ck_memberships_roles"), "memberships", OLD_ROLES)
