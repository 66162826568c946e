"""Where each piece of the demonstration listens.

Every piece has a loopback host of its own: cookies and Clear-Site-Data know hosts but no ports, so two
pieces on one host would overwrite each other's session. See docs/decisions/0002-loopback-addresses.md.
"""

import errno
import os
import socket
from dataclasses import dataclass

OFFSET_VARIABLE = "DEMO_PORT_OFFSET"
HIGHEST_PORT = 65535
HIGHEST_BASE_PORT = 8025


class AddressError(Exception):
    """The demonstration cannot listen as asked; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """Name one listener of the demonstration."""

    name: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """Return the origin, without a trailing slash."""
        return f"http://{self.host}:{self.port}"


def port_offset(text: str | None = None) -> int:
    """Read the number added to every port from ``text`` or from DEMO_PORT_OFFSET.

    Raises AddressError for anything that is not an integer from 0 to 57510.
    """
    given = os.environ.get(OFFSET_VARIABLE, "0") if text is None else text
    highest = HIGHEST_PORT - HIGHEST_BASE_PORT
    if not given.isascii() or not given.isdigit() or int(given) > highest:
        raise AddressError(f"{OFFSET_VARIABLE} must be a whole number from 0 to {highest}, not {given!r}.")
    return int(given)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Hold the addresses of all pieces of one running demonstration."""

    konto: Address
    identity_provider: Address
    online_service: Address
    authority: Address
    mail: Address
    smtp: Address

    def all(self) -> tuple[Address, ...]:
        """Return every listener, the SMTP port included."""
        return (
            self.konto,
            self.identity_provider,
            self.online_service,
            self.authority,
            self.mail,
            self.smtp,
        )


def addresses(offset: int | None = None) -> Addresses:
    """Return the addresses with ``offset`` (by default DEMO_PORT_OFFSET) added to every port."""
    shift = port_offset() if offset is None else offset
    return Addresses(
        konto=Address("Unternehmenskonto", "127.0.0.1", 8000 + shift),
        identity_provider=Address("Identity provider Demo-Zertifikat", "127.0.0.2", 8001 + shift),
        online_service=Address("Online service Gewerbeanmeldung", "127.0.0.3", 8002 + shift),
        authority=Address("Authority Gewerbeamt Musterstadt", "127.0.0.4", 8003 + shift),
        mail=Address("Mail viewer", "127.0.0.5", 8025 + shift),
        smtp=Address("SMTP server", "127.0.0.5", 2525 + shift),
    )


def check_free(needed: Addresses) -> None:
    """Raise AddressError, naming the first listener that could not be opened, before anything is started."""
    for address in needed.all():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address.host, address.port))
            except OSError as error:
                raise AddressError(_sentence(address, error)) from None


def _sentence(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {address.port} on {address.host}, needed by {address.name}, is in use by another program. "
            f"End that program, or move all ports: {OFFSET_VARIABLE}=100 make demo"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"This machine has no address {address.host}, needed by {address.name}. "
            f"On macOS run: sudo ifconfig lo0 alias {address.host}"
        )
    return f"{address.name} cannot listen on {address.host} port {address.port}: {error.strerror}."
