"""The test people, their companies and the certificates they hold (people.toml)."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The trust level of a certificate in the words of the eIDAS regulation, as it appears in `acr`.
ACR = {
    "NIEDRIG": "http://eidas.europa.eu/LoA/low",
    "SUBSTANZIELL": "http://eidas.europa.eu/LoA/substantial",
    "HOCH": "http://eidas.europa.eu/LoA/high",
}
#: lowest first
LEVELS = tuple(ACR.values())
PEOPLE = Path(__file__).parents[1] / "people.toml"


@dataclass(frozen=True)
class Certificate:
    """One certificate: a person acting for a company."""

    id: str
    account: str
    email: str
    note: str
    trust_level: str
    person: dict[str, str]
    company: dict[str, str]

    @property
    def subject(self) -> str:
        """Return the `sub`: the person, the same with each certificate."""
        return self.person["subject"]

    @property
    def holder(self) -> str:
        """Return the name as people write it."""
        names = (self.person.get("title", ""), self.person["given_name"], self.person["family_name"])
        return " ".join(name for name in names if name)

    @property
    def acr(self) -> str:
        """Return the authentication context class this certificate reaches."""
        return ACR[self.trust_level]

    def claims(self) -> dict[str, Any]:
        """Return what the certificate says, under the OpenID names of the tax administration's brokers.

        Every field of the data ring travels to every client, as it does there: no selection by scope.
        """
        company, person = self.company, self.person
        claims = {
            "preferred_username": self.account,
            "name": self.holder,
            "title": person.get("title"),
            "given_name": person["given_name"],
            "family_name": person["family_name"],
            "email": self.email,
            "email_verified": True,
            "elster_datenkranz_typ": "StNr",
            "elster_identitaetstyp": "NNatPers",
            "elster_datenuebermittler": company["organisation_id"],
            "trust_level_identification": self.trust_level,
            "trust_level_authentication": self.trust_level,
            "org_company_name": company["name"],
            "org_legal_form_code": company["legal_form_code"],
            "org_legal_form_text": company["legal_form_text"],
            "org_register_number": company["register_number"],
            "org_register_type": company["register_type"],
            "org_register_court": company["register_court"],
            "org_address_type": "INLAND",
            "org_street": company["street"],
            "org_building": company["building"],
            "org_zip_code": company["zip_code"],
            "org_city": company["city"],
            "org_country": company["country"],
            "org_wid": company["w_idnr"],
        }
        return {name: value for name, value in claims.items() if value is not None}


def load(path: Path = PEOPLE) -> dict[str, Certificate]:
    """Return the certificates by id, in the order of the file."""
    with path.open("rb") as file:
        cast = tomllib.load(file)
    certificates = {}
    for entry in cast["certificates"]:
        person, company = cast["people"][entry["person"]], cast["companies"][entry["company"]]
        certificates[entry["id"]] = Certificate(**{**entry, "person": person, "company": company})
    return certificates
