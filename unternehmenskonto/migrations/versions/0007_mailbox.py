"""mailbox"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

#: What was delivered never changes; a fact that is known once never changes either. The triggers name columns,
#: so marking a message read or archived does not pay for them.
FACTS = """
CREATE FUNCTION refuse_mailbox_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is evidence and never changes', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER messages_keep_delivery BEFORE UPDATE OF company_id, id, sequence_number, service, sender_name,
    sender_authority, kind, subject, body, body_format, reference, regime, land, remedy_kind, remedy_length,
    remedy_unit, remedy_instructed, remedy_addressee, accepted_at, made_available_at ON messages
    FOR EACH ROW EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER messages_keep_announcement BEFORE UPDATE OF announced_on, remedy_ends_on, rule_version ON messages
    FOR EACH ROW WHEN (OLD.announced_on IS NOT NULL) EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER messages_keep_retrieval BEFORE UPDATE OF first_retrieved_at, first_retrieved_by ON messages
    FOR EACH ROW WHEN (OLD.first_retrieved_at IS NOT NULL) EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER attachments_keep BEFORE UPDATE ON attachments
    FOR EACH ROW EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER receipts_keep BEFORE UPDATE ON receipts
    FOR EACH ROW EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER chain_links_keep BEFORE UPDATE OF company_id, sequence_number, message_id, leaf, previous, hash,
    recorded_at ON chain_links FOR EACH ROW EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER chain_links_keep_salt BEFORE UPDATE OF salt ON chain_links
    FOR EACH ROW WHEN (NEW.salt IS NOT NULL) EXECUTE FUNCTION refuse_mailbox_change();
CREATE TRIGGER chain_links_keep_rows BEFORE DELETE OR TRUNCATE ON chain_links
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_mailbox_change();
"""


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("client", sa.String(length=63), nullable=False),
        sa.Column("route", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("client", "route", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "mailboxes",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(length=32), nullable=False),
        sa.Column("unread_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("unread_count >= 0 AND last_sequence >= 0", name=op.f("ck_mailboxes_counts")),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_mailboxes_company_id_companies")),
        sa.PrimaryKeyConstraint("company_id", name=op.f("pk_mailboxes")),
    )
    op.create_table(
        "chain_links",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("sequence_number", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=True),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.Column("previous", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["mailboxes.company_id"], name=op.f("fk_chain_links_company_id_mailboxes")
        ),
        sa.PrimaryKeyConstraint("company_id", "sequence_number", name=op.f("pk_chain_links")),
    )
    op.create_table(
        "messages",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence_number", sa.BigInteger(), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("sender_name", sa.String(length=200), nullable=False),
        sa.Column("sender_authority", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("body_format", sa.String(length=10), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=True),
        sa.Column("regime", sa.String(length=12), nullable=True),
        sa.Column("land", sa.String(length=2), nullable=True),
        sa.Column("remedy_kind", sa.String(length=10), nullable=True),
        sa.Column("remedy_length", sa.SmallInteger(), nullable=True),
        sa.Column("remedy_unit", sa.String(length=5), nullable=True),
        sa.Column("remedy_instructed", sa.Boolean(), nullable=True),
        sa.Column("remedy_addressee", sa.String(length=500), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("announced_on", sa.Date(), nullable=True),
        sa.Column("remedy_ends_on", sa.Date(), nullable=True),
        sa.Column("rule_version", sa.String(length=40), nullable=True),
        sa.Column("first_retrieved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_retrieved_by", sa.Uuid(), nullable=True),
        sa.Column("is_unread", sa.Boolean(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(kind = 'decision') = (num_nonnulls(regime, land, remedy_kind, remedy_length, remedy_unit,"
            " remedy_instructed) = 6)"
            " AND (kind = 'decision' OR num_nonnulls(regime, land, remedy_kind, remedy_length, remedy_unit,"
            " remedy_instructed, remedy_addressee, announced_on, remedy_ends_on, rule_version) = 0)",
            name=op.f("ck_messages_decision"),
        ),
        sa.CheckConstraint("body_format IN ('text', 'markdown')", name=op.f("ck_messages_body_format")),
        sa.CheckConstraint("kind IN ('message', 'decision')", name=op.f("ck_messages_kind")),
        sa.CheckConstraint("regime IN ('ozg9', 'ao122a', 'vwvfg41_2a')", name=op.f("ck_messages_regime")),
        sa.CheckConstraint(
            "(first_retrieved_at IS NULL) = (first_retrieved_by IS NULL)", name=op.f("ck_messages_first_retrieved")
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["mailboxes.company_id"], name=op.f("fk_messages_company_id_mailboxes")
        ),
        sa.ForeignKeyConstraint(
            ["first_retrieved_by"], ["memberships.id"], name=op.f("fk_messages_first_retrieved_by_memberships")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_messages")),
        sa.UniqueConstraint("company_id", "sequence_number", name=op.f("uq_messages_company_id")),
    )
    op.create_index(
        "ix_messages_archive",
        "messages",
        ["company_id", "made_available_at", "id"],
        unique=False,
        postgresql_where=sa.text("archived_at IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_inbox",
        "messages",
        ["company_id", "made_available_at", "id"],
        unique=False,
        postgresql_where=sa.text("archived_at IS NULL"),
    )
    op.create_index("ix_messages_service", "messages", ["service", "id"], unique=False)
    op.create_table(
        "attachments",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=100), nullable=False),
        sa.CheckConstraint("size > 0", name=op.f("ck_attachments_size")),
        sa.ForeignKeyConstraint(
            ["company_id", "message_id"],
            ["messages.company_id", "messages.id"],
            name=op.f("fk_attachments_company_id_messages"),
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_attachments")),
        sa.UniqueConstraint("company_id", "message_id", "position", name=op.f("uq_attachments_company_id")),
    )
    op.create_index("ix_attachments_path", "attachments", ["path"], unique=False)
    op.create_table(
        "receipts",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=15), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('accepted', 'made_available', 'first_retrieved')", name=op.f("ck_receipts_kind")),
        sa.ForeignKeyConstraint(
            ["company_id", "message_id"],
            ["messages.company_id", "messages.id"],
            name=op.f("fk_receipts_company_id_messages"),
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_receipts")),
        sa.UniqueConstraint("company_id", "message_id", "kind", name=op.f("uq_receipts_company_id")),
    )
    op.execute(FACTS)


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_table("receipts")
    op.drop_table("chain_links")
    op.drop_table("attachments")
    op.drop_table("messages")
    op.drop_table("mailboxes")
    op.execute("DROP FUNCTION refuse_mailbox_change()")
