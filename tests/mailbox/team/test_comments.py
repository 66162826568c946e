"""Comments: what is kept, who may change what and for how long."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from tests.mailbox.team.team_data import acting
from tests.mailbox.team.test_tasks import Office, office, task
from unternehmenskonto.errors import NotFound
from unternehmenskonto.mailbox.team import comments, sheet

__all__ = ["office"]
START = datetime(2026, 11, 2, 9, tzinfo=UTC)


@given(st.text(max_size=2 * comments.MAXIMUM_LENGTH))
def test_what_is_kept_is_clean_and_not_too_long(text: str) -> None:
    try:
        kept = comments.checked(text)
    except (comments.EmptyComment, comments.CommentTooLong):
        return
    assert 0 < len(kept) <= comments.MAXIMUM_LENGTH
    assert kept == kept.strip() and "\r" not in kept and "\x00" not in kept
    assert comments.checked(kept) == kept


@pytest.mark.parametrize("text", ["", "  \r\n ", "\x00\x07"])
def test_an_empty_comment_is_refused(office: Office, text: str) -> None:
    with pytest.raises(comments.EmptyComment):
        comments.write(actor=office.actor, message_id=office.id, text=text)


def test_the_longest_comment_fits(office: Office) -> None:
    with pytest.raises(comments.CommentTooLong):
        comments.write(actor=office.actor, message_id=office.id, text="ä" * (comments.MAXIMUM_LENGTH + 1))
    comments.write(actor=office.actor, message_id=office.id, text="ä" * comments.MAXIMUM_LENGTH)
    assert task(office).comment_count == 1


def test_only_the_author_changes_and_only_for_ten_minutes(office: Office) -> None:
    with time_machine.travel(START, tick=False):
        note = comments.write(actor=office.actor, message_id=office.id, text="Erst so")
        with pytest.raises(NotFound):
            comments.edit(actor=acting(office.otto), message_id=office.id, comment_id=note.id, text="Nein")
        with pytest.raises(NotFound):
            comments.delete(actor=acting(office.otto), message_id=office.id, comment_id=note.id)
    with time_machine.travel(START + comments.EDIT_FOR - timedelta(seconds=1), tick=False):
        comments.edit(actor=office.actor, message_id=office.id, comment_id=note.id, text="Dann so")
        assert (note.text, note.edited_at is not None) == ("Dann so", True)
    with time_machine.travel(START + comments.EDIT_FOR, tick=False):
        with pytest.raises(comments.TooLate):
            comments.edit(actor=office.actor, message_id=office.id, comment_id=note.id, text="Zu spät")
        shown = sheet.sheet_of(actor=office.actor, message_id=office.id).notes
        assert [(one.is_own, one.may_edit) for one in shown] == [(True, False)]


def test_deleting_leaves_a_trace_without_the_words(office: Office) -> None:
    note = comments.write(actor=office.actor, message_id=office.id, text="Geheim")
    comments.delete(actor=office.actor, message_id=office.id, comment_id=note.id)
    with pytest.raises(NotFound):
        comments.delete(actor=office.actor, message_id=office.id, comment_id=note.id)
    (shown,) = sheet.sheet_of(actor=acting(office.otto), message_id=office.id).notes
    assert (shown.comment.text, shown.is_own, shown.author) == ("", False, office.erika.person.name)
    assert task(office).comment_count == 0


def test_a_message_has_a_most_of_comments(office: Office) -> None:
    comments.write(actor=office.actor, message_id=office.id, text="Einer")
    task(office).comment_count = comments.MAXIMUM_COMMENTS
    with pytest.raises(comments.TooManyComments):
        comments.write(actor=office.actor, message_id=office.id, text="Noch einer")
