"""Put the words of messages and of their files into the index."""

import uuid
from collections.abc import Iterable, Sequence

from sqlalchemy import String, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from unternehmenskonto.db import db
from unternehmenskonto.jobs import defer
from unternehmenskonto.mailbox import markup
from unternehmenskonto.mailbox.models import Attachment, Message
from unternehmenskonto.mailbox.search.models import (
    SEGMENT_BITS,
    AttachmentText,
    SearchDocument,
    SearchSegment,
)
from unternehmenskonto.mailbox.search.words import EVERY_DOCUMENT, Words, words_of

PDF = "application/pdf"

_WORDS = bindparam("folded", type_=ARRAY(String))
_LETTERS = bindparam("letters", type_=ARRAY(String))
#: One round trip: the lock on the mailbox is held meanwhile. Sorted words, so that two writers never wait crosswise.
_ADD = text(
    """
WITH stems AS (
    SELECT DISTINCT '=' || stem AS stem FROM unnest(:letters) AS word, unnest(ts_lexize('german_stem', word)) AS stem
), document AS (
    INSERT INTO search_documents (company_id, sequence_number, segment, words)
    SELECT :company, :sequence, :segment,
        ' ' || :every || ' ' || array_to_string(:folded, ' ') || coalesce(' ' || string_agg(stem, ' '), '') || ' '
    FROM stems
), vocabulary AS (
    INSERT INTO search_words (company_id, segment, word)
    SELECT :company, :segment, word FROM unnest(:folded) AS word ON CONFLICT DO NOTHING
), sender AS (
    INSERT INTO search_senders (company_id, service, authority, name)
    VALUES (:company, :service, :authority, :name) ON CONFLICT DO NOTHING
)
INSERT INTO search_segments AS known (company_id, segment, messages, files_waiting, files_silent, first_at, last_at)
VALUES (:company, :segment, 1, :files, 0, :at, :at)
ON CONFLICT (company_id, segment) DO UPDATE SET
    messages = known.messages + 1,
    files_waiting = known.files_waiting + excluded.files_waiting,
    first_at = least(known.first_at, excluded.first_at),
    last_at = greatest(known.last_at, excluded.last_at)
"""
).bindparams(_WORDS, _LETTERS)
_EXTEND = text(
    """
WITH stems AS (
    SELECT DISTINCT '=' || stem AS stem FROM unnest(:letters) AS word, unnest(ts_lexize('german_stem', word)) AS stem
), vocabulary AS (
    INSERT INTO search_words (company_id, segment, word)
    SELECT :company, :segment, word FROM unnest(:folded) AS word ON CONFLICT DO NOTHING
)
UPDATE search_documents SET words = (
    SELECT ' ' || string_agg(DISTINCT word, ' ') || ' '
    FROM (
        SELECT word FROM unnest(string_to_array(btrim(words), ' ')) AS word
        UNION SELECT word FROM unnest(:folded) AS word UNION SELECT stem FROM stems
    ) AS every
)
WHERE company_id = :company AND sequence_number = :sequence
"""
).bindparams(_WORDS, _LETTERS)

_FORGET = text(
    """
UPDATE search_segments AS known SET messages = known.messages - gone.messages,
    files_waiting = known.files_waiting - gone.waiting, files_silent = known.files_silent - gone.silent
FROM (
    SELECT document.segment, count(DISTINCT document.sequence_number) AS messages,
        count(file.id) FILTER (WHERE found.state IS NULL) AS waiting,
        count(file.id) FILTER (WHERE found.state = 'silent') AS silent
    FROM search_documents AS document
    JOIN messages AS message USING (company_id, sequence_number)
    LEFT JOIN attachments AS file
        ON file.company_id = message.company_id AND file.message_id = message.id AND file.media_type = :pdf
    LEFT JOIN attachment_texts AS found ON found.company_id = file.company_id AND found.attachment_id = file.id
    WHERE document.company_id = :company AND document.sequence_number = ANY(:numbers)
    GROUP BY document.segment
) AS gone
WHERE known.company_id = :company AND known.segment = gone.segment
"""
)


_FORGET_WORDS = text(
    """
DELETE FROM search_words WHERE company_id = :company AND segment = :segment AND word NOT IN (
    SELECT DISTINCT word FROM search_documents, unnest(string_to_array(btrim(words), ' ')) AS word
    WHERE company_id = :company AND segment = :segment
        AND sequence_number BETWEEN :first AND :last
)
"""
)


def add(message: Message, attachments: Sequence[Attachment]) -> None:
    """Make a delivered message findable, in the delivery's transaction; its PDF files are read by jobs later."""
    files = [one for one in attachments if one.media_type == PDF]
    db.session.flush()
    db.session.execute(
        _ADD,
        {
            **_parameters(words_of(texts(message, attachments))),
            **_place(message.company_id, message.sequence_number),
            "every": EVERY_DOCUMENT,
            "service": message.service,
            "authority": message.sender_authority,
            "name": message.sender_name,
            "files": len(files),
            "at": message.made_available_at,
        },
    )
    for one in files:
        defer("search.read_file", company_id=str(one.company_id), attachment_id=str(one.id))


def texts(message: Message, attachments: Iterable[Attachment]) -> list[str]:
    """Return everything a message is found by, the text both as written and as shown."""
    shown = markup.plain(message.body) if message.body_format == "markdown" else ""
    return [
        *(message.subject, message.body, shown, message.reference or ""),
        *(message.sender_name, message.sender_authority),
        *(one.file_name for one in attachments),
    ]


def add_file(attachment: Attachment, *, state: str, content: str) -> None:
    """Make a message findable by the text of one of its files; state is read, partly or silent.

    A second run for the same file changes nothing.
    """
    sequence = db.session.scalars(
        select(Message.sequence_number).filter_by(company_id=attachment.company_id, id=attachment.message_id)
    ).one()
    place = _place(attachment.company_id, sequence)
    # The delivery locks the segment too, so both write their words one after the other.
    segment = db.session.get_one(
        SearchSegment, (place["company"], place["segment"]), with_for_update=True, populate_existing=True
    )
    key = (attachment.company_id, attachment.id)
    if db.session.get(AttachmentText, key) is not None:
        return
    db.session.add(AttachmentText(company_id=key[0], attachment_id=key[1], state=state, text=content))
    segment.files_waiting -= 1
    segment.files_silent += state == "silent"
    db.session.flush()
    if content:
        db.session.execute(_EXTEND, {**_parameters(words_of([content])), **place})


def is_indexed(company_id: uuid.UUID, sequence_number: int) -> bool:
    """Tell whether the message is in the index."""
    found = select(SearchDocument.segment).filter_by(company_id=company_id, sequence_number=sequence_number)
    return db.session.scalar(found) is not None


def forget(company_id: uuid.UUID, sequence_numbers: Sequence[int]) -> None:
    """Take messages that are about to be erased out of the counts; their words go with their rows.

    A job removes what no other message of the segment has from the vocabulary.
    """
    db.session.execute(_FORGET, {"company": company_id, "numbers": list(sequence_numbers), "pdf": PDF})
    for segment in {number >> SEGMENT_BITS for number in sequence_numbers}:
        defer("search.forget_words", company_id=str(company_id), segment=segment)


def forget_words(company_id: uuid.UUID, segment: int) -> None:
    """Remove words that no message of the segment has any more."""
    db.session.execute(
        _FORGET_WORDS,
        {
            "company": company_id,
            "segment": segment,
            "first": segment << SEGMENT_BITS,
            "last": ((segment + 1) << SEGMENT_BITS) - 1,
        },
    )


def _parameters(words: Words) -> dict[str, list[str]]:
    return {"folded": sorted(words.folded), "letters": sorted(words.letters)}


def _place(company_id: uuid.UUID, sequence_number: int) -> dict[str, object]:
    return {"company": company_id, "sequence": sequence_number, "segment": sequence_number >> SEGMENT_BITS}
