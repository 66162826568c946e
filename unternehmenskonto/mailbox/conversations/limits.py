"""How much a company may write at once and in a day; every figure of this package."""

from datetime import timedelta

BODY_CHARACTERS = 20_000
SUBJECT_CHARACTERS = 255
ANSWER_CHARACTERS = 4_000
MAXIMUM_FILES = 10
MIB = 1024 * 1024
MAXIMUM_FILE_BYTES = 25 * MIB
MAXIMUM_FILES_BYTES = 50 * MIB
#: What a form may bring at once: a set of files that is too large still comes in, so that the page can say so.
FORM_BYTES = 2 * MAXIMUM_FILES_BYTES + MIB
#: Whole euros of an amount.
AMOUNT_DIGITS = 12

MAXIMUM_DRAFTS = 200
#: For each company in a day: more than any office writes, and an end for a program gone wild.
SENT_PER_DAY = 200
#: Of these, begun by the company itself, for each service.
BEGUN_PER_DAY = 20
DAY = timedelta(days=1)
#: For each person.
SAVES_PER_MINUTE = 60
#: A draft that a person threw away can be taken back so long.
DRAFT_RETURN = timedelta(days=30)
PAGE_SIZE = 25

#: The API hands out so many messages at once.
REPLIES_PER_PAGE = 20
MAXIMUM_REPLIES_PER_PAGE = 50
REPLIES_PER_MINUTE = 300
