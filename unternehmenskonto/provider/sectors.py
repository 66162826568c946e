"""Services that share pseudonyms: the list of their addresses is read where they publish it (Core 8.1)."""

import json
from collections.abc import Iterable
from urllib.parse import urlsplit

from unternehmenskonto import http
from unternehmenskonto.db import db
from unternehmenskonto.provider.limits import SECTOR_BYTES


class InvalidSector(Exception):
    """The sector cannot be proven; the text says why, for the operator or the developer."""


def check(uri: str, redirect_uris: Iterable[str]) -> str:
    """Return the sector, the host of the URI, if its list has every redirect URI; raises InvalidSector.

    Fetched once, when the client is declared or registered (OpenID Connect Registration 5).
    """
    # Nothing is written yet. Whoever waits for a slow host must not hold a database connection meanwhile.
    db.session.rollback()
    try:
        answer = http.fetch("GET", uri, headers={"Accept": "application/json"}, maximum_bytes=SECTOR_BYTES)
        if answer.status != 200:
            raise http.OutboundError("status", str(answer.status))
        listed = json.loads(answer.body)
    except http.OutboundError as error:
        raise InvalidSector(f"sector_identifier_uri cannot be read ({error.kind})") from None
    except (ValueError, RecursionError):
        raise InvalidSector("sector_identifier_uri is not JSON") from None
    if not isinstance(listed, list):
        raise InvalidSector("sector_identifier_uri is not a JSON list of addresses")
    if not set(redirect_uris) <= {entry for entry in listed if isinstance(entry, str)}:
        raise InvalidSector("sector_identifier_uri does not list every redirect_uri")
    return str(urlsplit(uri).hostname)
