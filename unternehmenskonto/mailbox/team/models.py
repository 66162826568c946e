"""Tasks, comments and topics of a mailbox. Nothing here is part of what was delivered or of its legal state."""

import uuid
from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from unternehmenskonto.db import Base, new_id, now


class Topic(Base):
    """A part of the mailbox that only its members read ("Funktionspostfach"). Every other message is for everybody.

    A trigger keeps `unread_count` with the messages: whatever changes
    Message.is_unread, archived_at, binned_at or topic_id.
    Order of locks: message, topic, mailbox.
    """

    __tablename__ = "mailbox_topics"
    __table_args__ = (
        Index("uq_mailbox_topics_name", "company_id", func.lower(text("name")), unique=True,
              postgresql_where=text("ended_at IS NULL")),
        CheckConstraint("unread_archived >= 0 AND unread_count >= unread_archived", name="unread"),
    )  # fmt: skip

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(80))
    description: Mapped[str] = mapped_column(String(500), default="")
    #: Unread messages of the topic, archived ones included, as in Mailbox.unread_count (which counts all messages).
    unread_count: Mapped[int] = mapped_column(default=0)
    #: Those of them that lie in the archive; what lies in the bin is counted nowhere.
    unread_archived: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    #: An ended topic gets no more messages and is not shown; its row stays for the history.
    ended_at: Mapped[datetime | None]


class TopicMember(Base):
    """Who reads the messages of a topic; there is at least one living reader in each."""

    __tablename__ = "mailbox_topic_members"
    __table_args__ = (
        ForeignKeyConstraint(["company_id", "topic_id"], ["mailbox_topics.company_id", "mailbox_topics.id"]),
        # What may this person see: asked with every list and every message.
        Index("ix_mailbox_topic_members_membership", "company_id", "membership_id", "topic_id"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    topic_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    membership_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"), primary_key=True)
    added_at: Mapped[datetime] = mapped_column(default=now)
    added_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))


class TopicRule(Base):
    """Which new messages go to a topic: every condition that is not empty must hold; the first rule that fits wins."""

    __tablename__ = "mailbox_topic_rules"
    __table_args__ = (
        ForeignKeyConstraint(["company_id", "topic_id"], ["mailbox_topics.company_id", "mailbox_topics.id"]),
        Index("ix_mailbox_topic_rules_order", "company_id", "position"),
        CheckConstraint("authority <> '' OR service <> '' OR leika <> '' OR words <> ''", name="conditions"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    topic_id: Mapped[uuid.UUID]
    #: Smaller comes first; gaps are no matter.
    position: Mapped[int]
    #: Part of the authority's name, whatever the case.
    authority: Mapped[str] = mapped_column(String(200), default="")
    #: Slug of the sending OnlineService.
    service: Mapped[str] = mapped_column(String(63), default="")
    #: LeiKa key that the sending service offers.
    leika: Mapped[str] = mapped_column(String(14), default="")
    #: All of these words stand in the subject, also as parts of longer words.
    words: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)


class TopicRun(Base):
    """One explicit act that moves many messages; its moves are the TaskEvents with its id, so it can be undone."""

    __tablename__ = "mailbox_topic_runs"
    __table_args__ = (
        ForeignKeyConstraint(["company_id", "topic_id"], ["mailbox_topics.company_id", "mailbox_topics.id"]),
        Index("ix_mailbox_topic_runs_company", "company_id", "id"),
        CheckConstraint("kind IN ('rule', 'end')", name="kind"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    #: rule: messages of no topic that the rule fits go into the topic; end: all messages leave the topic
    kind: Mapped[str] = mapped_column(String(4))
    topic_id: Mapped[uuid.UUID]
    rule_id: Mapped[uuid.UUID | None]
    started_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    #: Sequence numbers up to here are to be looked at, and up to where they were.
    last_sequence: Mapped[int] = mapped_column(BigInteger)
    done_sequence: Mapped[int] = mapped_column(BigInteger, default=0)
    moved_count: Mapped[int] = mapped_column(default=0)
    finished_at: Mapped[datetime | None]
    #: From here on the moves are taken back.
    undone_at: Mapped[datetime | None]
    returned_count: Mapped[int] = mapped_column(default=0)
    #: The last of its moves that was looked at on the way back.
    returned_event_id: Mapped[uuid.UUID | None]
    returned_at: Mapped[datetime | None]


class Task(Base):
    """What a company does about a message; made with the first act. The message itself stays untouched."""

    __tablename__ = "mailbox_tasks"
    __table_args__ = (
        ForeignKeyConstraint(["company_id", "message_id"], ["messages.company_id", "messages.id"], ondelete="CASCADE"),
        # Open tasks of one person (or of nobody), the soonest first.
        Index("ix_mailbox_tasks_open", "company_id", "assignee_id", "sort_on", "message_id",
              postgresql_where=text("closed_at IS NULL AND is_listed")),
        Index("ix_mailbox_tasks_closed", "company_id", "closed_at", "message_id",
              postgresql_where=text("closed_at IS NOT NULL")),
        CheckConstraint("(done_at IS NULL) = (done_by IS NULL)", name="done"),
        CheckConstraint("(confirmed_at IS NULL) = (confirmed_by IS NULL)", name="confirmed"),
        CheckConstraint("closed_at IS NULL OR done_at IS NOT NULL", name="closed"),
    )  # fmt: skip

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    message_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    assignee_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("memberships.id"))
    #: Internal; has nothing to do with a legal period.
    due_on: Mapped[date | None]
    sort_on: Mapped[date] = mapped_column(Date, Computed("COALESCE(due_on, '9999-12-31'::date)", persisted=True))
    #: False where only a comment or a move made the row, or the message was taken off the tasks.
    is_listed: Mapped[bool] = mapped_column(default=False)
    done_at: Mapped[datetime | None]
    done_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("memberships.id"))
    #: By the setting of the company on the day of done_at.
    needs_second: Mapped[bool] = mapped_column(default=False)
    confirmed_at: Mapped[datetime | None]
    confirmed_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("memberships.id"))
    #: When "done" became effective: at done_at, or with the second person at confirmed_at.
    closed_at: Mapped[datetime | None]
    #: Comments that are not deleted.
    comment_count: Mapped[int] = mapped_column(default=0)
    #: The newest TaskEvent; only that one can be undone.
    last_event_id: Mapped[uuid.UUID | None]


class TaskEvent(Base):
    """One step in the visible history of a message: who, when, what, and what stood there before."""

    __tablename__ = "mailbox_task_events"
    __table_args__ = (
        ForeignKeyConstraint(["company_id", "message_id"], ["messages.company_id", "messages.id"], ondelete="CASCADE"),
        Index("ix_mailbox_task_events_message", "company_id", "message_id", "id"),
        Index("ix_mailbox_task_events_run", "company_id", "run_id", "id", postgresql_where=text("run_id IS NOT NULL")),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    message_id: Mapped[uuid.UUID]
    at: Mapped[datetime] = mapped_column(default=now)
    by: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))
    #: changed, withdrawn, done, confirmed, reopened, moved or undone
    kind: Mapped[str] = mapped_column(String(10))
    #: Assignee and internal due date after and before this step.
    assignee_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("memberships.id"))
    due_on: Mapped[date | None]
    topic_id: Mapped[uuid.UUID | None]
    assignee_before: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("memberships.id"))
    due_before: Mapped[date | None]
    topic_before: Mapped[uuid.UUID | None]
    #: The rest of the state before this step; what undo brings back.
    listed_before: Mapped[bool] = mapped_column(default=False)
    done_at_before: Mapped[datetime | None]
    done_by_before: Mapped[uuid.UUID | None]
    needs_second_before: Mapped[bool] = mapped_column(default=False)
    confirmed_at_before: Mapped[datetime | None]
    confirmed_by_before: Mapped[uuid.UUID | None]
    run_id: Mapped[uuid.UUID | None]


class Comment(Base):
    """An internal note; no authority ever sees it."""

    __tablename__ = "mailbox_comments"
    __table_args__ = (
        ForeignKeyConstraint(["company_id", "message_id"], ["messages.company_id", "messages.id"], ondelete="CASCADE"),
        Index("ix_mailbox_comments_message", "company_id", "message_id", "id"),
        CheckConstraint("deleted_at IS NULL OR text = ''", name="deleted"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    message_id: Mapped[uuid.UUID]
    author_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))
    text: Mapped[str] = mapped_column(String(2000))
    created_at: Mapped[datetime] = mapped_column(default=now)
    edited_at: Mapped[datetime | None]
    #: The text is gone then; that there was a comment, by whom and when, stays.
    deleted_at: Mapped[datetime | None]
