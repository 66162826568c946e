"""What every page with a list of messages needs beside the messages: the address, the labels, the last result."""

import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import request

from unternehmenskonto.mailbox import inbox
from unternehmenskonto.mailbox.folders import results
from unternehmenskonto.mailbox.folders.actions import BULK_MAXIMUM
from unternehmenskonto.mailbox.labels.actions import list_labels
from unternehmenskonto.permissions import current_actor


@dataclass(frozen=True)
class Listing:
    """What a person asked for in the address: seite, anzahl, auswahl=alle and ergebnis."""

    cursor: str | None
    size: int
    all_ticked: bool
    bulk_id: uuid.UUID | None

    @classmethod
    def asked(cls) -> "Listing":
        """Read the address of this request; what makes no sense is left out."""
        try:
            bulk_id = uuid.UUID(request.args.get("ergebnis", ""))
        except ValueError:
            bulk_id = None
        size = request.args.get("anzahl", "")
        return cls(
            cursor=request.args.get("seite") or None,
            size=int(size) if size in {str(one) for one in inbox.PAGE_SIZES} else inbox.PAGE_SIZE,
            all_ticked=request.args.get("auswahl") == "alle",
            bulk_id=bulk_id,
        )

    def context(self) -> dict[str, Any]:
        """Return what the template shows; `address` builds the address of this list with other parameters."""
        actor = current_actor()
        return {
            "listing": self,
            "address": self.address,
            "labels": list_labels(actor=actor),
            "sizes": inbox.PAGE_SIZES,
            "bulk_maximum": BULK_MAXIMUM,
            "result": self.result(),
        }

    def result(self) -> results.Result | None:
        """Return what the act before did, where the address names one."""
        return None if self.bulk_id is None else results.show(actor=current_actor(), bulk_id=self.bulk_id)

    def address(self, **changes: Any) -> str:
        """Return the address of this list with some parameters changed; None takes one away."""
        size = self.size if self.size != inbox.PAGE_SIZE else None
        wanted = {"seite": self.cursor, "anzahl": size, **changes}
        query = urlencode({name: value for name, value in wanted.items() if value is not None})
        return request.path + (f"?{query}" if query else "")
