"""The one map of trust levels: our words, eIDAS, BSI and STORK addresses, the words of the tax administration.

Regulation (EU) 2015/1502 knows low, substantial and high. Whatever is unknown or missing counts as low.
"""

LEVELS = ("low", "substantial", "high")
EIDAS = "http://eidas.europa.eu/LoA/"
BSI = "http://bsi.bund.de/eID/LoA/"
STORK = "STORK-QAA-Level-"

_KNOWN = {
    **{level: level for level in LEVELS},
    **{f"{EIDAS}{level}": level for level in LEVELS},
    f"{BSI}normal": "low",
    f"{BSI}substantiell": "substantial",
    f"{BSI}hoch": "high",
    f"{STORK}1": "low",
    f"{STORK}2": "low",
    f"{STORK}3": "substantial",
    f"{STORK}4": "high",
    "BASIS": "low",
    "NORMAL": "low",
    "NIEDRIG": "low",
    "SUBSTANZIELL": "substantial",
    "SUBSTANTIELL": "substantial",
    "HOCH": "high",
}
_ELSTER = {"low": "NIEDRIG", "substantial": "SUBSTANZIELL", "high": "HOCH"}


def level_of(value: object) -> str:
    """Return the level that a word or address stands for; low for anything else, also for nothing."""
    if not isinstance(value, str):
        return LEVELS[0]
    return _KNOWN.get(value) or _KNOWN.get(value.upper()) or LEVELS[0]


def is_known(value: object) -> bool:
    """Tell whether the word or address is in the map at all."""
    return isinstance(value, str) and (value in _KNOWN or value.upper() in _KNOWN)


def lowest(*levels: str) -> str:
    """Return the weakest of our levels: a chain of proofs is as strong as that (NIST SP 800-63C); low for none."""
    return min(levels, key=LEVELS.index, default=LEVELS[0])


def reaches(level: str, wanted: str) -> bool:
    """Tell whether one of our levels is at least the other."""
    return LEVELS.index(level) >= LEVELS.index(wanted)


def eidas_uri(level: str) -> str:
    """Return the acr value of one of our levels as it is told to others."""
    return EIDAS + level


def elster_word(level: str) -> str:
    """Return the word of the tax administration for one of our levels."""
    return _ELSTER[level]
