"""Internal comments on a message; no authority ever sees them, and writing one opens nothing."""

import uuid
from collections.abc import Sequence
from datetime import timedelta

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from unternehmenskonto import audit
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import Conflict, InvalidInput, NotFound
from unternehmenskonto.mailbox.team.models import Comment
from unternehmenskonto.mailbox.team.tasks import locked
from unternehmenskonto.permissions import Actor

MAXIMUM_LENGTH = 2000
#: A message with more comments than this is a case for the telephone; the page shows the newest.
MAXIMUM_COMMENTS = 500
SHOWN = 100
EDIT_FOR = timedelta(minutes=10)


class EmptyComment(InvalidInput):
    """There is nothing to keep."""

    code = "comment_empty"
    sentence = _l("Schreiben Sie einen Kommentar.")


class CommentTooLong(InvalidInput):
    """The text is longer than MAXIMUM_LENGTH."""

    code = "comment_too_long"
    sentence = _l("Der Kommentar ist zu lang. Kürzen Sie ihn auf 2000 Zeichen.")


class TooManyComments(Conflict):
    """The message has MAXIMUM_COMMENTS already."""

    code = "too_many_comments"
    sentence = _l("Zu dieser Nachricht gibt es schon 500 Kommentare. Löschen Sie eigene, die niemand mehr braucht.")


class TooLate(Conflict):
    """Others have read it; from now on a comment is only added or deleted."""

    code = "comment_too_old"
    sentence = _l("Ein Kommentar lässt sich nur zehn Minuten lang ändern. Schreiben Sie einen neuen dazu.")


def write(*, actor: Actor, message_id: uuid.UUID, text: str) -> Comment:
    """Add a comment; raise NotFound, EmptyComment, CommentTooLong or TooManyComments."""
    wanted = checked(text)
    _, task = locked(actor, message_id)
    if task.comment_count >= MAXIMUM_COMMENTS:
        raise TooManyComments
    comment = Comment(
        company_id=actor.company_id, message_id=message_id, author_id=actor.membership_id, text=wanted, created_at=now()
    )
    db.session.add(comment)
    task.comment_count += 1
    db.session.flush()
    _audit("comment.written", actor, comment)
    return comment


def edit(*, actor: Actor, message_id: uuid.UUID, comment_id: uuid.UUID, text: str) -> None:
    """Change one's own comment within EDIT_FOR; raise NotFound, TooLate, EmptyComment or CommentTooLong."""
    wanted = checked(text)
    locked(actor, message_id)
    comment = own(actor, message_id, comment_id)
    if not may_edit(comment):
        raise TooLate
    if comment.text != wanted:
        comment.text, comment.edited_at = wanted, now()
        _audit("comment.changed", actor, comment)


def delete(*, actor: Actor, message_id: uuid.UUID, comment_id: uuid.UUID) -> None:
    """Delete the text of one's own comment; author and time stay as a trace. Raises NotFound."""
    _, task = locked(actor, message_id)
    comment = own(actor, message_id, comment_id)
    comment.text, comment.deleted_at = "", now()
    task.comment_count -= 1
    _audit("comment.deleted", actor, comment)


def comments_of(*, company_id: uuid.UUID, message_id: uuid.UUID) -> Sequence[Comment]:
    """Return the newest SHOWN comments, oldest of them first, deleted ones as traces; the caller checked the sight."""
    query = select(Comment).where(Comment.company_id == company_id, Comment.message_id == message_id)
    return db.session.scalars(query.order_by(Comment.id.desc()).limit(SHOWN)).all()[::-1]


def own(actor: Actor, message_id: uuid.UUID, comment_id: uuid.UUID) -> Comment:
    """Return a living comment that the person wrote on this message; raise NotFound for any other."""
    query = select(Comment).filter_by(company_id=actor.company_id, id=comment_id, message_id=message_id)
    found = db.session.scalar(query.execution_options(populate_existing=True))
    if found is None or found.deleted_at is not None or found.author_id != actor.membership_id:
        raise NotFound
    return found


def may_edit(comment: Comment) -> bool:
    """Tell whether the comment is young enough to be changed."""
    return comment.deleted_at is None and comment.created_at > now() - EDIT_FOR


def checked(text: str) -> str:
    """Return the text as it is kept: line ends as \\n, no control characters, nothing around it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    plain = "".join(one for one in lines if one in "\n\t" or (ord(one) >= 32 and one != "\x7f")).strip()
    if not plain:
        raise EmptyComment
    if len(plain) > MAXIMUM_LENGTH:
        raise CommentTooLong
    return plain


def _audit(event: str, actor: Actor, comment: Comment) -> None:
    audit.record(
        event,
        by=f"person:{actor.person_id}",
        company_id=actor.company_id,
        message_id=comment.message_id,
        comment_id=comment.id,
    )
    db.session.flush()
