"""folders"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

#: The one way in which a message goes: from the bin, after its deadline, with the row that says who did it, and with
#: the salt gone, so that its link in the chain no longer tells anything.
ERASURE = """
CREATE FUNCTION refuse_unless_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.binned_at IS NOT NULL AND EXISTS (
        SELECT FROM erased_messages erased
        JOIN chain_links link ON link.company_id = erased.company_id
            AND link.sequence_number = erased.sequence_number AND link.message_id = erased.message_id
        WHERE erased.company_id = OLD.company_id AND erased.message_id = OLD.id AND erased.kind = OLD.kind
            AND link.salt IS NULL
            AND (OLD.remedy_ends_on IS NULL OR erased.protected_until >= OLD.remedy_ends_on)
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'a message is deleted from the bin alone, by its erasure'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE FUNCTION refuse_unless_message_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM erased_messages WHERE company_id = OLD.company_id AND message_id = OLD.message_id
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'an attachment is deleted with its message alone' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER messages_erase BEFORE DELETE ON messages
    FOR EACH ROW EXECUTE FUNCTION refuse_unless_erased();
CREATE TRIGGER messages_keep_rows BEFORE TRUNCATE ON messages
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER attachments_erase BEFORE DELETE ON attachments
    FOR EACH ROW EXECUTE FUNCTION refuse_unless_message_erased();
CREATE TRIGGER attachments_keep_rows BEFORE TRUNCATE ON attachments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER receipts_keep_rows BEFORE DELETE OR TRUNCATE ON receipts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER erased_messages_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON erased_messages
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_mailbox_change();
"""
NO_ERASURE = """
DROP TRIGGER messages_erase ON messages;
DROP TRIGGER messages_keep_rows ON messages;
DROP TRIGGER attachments_erase ON attachments;
DROP TRIGGER attachments_keep_rows ON attachments;
DROP TRIGGER receipts_keep_rows ON receipts;
DROP TRIGGER erased_messages_keep ON erased_messages;
DROP FUNCTION refuse_unless_erased();
DROP FUNCTION refuse_unless_message_erased();
"""
COUNT_ARCHIVED = """
UPDATE mailboxes SET unread_archived = found.number FROM (
    SELECT company_id, count(*) AS number FROM messages WHERE is_unread AND archived_at IS NOT NULL GROUP BY company_id
) found WHERE found.company_id = mailboxes.company_id
"""


def upgrade() -> None:
    _make_tables()
    op.add_column("messages", sa.Column("binned_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("mailboxes", sa.Column("unread_archived", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.execute(COUNT_ARCHIVED)
    op.drop_constraint(op.f("ck_mailboxes_counts"), "mailboxes", type_="check")
    op.create_check_constraint(
        op.f("ck_mailboxes_counts"),
        "mailboxes",
        "last_sequence >= 0 AND unread_archived >= 0 AND unread_count >= unread_archived",
    )
    # The lists of the folders get their indexes in 0015, where a message gets its topic.
    op.drop_index("ix_messages_inbox", table_name="messages")
    op.drop_index("ix_messages_archive", table_name="messages")
    op.drop_constraint(op.f("fk_attachments_company_id_messages"), "attachments", type_="foreignkey")
    op.create_foreign_key(
        op.f("fk_attachments_company_id_messages"),
        "attachments",
        "messages",
        ["company_id", "message_id"],
        ["company_id", "id"],
        ondelete="CASCADE",
    )
    op.drop_constraint(op.f("fk_receipts_company_id_messages"), "receipts", type_="foreignkey")
    op.create_foreign_key(
        op.f("fk_receipts_company_id_mailboxes"), "receipts", "mailboxes", ["company_id"], ["company_id"]
    )
    op.execute(ERASURE)


def _make_tables() -> None:
    op.create_table(
        "erased_messages",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("sequence_number", sa.BigInteger(), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("sender_authority", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("announced_on", sa.Date(), nullable=True),
        sa.Column("remedy_ends_on", sa.Date(), nullable=True),
        sa.Column("rule_version", sa.String(length=40), nullable=True),
        sa.Column("first_retrieved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attachment_count", sa.SmallInteger(), nullable=False),
        sa.Column("topic_id", sa.Uuid(), nullable=True),
        sa.Column("protected_until", sa.Date(), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'decision') = (protected_until IS NOT NULL)", name=op.f("ck_erased_messages_kind")
        ),
        sa.CheckConstraint(
            "protected_until < (erased_at AT TIME ZONE 'Europe/Berlin')::date"
            " AND (remedy_ends_on IS NULL OR remedy_ends_on <= protected_until)",
            name=op.f("ck_erased_messages_protected"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["mailboxes.company_id"], name=op.f("fk_erased_messages_company_id_mailboxes")
        ),
        sa.ForeignKeyConstraint(
            ["erased_by"], ["memberships.id"], name=op.f("fk_erased_messages_erased_by_memberships")
        ),
        sa.PrimaryKeyConstraint("company_id", "message_id", name=op.f("pk_erased_messages")),
        sa.UniqueConstraint("company_id", "sequence_number", name=op.f("uq_erased_messages_company_id")),
    )
    op.create_index("ix_erased_messages_service", "erased_messages", ["service", "message_id"])
    op.create_index("ix_erased_messages_erased_at", "erased_messages", ["company_id", "erased_at", "message_id"])
    op.create_table(
        "bulk_actions",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("membership_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(length=10), nullable=False),
        sa.Column("label_id", sa.Uuid(), nullable=True),
        sa.Column("changes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("refused", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_alone", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "action IN ('archive', 'restore', 'bin', 'read', 'unread', 'label', 'unlabel')",
            name=op.f("ck_bulk_actions_action"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["mailboxes.company_id"], name=op.f("fk_bulk_actions_company_id_mailboxes")
        ),
        sa.ForeignKeyConstraint(
            ["membership_id"], ["memberships.id"], name=op.f("fk_bulk_actions_membership_id_memberships")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_bulk_actions")),
    )
    op.create_index("ix_bulk_actions_made_at", "bulk_actions", ["made_at"])
    op.create_table(
        "mailbox_labels",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("colour", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "colour IN ('grey', 'blue', 'green', 'yellow', 'red', 'violet')", name=op.f("ck_mailbox_labels_colour")
        ),
        sa.CheckConstraint("name <> ''", name=op.f("ck_mailbox_labels_name")),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_mailbox_labels_company_id_companies")),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_mailbox_labels")),
    )
    op.create_index(
        "uq_mailbox_labels_name", "mailbox_labels", ["company_id", sa.literal_column("lower(name)")], unique=True
    )
    op.create_table(
        "message_labels",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("label_id", sa.Uuid(), nullable=False),
        sa.Column("made_available_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "label_id"],
            ["mailbox_labels.company_id", "mailbox_labels.id"],
            name=op.f("fk_message_labels_company_id_mailbox_labels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "message_id"],
            ["messages.company_id", "messages.id"],
            name=op.f("fk_message_labels_company_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("company_id", "message_id", "label_id", name=op.f("pk_message_labels")),
    )
    op.create_index(
        "ix_message_labels_label", "message_labels", ["company_id", "label_id", "made_available_at", "message_id"]
    )


def downgrade() -> None:
    op.execute(NO_ERASURE)
    op.drop_constraint(op.f("fk_receipts_company_id_mailboxes"), "receipts", type_="foreignkey")
    op.execute(
        "DELETE FROM receipts USING erased_messages erased"
        " WHERE receipts.company_id = erased.company_id AND receipts.message_id = erased.message_id"
    )
    op.create_foreign_key(
        op.f("fk_receipts_company_id_messages"),
        "receipts",
        "messages",
        ["company_id", "message_id"],
        ["company_id", "id"],
    )
    op.drop_constraint(op.f("fk_attachments_company_id_messages"), "attachments", type_="foreignkey")
    op.create_foreign_key(
        op.f("fk_attachments_company_id_messages"),
        "attachments",
        "messages",
        ["company_id", "message_id"],
        ["company_id", "id"],
    )
    for name, condition in (("inbox", "archived_at IS NULL"), ("archive", "archived_at IS NOT NULL")):
        op.create_index(
            f"ix_messages_{name}",
            "messages",
            ["company_id", "made_available_at", "id"],
            postgresql_where=sa.text(condition),
        )
    op.drop_constraint(op.f("ck_mailboxes_counts"), "mailboxes", type_="check")
    op.create_check_constraint(op.f("ck_mailboxes_counts"), "mailboxes", "unread_count >= 0 AND last_sequence >= 0")
    # Unread messages in the bin were not counted; from here on nobody knows a bin.
    op.execute(
        "UPDATE mailboxes SET unread_count = (SELECT count(*) FROM messages"
        " WHERE messages.company_id = mailboxes.company_id AND is_unread)"
    )
    op.drop_column("mailboxes", "unread_archived")
    op.drop_column("messages", "binned_at")
    for table in ("message_labels", "mailbox_labels", "bulk_actions", "erased_messages"):
        op.drop_table(table)
