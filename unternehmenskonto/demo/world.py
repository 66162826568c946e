"""The world around Unternehmenskonto in one process: identity provider, online service, authority, mail.

Started by the supervisor: ``python -m unternehmenskonto.demo.world FOLDER``; ends on SIGTERM. Nothing
here touches the database of Unternehmenskonto: all of it happens over HTTP and SMTP, as it would between
real parties.
"""

import contextlib
import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from flask import Flask

from unternehmenskonto.demo import authority, identity_provider, mail, online_service
from unternehmenskonto.demo.addresses import Address, Addresses, addresses
from unternehmenskonto.demo.identity_provider import Client
from unternehmenskonto.demo.serving import Listener

KONTO_CLIENT_ID = "unternehmenskonto"
KONTO_PROVIDER_SLUG = "demo-zertifikat"


def applications(needed: Addresses, data: Path) -> Iterator[tuple[Address, Flask]]:
    """Yield each party's address and application."""
    konto = needed.konto.url
    yield (
        needed.identity_provider,
        identity_provider.create_app(
            issuer=needed.identity_provider.url, data=data / "identity_provider", clients=[_konto(konto)]
        ),
    )
    yield (
        needed.online_service,
        online_service.create_app(
            issuer=konto,
            base_url=needed.online_service.url,
            authority_url=needed.authority.url,
            data=data / "online_service",
        ),
    )
    yield needed.authority, authority.create_app(konto_url=konto, data=data / "authority")
    yield needed.mail, mail.create_app(folder=data / "mail")


def _konto(url: str) -> Client:
    return Client(
        client_id=KONTO_CLIENT_ID,
        name="Unternehmenskonto",
        redirect_uris=(f"{url}/anmelden/{KONTO_PROVIDER_SLUG}/rueckkehr",),
        post_logout_redirect_uris=(f"{url}/abgemeldet",),
        backchannel_logout_uri=f"{url}/anmelden/{KONTO_PROVIDER_SLUG}/abmeldung",
        jwks_uri=f"{url}/oauth/jwks",
    )


def main(folder: Path) -> None:
    """Serve every party until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    # The SMTP server would log addresses; whom a mail goes to is nobody's business here either.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    needed = addresses()
    with contextlib.ExitStack() as stack:
        smtp = mail.create_smtp(folder=folder / "mail", host=needed.smtp.host, port=needed.smtp.port)
        smtp.start()
        stack.callback(smtp.stop)
        for address, app in applications(needed, folder):
            stack.enter_context(Listener(address.host, address.port)).serve(app)
            if "courier" in app.extensions:
                app.extensions["courier"].start()
                stack.callback(app.extensions["courier"].stop)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
