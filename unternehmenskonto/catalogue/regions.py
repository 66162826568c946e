"""Regions by Amtlicher Regionalschlüssel (ARS): Land 2 digits, then 3, 5, 9 and 12 down to the municipality."""

import re

from flask_babel import gettext as _

KEY = re.compile(r"\d{2}(\d(\d{2}(\d{4}(\d{3})?)?)?)?")
LENGTHS = (2, 3, 5, 9, 12)
#: First two digits of the ARS -> name of the Land; names are not translated.
LAENDER = {
    "08": "Baden-Württemberg",
    "09": "Bayern",
    "11": "Berlin",
    "12": "Brandenburg",
    "04": "Bremen",
    "02": "Hamburg",
    "06": "Hessen",
    "13": "Mecklenburg-Vorpommern",
    "03": "Niedersachsen",
    "05": "Nordrhein-Westfalen",
    "07": "Rheinland-Pfalz",
    "10": "Saarland",
    "14": "Sachsen",
    "15": "Sachsen-Anhalt",
    "01": "Schleswig-Holstein",
    "16": "Thüringen",
}


def is_region(key: str) -> bool:
    """Tell whether the text is a regional key of 2, 3, 5, 9 or 12 digits in a Land that exists."""
    return KEY.fullmatch(key) is not None and key[:2] in LAENDER


def region_name(key: str) -> str:
    """Return the Land, and for a smaller region its key too: there is no complete list of names here."""
    land = LAENDER.get(key[:2], key[:2])
    if len(key) == 2:
        return land
    return str(_("%(land)s, Gebiet mit dem Regionalschlüssel %(key)s", land=land, key=key))


def covering(key: str) -> list[str]:
    """Return the key and those of all regions around it, the Land first."""
    return [key[:length] for length in LENGTHS if length <= len(key)]
