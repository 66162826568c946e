"""Logins at the same moment, with connections and commits of their own."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.login.conftest import Visitor, declare
from unternehmenskonto import keys
from unternehmenskonto.companies.models import Company, Membership, Person
from unternehmenskonto.db import db
from unternehmenskonto.demo.identity_provider import Provider
from unternehmenskonto.login.models import Identity, LoginSession
from unternehmenskonto.settings import Settings
from unternehmenskonto.web import limiter

CLIENT = "unternehmenskonto"


@pytest.fixture
def konto(fresh_app: Flask, idp: Provider, settings: Settings, tmp_path: Path) -> Iterator[Flask]:
    """The application on a database of its own, known to the identity provider by its own keys."""
    keys.ensure_keys()
    db.session.commit()
    before = idp.clients[CLIENT]
    idp.clients[CLIENT] = replace(before, jwks=keys.jwks())
    declare(fresh_app, settings, tmp_path, issuer=idp.issuer)
    limiter.reset()
    yield fresh_app
    idp.clients[CLIENT] = before


def come_back_at_once(visitors: list[tuple[Visitor, str]]) -> list[int]:
    barrier, statuses = threading.Barrier(len(visitors)), []

    def run(visitor: Visitor, url: str) -> None:
        barrier.wait(20)
        statuses.append(visitor.come_back(url).status_code)

    threads = [threading.Thread(target=run, args=pair) for pair in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return statuses


def count(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_first_logins_at_once(konto: Flask) -> None:
    pairs = []
    for certificate in ("erika-musterbau", "jonas-musterbau", "petra-musterbau", "erika-musterbau"):
        visitor = Visitor(konto)
        pairs.append((visitor, visitor.walk(certificate)))
    assert come_back_at_once(pairs) == [303] * 4
    assert (count(Company), count(Person), count(Identity), count(Membership)) == (1, 3, 3, 3)
    assert sorted(len(one.roles) for one in db.session.scalars(select(Membership))) == [0, 0, 4]


def test_one_answer_sent_twice_at_once(konto: Flask) -> None:
    visitor = Visitor(konto)
    url = visitor.walk()
    twin = Visitor(konto)
    for cookie in visitor.konto._cookies.values():
        twin.konto.set_cookie(cookie.key, cookie.value)
    assert sorted(come_back_at_once([(visitor, url), (twin, url)])) == [303, 400]
    assert count(LoginSession) == 1
