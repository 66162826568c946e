"""The window of the journeys is that of the deadlines: narrow, without JavaScript, in both languages."""

from tests.mailbox.watch.test_journey import language, phone  # noqa: F401
