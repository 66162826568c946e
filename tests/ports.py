"""Ports for a whole demonstration beside others: a developer's own one, or another run of these tests."""

import random

from unternehmenskonto.demo.addresses import AddressError, addresses, check_free

#: Above the demonstration's own ports, below those the system gives to outgoing connections.
LOWEST, HIGHEST = 12_000, 24_000


def free_offset() -> int:
    """Return an offset whose ports nobody uses at this moment."""
    while True:
        offset = random.randrange(LOWEST, HIGHEST)
        try:
            check_free(addresses(offset))
        except AddressError:
            continue
        return offset
