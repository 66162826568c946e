"""The letterbox of a mail server for the tests of this folder."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.notifications.conftest import Box, serve


@pytest.fixture
def box(app: Flask) -> Iterator[Box]:
    """A mail server on loopback while the test runs."""
    yield from serve(app)
