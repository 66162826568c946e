"""search"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# A word of one segment of one mailbox as a number, so that one index serves all mailboxes and no search ever reads
# what belongs to another. Costly in the planner's eyes: it is computed for the index, not for each row of a search.
TOKENS = """
CREATE FUNCTION search_tokens(company uuid, segment integer, words text[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT COST 5000 AS $$
    SELECT coalesce(array_agg(hashtextextended(word, hashtextextended(company::text, segment))), '{}')
    FROM unnest(words) AS word
$$;
"""

# The words of one segment that a term is part of, as tokens of the documents that have them, and those of words
# that are known already (stems). Too many of them: the token that every document has.
KEYS = """
CREATE FUNCTION search_keys(
    company uuid, part_of integer, part text, pattern text, known text[], maximum integer,
    OUT tokens bigint[], OUT is_all boolean
) LANGUAGE plpgsql STABLE AS $$
DECLARE found text[];
BEGIN
    IF part <> '' THEN
        SELECT array_agg(word) INTO found FROM (
            SELECT candidate.word FROM (
                -- Fenced off, so that only the index can answer it.
                SELECT * FROM search_words AS known_word
                WHERE search_tokens(known_word.company_id, known_word.segment, trigrams(known_word.word))
                    @> search_tokens(company, part_of, trigrams(part)) OFFSET 0
            ) AS candidate
            WHERE candidate.company_id = company AND candidate.segment = part_of
            AND candidate.word LIKE pattern LIMIT maximum + 1
        ) AS words;
    END IF;
    is_all := coalesce(cardinality(found), 0) <= maximum;
    tokens := search_tokens(company, part_of, CASE WHEN is_all THEN coalesce(found, '{}') || known ELSE '{=}' END);
    -- Nothing but stems, and no message has them: the other terms need not be looked for.
    IF found IS NULL AND NOT EXISTS (
        SELECT FROM search_documents AS document
        WHERE search_tokens(document.company_id, document.segment, string_to_array(document.words, ' '::text)) && tokens
    ) THEN
        tokens := '{}';
    END IF;
END $$;
"""


def upgrade() -> None:
    op.execute(TOKENS)
    op.create_table(
        "search_segments",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("segment", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("files_waiting", sa.Integer(), nullable=False),
        sa.Column("files_silent", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["mailboxes.company_id"], name=op.f("fk_search_segments_company_id_mailboxes")
        ),
        sa.PrimaryKeyConstraint("company_id", "segment", name=op.f("pk_search_segments")),
    )
    op.create_table(
        "search_documents",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("sequence_number", sa.BigInteger(), nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "sequence_number"],
            ["messages.company_id", "messages.sequence_number"],
            name="fk_search_documents_messages",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("company_id", "sequence_number", name=op.f("pk_search_documents")),
    )
    op.create_index(
        "ix_search_documents_tokens",
        "search_documents",
        [sa.literal_column("search_tokens(company_id, segment, string_to_array(words, ' '::text))")],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    op.create_table(
        "search_words",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("segment", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("company_id", "segment", "word", name=op.f("pk_search_words")),
    )
    op.create_index(
        "ix_search_words_trigrams",
        "search_words",
        [sa.literal_column("search_tokens(company_id, segment, trigrams(word))")],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    op.create_table(
        "search_senders",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("authority", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["mailboxes.company_id"], name=op.f("fk_search_senders_company_id_mailboxes")
        ),
        sa.PrimaryKeyConstraint("company_id", "service", "authority", "name", name=op.f("pk_search_senders")),
    )
    op.create_table(
        "search_backlog",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("next_sequence", sa.BigInteger(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["mailboxes.company_id"], name=op.f("fk_search_backlog_company_id_mailboxes")
        ),
        sa.PrimaryKeyConstraint("company_id", name=op.f("pk_search_backlog")),
    )
    op.create_table(
        "attachment_texts",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("attachment_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=6), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('read', 'partly', 'silent')", name=op.f("ck_attachment_texts_state")),
        sa.ForeignKeyConstraint(
            ["company_id", "attachment_id"],
            ["attachments.company_id", "attachments.id"],
            name="fk_attachment_texts_attachments",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("company_id", "attachment_id", name=op.f("pk_attachment_texts")),
    )
    op.create_table(
        "saved_searches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("membership_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("fields", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_saved_searches_company_id_companies")),
        sa.ForeignKeyConstraint(
            ["membership_id"], ["memberships.id"], name=op.f("fk_saved_searches_membership_id_memberships")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_searches")),
    )
    op.create_index(
        "uq_saved_searches_name", "saved_searches", ["membership_id", "name"], unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.execute(KEYS)
    op.create_table(
        "mailbox_exports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("membership_id", sa.Uuid(), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("written", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Integer(), nullable=False),
        sa.Column("damaged", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(length=100), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'cancelled', 'removed')",
            name=op.f("ck_mailbox_exports_state"),
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_mailbox_exports_company_id_companies")),
        sa.ForeignKeyConstraint(
            ["membership_id"], ["memberships.id"], name=op.f("fk_mailbox_exports_membership_id_memberships")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox_exports")),
    )
    op.create_index("ix_mailbox_exports_membership", "mailbox_exports", ["membership_id", "created_at"])
    op.create_index("ix_mailbox_exports_path", "mailbox_exports", ["path"])
    op.create_index(
        "uq_mailbox_exports_open", "mailbox_exports", ["company_id"], unique=True,
        postgresql_where=sa.text("state IN ('waiting', 'running')"),
    )
    # What is rare in a mailbox is found without reading the rest: unread messages, those of one service.
    op.create_index(
        "ix_messages_unread", "messages", ["company_id", "sequence_number"], postgresql_where=sa.text("is_unread")
    )
    op.create_index("ix_messages_sender", "messages", ["company_id", "service", "sequence_number"])
    # Mailboxes that were filled before there was a search; a job puts them into the index.
    op.execute(
        "INSERT INTO search_backlog (company_id, next_sequence, last_sequence)"
        " SELECT company_id, 1, last_sequence FROM mailboxes WHERE last_sequence > 0"
    )


def downgrade() -> None:
    op.drop_index("ix_messages_sender", table_name="messages")
    op.drop_index("ix_messages_unread", table_name="messages")
    for table in (
        "mailbox_exports",
        "saved_searches", "attachment_texts", "search_backlog", "search_senders", "search_words", "search_documents",
        "search_segments",
    ):
        op.drop_table(table)
    op.execute("DROP FUNCTION search_keys(uuid, integer, text, text, text[], integer)")
    op.execute("DROP FUNCTION search_tokens(uuid, integer, text[])")
