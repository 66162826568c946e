"""Founding and joining: one company per identity, one founder, also when two come at once."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.factories import make_company, make_membership, make_person
from unternehmenskonto.companies import actions
from unternehmenskonto.companies.joining import (
    FOUNDER_ROLES,
    CompanyData,
    ContactData,
    PersonData,
    found_or_join,
    update_person,
)
from unternehmenskonto.companies.models import Company, CompanyIdentifier, Membership
from unternehmenskonto.db import db
from unternehmenskonto.errors import InvalidInput, NotFound

MUSTERBAU = CompanyData(name="Musterbau GmbH", identifiers={"org:a": "du-1", "w_idnr": "DE900000006-00001"})


def join(data: CompanyData = MUSTERBAU) -> Membership:
    return found_or_join(data=data, person=make_person(), contact=ContactData(), source="Test")


def test_different_certificates_of_one_company_meet(app: Flask) -> None:
    first = join()
    by_number = join(CompanyData(name="Musterbau", identifiers={"org:b": "du-9", "w_idnr": "DE900000006-00001"}))
    by_new_id = join(CompanyData(name="Musterbau", identifiers={"org:b": "du-9"}))
    assert first.company_id == by_number.company_id == by_new_id.company_id
    assert (by_number.roles, by_new_id.roles) == ([], [])


def test_the_organisation_id_decides_before_the_number(app: Flask) -> None:
    first = join()
    other = join(CompanyData(name="Andere GmbH", identifiers={"org:a": "du-2"}))
    claiming = join(CompanyData(name="Andere GmbH", identifiers={"org:a": "du-2", "w_idnr": "DE900000006-00001"}))
    assert claiming.company_id == other.company_id
    owner = actions.company_by_identifier("w_idnr", "de900000006")
    assert owner is not None
    assert owner.id == first.company_id, "a number stays with its company"


def test_whoever_left_comes_back_without_rights(app: Flask) -> None:
    join()
    second = join()
    actions.set_roles(company_id=second.company_id, membership_id=second.id, roles=["mailbox"], by="system")
    actions.end_membership(company_id=second.company_id, membership_id=second.id, by="system")
    back = found_or_join(data=MUSTERBAU, person=second.person, contact=ContactData(), source="Test")
    assert back.id != second.id
    assert back.roles == []


def test_contact_follows_the_login_and_the_chosen_address_stays(app: Flask) -> None:
    person = make_person()

    def login(**told: Any) -> Membership:
        return found_or_join(data=MUSTERBAU, person=person, contact=ContactData(**told), source="Test")

    home = {"locality": "Kiel"}
    member = login(email="a@firma.example", is_email_verified=True, phone_number="+49 431 9012", address=home)
    assert (member.email, member.verified_email) == ("a@firma.example", "a@firma.example")
    assert (member.phone_number, member.is_phone_verified, member.address) == ("+49 431 9012", False, home)
    login(email="b@firma.example", is_email_verified=True, phone_number="+49 431 9013", is_phone_verified=True)
    assert (member.email, member.verified_email) == ("a@firma.example", "b@firma.example")
    assert (member.phone_number, member.is_phone_verified, member.address) == ("+49 431 9013", True, home)
    login()
    assert (member.verified_email, member.phone_number) == ("b@firma.example", "+49 431 9013")
    login(email="c@firma.example", is_email_verified=False)
    assert member.verified_email == "b@firma.example"
    login(email="b@firma.example", is_email_verified=False)
    assert (member.email, member.verified_email) == ("a@firma.example", None)


def test_an_address_called_unverified_is_no_proposal(app: Flask) -> None:
    contact = ContactData(email="a@firma.example", is_email_verified=False)
    assert found_or_join(data=MUSTERBAU, person=make_person(), contact=contact, source="Test").email is None


def test_a_whole_name_goes_when_its_parts_change(app: Flask) -> None:
    person = make_person(given_name="Petra", family_name="Sommer", full_name="Petra Sommer, M.Sc.")
    update_person(person, PersonData(given_name="Petra", family_name="Sommer"))
    assert person.full_name == "Petra Sommer, M.Sc."
    update_person(person, PersonData(given_name="Petra", family_name="Winter"))
    assert person.full_name is None
    update_person(person, PersonData(given_name="Petra", family_name="Winter", full_name="Petra Winter, M.Sc."))
    assert person.full_name == "Petra Winter, M.Sc."


def test_a_company_known_before_its_people(app: Flask) -> None:
    company = make_company(identifiers={"w_idnr": "DE900000006-00001"})
    founder = join()
    assert founder.company_id == company.id
    assert "administrator" in founder.roles


def test_company_by_identifier(app: Flask) -> None:
    company = make_company(identifiers={"vat_id": "DE136695976", "register": "kiel|hrb|54321"})
    for scheme, value in (("vat_id", "de 136 695 976"), ("register", "Amtsgericht Kiel|hrb|54321")):
        assert actions.company_by_identifier(scheme, value) == company
    assert actions.company_by_identifier("w_idnr", "DE900000014-00001") is None
    with pytest.raises(InvalidInput):
        actions.company_by_identifier("org:a", "du-1")


def test_recipients_may_read_and_have_an_address(app: Flask) -> None:
    reader = make_membership(roles=("mailbox",))
    make_membership(company=reader.company, roles=("administrator", "services"))
    make_membership(company=reader.company, roles=("mailbox",), email=None)
    gone = make_membership(company=reader.company, roles=("mailbox",))
    make_membership(company=reader.company)
    actions.end_membership(company_id=reader.company_id, membership_id=gone.id, by="system")
    found = actions.recipients(reader.company_id, "mailbox.read")
    assert len(found) == 2
    assert reader in found
    assert gone not in found


def test_rights_are_per_company(app: Flask) -> None:
    membership, stranger = make_membership(), make_membership()
    for act in (actions.end_membership, actions.membership_of):
        with pytest.raises(NotFound):
            extra = {"by": "system"} if act is actions.end_membership else {}
            act(company_id=membership.company_id, membership_id=stranger.id, **extra)


@pytest.mark.parametrize(
    "email",
    [
        "erika",
        "erika@",
        "@firma.example",
        "erika@firma",
        "erika@firma.example\n",
        "erika@firma.example\r\nBcc: x@y.example",
        "erika beispiel@firma.example",
        "erika@fir ma.example",
        "e..b@firma.example",
        ".e@firma.example",
        "erika@-firma.example",
        "erika@firma.123",
        "<erika@firma.example>",
        "erika@firma.example, x@y.example",
        "x" * 65 + "@firma.example",
        "e@" + "x" * 250 + ".example",
        "erika@bäcker.example",
        "a\x00@firma.example",
    ],
)
def test_no_addresses(email: str) -> None:
    with pytest.raises(InvalidInput):
        actions.checked_email(email)


@pytest.mark.parametrize("email", ["erika@firma.example", "e.b+post@a-b.firma.example", "o'neil@xn--bcker-gra.example"])
def test_addresses(email: str) -> None:
    assert actions.checked_email(email) == email


def at_once(app: Flask, *acts: Callable[[], object]) -> list[object]:
    """Run each act in a thread, connection and transaction of its own, all beginning at the same moment."""
    barrier, results = threading.Barrier(len(acts)), []

    def run(act: Callable[[], object]) -> None:
        with app.app_context():
            barrier.wait(10)
            try:
                results.append(act())
                db.session.commit()
            except Exception as error:
                db.session.rollback()
                results.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_eight_first_people_make_one_company_with_one_founder(fresh_app: Flask) -> None:
    results = at_once(fresh_app, *[lambda: join().id] * 8)
    assert [one for one in results if isinstance(one, Exception)] == []
    assert db.session.scalar(select(func.count()).select_from(Company)) == 1
    assert db.session.scalar(select(func.count()).select_from(CompanyIdentifier)) == 2
    roles = sorted(len(one.roles) for one in db.session.scalars(select(Membership)))
    assert roles == [0] * 7 + [len(FOUNDER_ROLES)]


def test_overlapping_numbers_in_any_order_do_not_lock_up(fresh_app: Flask) -> None:
    one = CompanyData(name="A", identifiers={"org:a": "1", "w_idnr": "DE900000006-00001"})
    two = CompanyData(name="A", identifiers={"w_idnr": "DE900000006-00001", "org:a": "1"})
    results = at_once(fresh_app, *[lambda: join(one).id, lambda: join(two).id] * 4)
    assert [one for one in results if isinstance(one, Exception)] == []
    assert db.session.scalar(select(func.count()).select_from(Company)) == 1


def test_two_administrators_cannot_remove_each_other(fresh_app: Flask) -> None:
    first = make_membership()
    second = make_membership(company=first.company)
    company_id, ids = first.company_id, (first.id, second.id)
    db.session.commit()
    results = at_once(
        fresh_app,
        *[lambda one=one: actions.end_membership(company_id=company_id, membership_id=one, by="system") for one in ids],
    )
    assert sum(isinstance(one, actions.LastAdministrator) for one in results) == 1
    db.session.expire_all()
    assert len(actions.people_of(company_id)) == 1
