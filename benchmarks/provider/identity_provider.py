"""The identity provider at which the measured logins end: the demonstration's, with people made for this.

    python -m benchmarks.provider.identity_provider PORT KONTO_URL FOLDER

A process of its own, so that its CPU time is nobody's. Ends on SIGTERM.
"""

import signal
import sys
from pathlib import Path
from typing import Any

import requests

from unternehmenskonto.demo import identity_provider
from unternehmenskonto.demo.identity_provider import Certificate, Client
from unternehmenskonto.demo.serving import Listener

HOST = "127.0.0.2"
#: As in config/identity_providers.toml.
SLUG = "demo-zertifikat"
PEOPLE = 8
TIMEOUT_SECONDS = 10


def certificate(number: int) -> Certificate:
    """Return the certificate of an invented person of an invented company."""
    name = f"person-{number}"
    return Certificate(
        id=name,
        account=f"ek-{number:040d}",
        email=f"{name}@firma.example",
        note="",
        trust_level="SUBSTANZIELL",
        person={"subject": f"{number:040d}", "given_name": "Maria", "family_name": f"Messung {number}"},
        company={
            "organisation_id": f"du-{number:040d}",
            "name": f"Messwerk {number} GmbH",
            "legal_form_code": "350",
            "legal_form_text": "Gesellschaft mit beschränkter Haftung",
            "register_number": str(10_000 + number),
            "register_type": "HRB",
            "register_court": "Amtsgericht Musterstadt",
            "street": "Hauptstraße",
            "building": str(number),
            "zip_code": "12345",
            "city": "Musterstadt",
            "country": "DE",
            "w_idnr": f"DE{900_000_100 + number}-00001",
        },
    )


def main(port: int, konto: str, folder: Path) -> None:
    """Serve until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    client = Client(
        client_id="unternehmenskonto",
        name="Unternehmenskonto",
        redirect_uris=(f"{konto}/anmelden/{SLUG}/rueckkehr",),
        # Read once: fetched in the middle of a login it would wait for the threads that wait for this provider.
        jwks=requests.get(f"{konto}/oauth/jwks", timeout=TIMEOUT_SECONDS).json(),
    )
    with Listener(HOST, port) as listener:
        app = identity_provider.create_app(issuer=listener.url, data=folder, clients=[client])
        provider: Any = app.extensions["identity_provider"]
        provider.certificates = {one.id: one for one in map(certificate, range(PEOPLE))}
        listener.serve(app)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
