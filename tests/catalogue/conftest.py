"""The services of config/services, applied."""

import pytest
from flask import Flask

from unternehmenskonto.db import db
from unternehmenskonto.operators import declared
from unternehmenskonto.settings import ROOT


@pytest.fixture
def services(app: Flask) -> None:
    declared.apply(ROOT / "config" / "services")
    db.session.commit()
