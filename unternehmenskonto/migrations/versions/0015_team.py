"""team"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

OLD_KINDS = (
    "kind IN ('message', 'decision', 'decision_by_retrieval', 'deadline_reminder', 'deadline_cover', 'no_reader')"
)
NEW_KINDS = OLD_KINDS.replace(")", ", 'task')")

#: Keeps the unread messages of each topic with the messages, whoever changes them and however many at once.
UNREAD = """
CREATE FUNCTION count_unread_of_topics() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        IF OLD.topic_id IS NOT NULL AND OLD.is_unread AND OLD.binned_at IS NULL THEN
            UPDATE mailbox_topics SET unread_count = unread_count - 1,
                unread_archived = unread_archived - (OLD.archived_at IS NOT NULL)::int
            WHERE company_id = OLD.company_id AND id = OLD.topic_id;
        END IF;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        IF NEW.topic_id IS NOT NULL AND NEW.is_unread AND NEW.binned_at IS NULL THEN
            UPDATE mailbox_topics SET unread_count = unread_count + 1,
                unread_archived = unread_archived + (NEW.archived_at IS NOT NULL)::int
            WHERE company_id = NEW.company_id AND id = NEW.topic_id;
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER messages_count_new AFTER INSERT ON messages
    FOR EACH ROW WHEN (NEW.topic_id IS NOT NULL) EXECUTE FUNCTION count_unread_of_topics();
CREATE TRIGGER messages_count_changed AFTER UPDATE OF is_unread, topic_id, archived_at, binned_at ON messages
    FOR EACH ROW WHEN (
        (OLD.topic_id IS NOT NULL OR NEW.topic_id IS NOT NULL)
        AND (OLD.topic_id IS DISTINCT FROM NEW.topic_id OR OLD.is_unread <> NEW.is_unread
            OR (OLD.archived_at IS NULL) <> (NEW.archived_at IS NULL)
            OR (OLD.binned_at IS NULL) <> (NEW.binned_at IS NULL))
    ) EXECUTE FUNCTION count_unread_of_topics();
CREATE TRIGGER messages_count_erased AFTER DELETE ON messages
    FOR EACH ROW WHEN (OLD.topic_id IS NOT NULL) EXECUTE FUNCTION count_unread_of_topics();
"""
NO_UNREAD = """
DROP TRIGGER messages_count_new ON messages;
DROP TRIGGER messages_count_changed ON messages;
DROP TRIGGER messages_count_erased ON messages;
DROP FUNCTION count_unread_of_topics();
"""
#: The list of each folder; it is read topic by topic.
FOLDERS = {
    "inbox": "archived_at IS NULL AND binned_at IS NULL",
    "archive": "archived_at IS NOT NULL AND binned_at IS NULL",
    "bin": "binned_at IS NOT NULL",
}


def upgrade() -> None:
    op.create_table(
        "mailbox_topics",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("unread_count", sa.Integer(), nullable=False),
        sa.Column("unread_archived", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "unread_archived >= 0 AND unread_count >= unread_archived", name=op.f("ck_mailbox_topics_unread")
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_mailbox_topics_company_id_companies")),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_mailbox_topics")),
    )
    op.create_index(
        "uq_mailbox_topics_name",
        "mailbox_topics",
        ["company_id", sa.literal_column("lower(name)")],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "mailbox_topic_members",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("topic_id", sa.Uuid(), nullable=False),
        sa.Column("membership_id", sa.Uuid(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["added_by"], ["memberships.id"], name=op.f("fk_mailbox_topic_members_added_by_memberships")
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "topic_id"],
            ["mailbox_topics.company_id", "mailbox_topics.id"],
            name=op.f("fk_mailbox_topic_members_company_id_mailbox_topics"),
        ),
        sa.ForeignKeyConstraint(
            ["membership_id"], ["memberships.id"], name=op.f("fk_mailbox_topic_members_membership_id_memberships")
        ),
        sa.PrimaryKeyConstraint("company_id", "topic_id", "membership_id", name=op.f("pk_mailbox_topic_members")),
    )
    op.create_index(
        "ix_mailbox_topic_members_membership",
        "mailbox_topic_members",
        ["company_id", "membership_id", "topic_id"],
        unique=False,
    )
    op.create_table(
        "mailbox_topic_rules",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("topic_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("authority", sa.String(length=200), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("leika", sa.String(length=14), nullable=False),
        sa.Column("words", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "authority <> '' OR service <> '' OR leika <> '' OR words <> ''",
            name=op.f("ck_mailbox_topic_rules_conditions"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "topic_id"],
            ["mailbox_topics.company_id", "mailbox_topics.id"],
            name=op.f("fk_mailbox_topic_rules_company_id_mailbox_topics"),
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_mailbox_topic_rules")),
    )
    op.create_index("ix_mailbox_topic_rules_order", "mailbox_topic_rules", ["company_id", "position"], unique=False)
    op.create_table(
        "mailbox_topic_runs",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("topic_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=True),
        sa.Column("started_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("done_sequence", sa.BigInteger(), nullable=False),
        sa.Column("moved_count", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("returned_count", sa.Integer(), nullable=False),
        sa.Column("returned_event_id", sa.Uuid(), nullable=True),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('rule', 'end')", name=op.f("ck_mailbox_topic_runs_kind")),
        sa.ForeignKeyConstraint(
            ["company_id", "topic_id"],
            ["mailbox_topics.company_id", "mailbox_topics.id"],
            name=op.f("fk_mailbox_topic_runs_company_id_mailbox_topics"),
        ),
        sa.ForeignKeyConstraint(
            ["started_by"], ["memberships.id"], name=op.f("fk_mailbox_topic_runs_started_by_memberships")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_mailbox_topic_runs")),
    )
    op.create_index("ix_mailbox_topic_runs_company", "mailbox_topic_runs", ["company_id", "id"], unique=False)
    op.create_table(
        "mailbox_comments",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.String(length=2000), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("deleted_at IS NULL OR text = ''", name=op.f("ck_mailbox_comments_deleted")),
        sa.ForeignKeyConstraint(
            ["author_id"], ["memberships.id"], name=op.f("fk_mailbox_comments_author_id_memberships")
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "message_id"],
            ["messages.company_id", "messages.id"],
            name=op.f("fk_mailbox_comments_company_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_mailbox_comments")),
    )
    op.create_index("ix_mailbox_comments_message", "mailbox_comments", ["company_id", "message_id", "id"], unique=False)
    op.create_table(
        "mailbox_task_events",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("assignee_id", sa.Uuid(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("topic_id", sa.Uuid(), nullable=True),
        sa.Column("assignee_before", sa.Uuid(), nullable=True),
        sa.Column("due_before", sa.Date(), nullable=True),
        sa.Column("topic_before", sa.Uuid(), nullable=True),
        sa.Column("listed_before", sa.Boolean(), nullable=False),
        sa.Column("done_at_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_by_before", sa.Uuid(), nullable=True),
        sa.Column("needs_second_before", sa.Boolean(), nullable=False),
        sa.Column("confirmed_at_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_by_before", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["assignee_before"], ["memberships.id"], name=op.f("fk_mailbox_task_events_assignee_before_memberships")
        ),
        sa.ForeignKeyConstraint(
            ["assignee_id"], ["memberships.id"], name=op.f("fk_mailbox_task_events_assignee_id_memberships")
        ),
        sa.ForeignKeyConstraint(["by"], ["memberships.id"], name=op.f("fk_mailbox_task_events_by_memberships")),
        sa.ForeignKeyConstraint(
            ["company_id", "message_id"],
            ["messages.company_id", "messages.id"],
            name=op.f("fk_mailbox_task_events_company_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_mailbox_task_events")),
    )
    op.create_index(
        "ix_mailbox_task_events_message", "mailbox_task_events", ["company_id", "message_id", "id"], unique=False
    )
    op.create_index(
        "ix_mailbox_task_events_run",
        "mailbox_task_events",
        ["company_id", "run_id", "id"],
        unique=False,
        postgresql_where=sa.text("run_id IS NOT NULL"),
    )
    op.create_table(
        "mailbox_tasks",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("assignee_id", sa.Uuid(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column(
            "sort_on", sa.Date(), sa.Computed("COALESCE(due_on, '9999-12-31'::date)", persisted=True), nullable=False
        ),
        sa.Column("is_listed", sa.Boolean(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_by", sa.Uuid(), nullable=True),
        sa.Column("needs_second", sa.Boolean(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("comment_count", sa.Integer(), nullable=False),
        sa.Column("last_event_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("(confirmed_at IS NULL) = (confirmed_by IS NULL)", name=op.f("ck_mailbox_tasks_confirmed")),
        sa.CheckConstraint("(done_at IS NULL) = (done_by IS NULL)", name=op.f("ck_mailbox_tasks_done")),
        sa.CheckConstraint("closed_at IS NULL OR done_at IS NOT NULL", name=op.f("ck_mailbox_tasks_closed")),
        sa.ForeignKeyConstraint(
            ["assignee_id"], ["memberships.id"], name=op.f("fk_mailbox_tasks_assignee_id_memberships")
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "message_id"],
            ["messages.company_id", "messages.id"],
            name=op.f("fk_mailbox_tasks_company_id_messages"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["confirmed_by"], ["memberships.id"], name=op.f("fk_mailbox_tasks_confirmed_by_memberships")
        ),
        sa.ForeignKeyConstraint(["done_by"], ["memberships.id"], name=op.f("fk_mailbox_tasks_done_by_memberships")),
        sa.PrimaryKeyConstraint("company_id", "message_id", name=op.f("pk_mailbox_tasks")),
    )
    op.create_index(
        "ix_mailbox_tasks_closed",
        "mailbox_tasks",
        ["company_id", "closed_at", "message_id"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_mailbox_tasks_open",
        "mailbox_tasks",
        ["company_id", "assignee_id", "sort_on", "message_id"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL AND is_listed"),
    )
    op.create_index(
        "ix_audit_events_seen",
        "audit_events",
        ["company_id", sa.literal_column("(fields ->> 'message_id')"), "id"],
        unique=False,
        postgresql_where=sa.text("event IN ('message.opened', 'message.first_retrieved', 'attachment.downloaded')"),
    )
    op.add_column(
        "mailboxes", sa.Column("has_four_eyes", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("messages", sa.Column("topic_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_messages_topic",
        "messages",
        ["company_id", "topic_id", "made_available_at", "id"],
        unique=False,
        postgresql_where=sa.text("topic_id IS NOT NULL"),
    )
    op.create_foreign_key(
        op.f("fk_messages_company_id_mailbox_topics"),
        "messages",
        "mailbox_topics",
        ["company_id", "topic_id"],
        ["company_id", "id"],
    )
    for name, condition in FOLDERS.items():
        op.create_index(
            f"ix_messages_{name}",
            "messages",
            ["company_id", "topic_id", "made_available_at", "id"],
            postgresql_where=sa.text(condition),
        )
    op.execute(UNREAD)
    op.drop_constraint(op.f("ck_notices_kind"), "notices")
    op.create_check_constraint(op.f("ck_notices_kind"), "notices", NEW_KINDS)


def downgrade() -> None:
    op.execute("DELETE FROM notices WHERE kind = 'task'")
    op.drop_constraint(op.f("ck_notices_kind"), "notices")
    op.create_check_constraint(op.f("ck_notices_kind"), "notices", OLD_KINDS)
    op.execute(NO_UNREAD)
    for name in FOLDERS:
        op.drop_index(f"ix_messages_{name}", table_name="messages")
    op.drop_constraint(op.f("fk_messages_company_id_mailbox_topics"), "messages", type_="foreignkey")
    op.drop_index("ix_messages_topic", table_name="messages")
    op.drop_column("messages", "topic_id")
    op.drop_column("mailboxes", "has_four_eyes")
    op.drop_index("ix_audit_events_seen", table_name="audit_events")
    op.drop_table("mailbox_comments")
    op.drop_table("mailbox_task_events")
    op.drop_table("mailbox_tasks")
    op.drop_table("mailbox_topic_runs")
    op.drop_table("mailbox_topic_rules")
    op.drop_table("mailbox_topic_members")
    op.drop_table("mailbox_topics")
