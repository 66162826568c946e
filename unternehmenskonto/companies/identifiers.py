"""Numbers by which the world knows a company: checked, and written in one form only.

W-IdNr. (AO section 139c), VAT id (Directive 2006/112/EC, article 215) and register entry (HRV).
"""

import re

from flask_babel import lazy_gettext as _l
from stdnum.eu import vat
from stdnum.exceptions import ValidationError

from unternehmenskonto.errors import InvalidInput

W_IDNR = "w_idnr"
VAT_ID = "vat_id"
REGISTER = "register"

#: lower case -> as it is written; MUK writes GR where the registers write GnR.
REGISTER_TYPES = {"hra": "HRA", "hrb": "HRB", "vr": "VR", "gnr": "GnR", "gr": "GnR", "pr": "PR", "gsr": "GsR"}
MAXIMUM_REGISTER_NUMBER = 11
FIRST_MARK = "00001"

_W_IDNR = re.compile(r"DE([0-9]{9})(?:-?([0-9]{5}))?")
_REGISTER_NUMBER = re.compile(r"([1-9][0-9]{0,7})([A-Z]{0,3})")
_COURT_WORDS = re.compile(r"^(amtsgericht|registergericht|ag)\s+", re.IGNORECASE)


class InvalidIdentifier(InvalidInput):
    """Refuse a number that cannot be one of this scheme."""

    code = "invalid_identifier"


def normal_form(scheme: str, value: str) -> str:
    """Return the one spelling under which a number is kept; raise InvalidIdentifier if it cannot be right.

    `w_idnr`: DE900000006-00001. `vat_id`: DE900000006. `register`: court|type|number in, the same normalised out.
    """
    if scheme == W_IDNR:
        return w_idnr(value)
    if scheme == VAT_ID:
        return vat_id(value)
    if scheme == REGISTER and value.count("|") == 2:
        court, kind, number = value.split("|")
        return register(court=court, kind=kind, number=number)
    raise InvalidIdentifier(
        _l("Dieses Merkmal eines Unternehmens ist nicht bekannt. Nutzen Sie w_idnr, vat_id oder register.")
    )


def w_idnr(value: str) -> str:
    """Return the Wirtschafts-Identifikationsnummer; without a mark the first activity, -00001, is meant."""
    found = _W_IDNR.fullmatch(re.sub(r"\s", "", value).upper())
    if found is None or not _mod_11_10(found[1]) or found[2] == "00000":
        raise InvalidIdentifier(
            _l("Das ist keine gültige W-IdNr. Erwartet wird zum Beispiel DE900000006-00001; prüfen Sie auf Tippfehler.")
        )
    return f"DE{found[1]}-{found[2] or FIRST_MARK}"


def vat_id(value: str) -> str:
    """Return the VAT identification number of any member state of the European Union."""
    try:
        return str(vat.validate(value)).upper()
    except (ValidationError, ValueError):
        raise InvalidIdentifier(
            _l("Das ist keine gültige USt-IdNr. Erwartet wird zum Beispiel DE900000006; prüfen Sie auf Tippfehler.")
        ) from None


def register(*, court: str, kind: str, number: str) -> str:
    """Return court|type|number in lower case; "Amtsgericht Kiel" and "Kiel" are the same court."""
    place = _COURT_WORDS.sub("", " ".join(court.split())).casefold()
    written = REGISTER_TYPES.get(kind.strip().lower())
    digits = _REGISTER_NUMBER.fullmatch(re.sub(r"\s", "", number).upper().lstrip("0"))
    if not place or "|" in place or written is None or digits is None or len(digits[0]) > MAXIMUM_REGISTER_NUMBER:
        raise InvalidIdentifier(
            _l(
                "Das ist kein gültiger Registereintrag. Erwartet werden Gericht, Art (%(kinds)s) und Nummer, "
                "zum Beispiel Kiel, HRB, 54321.",
                kinds="HRA, HRB, VR, GnR, PR, GsR",
            )
        )
    return f"{place}|{written}|{digits[0]}".lower()


def organisation_scheme(issuer: str) -> str:
    """Return the scheme of the organisation ids that one identity provider gives."""
    return f"org:{issuer}"


def _mod_11_10(digits: str) -> bool:
    """Check digit of ISO 7064 Mod 11,10; the last digit is the check digit."""
    if digits[0] == "0":
        return False
    check = 5
    for digit in digits:
        check = ((check or 10) * 2 % 11 + int(digit)) % 10
    return check == 1
