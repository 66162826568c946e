"""Online services: directory entry, OpenID client and mailbox sender in one row, declared in config/services."""

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Computed, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from unternehmenskonto.db import Base, now


class OnlineService(Base):
    """A connected service; the operators' plan and apply are the only writers.

    `client_id` is the slug: the name of the service's file.
    """

    __tablename__ = "online_services"
    __table_args__ = (
        Index("ix_online_services_search", "search", postgresql_using="gin"),
        Index("ix_online_services_trigrams", text("trigrams(words)"), postgresql_using="gin"),
        Index("ix_online_services_regions", "regions", postgresql_using="gin"),
    )

    slug: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    authority: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(String(4000), default="")
    #: LeiKa keys, 99 and twelve digits.
    leika_keys: Mapped[list[str]] = mapped_column(ARRAY(String(14)), default=list)
    #: Where it is offered, Amtlicher Regionalschlüssel of 2, 3, 5, 9 or 12 digits; empty: everywhere.
    regions: Mapped[list[str]] = mapped_column(ARRAY(String(12)), default=list)
    start_url: Mapped[str | None] = mapped_column(String(2000))
    is_listed: Mapped[bool] = mapped_column(default=True)
    is_enabled: Mapped[bool] = mapped_column(default=True)
    #: Whether it may deliver to mailboxes (scope mailbox.deliver).
    is_mailbox_sender: Mapped[bool] = mapped_column(default=False)

    #: Whether companies may write to it by themselves: {"topics": ["…"], "attachments": true}; None: they may not.
    accepts_messages: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    #: OpenID client; None for a pure directory entry. Keys: redirect_uris, post_logout_redirect_uris,
    #: initiate_login_uri, token_endpoint_auth_method, jwks_uri, jwks, client_secret_sha256, scopes,
    #: grant_types, minimum_assurance, contacts.
    client: Mapped[dict[str, Any] | None]
    #: OIDC Core 8.1: services of one sector see the same pseudonyms.
    sector: Mapped[str] = mapped_column(String(255))
    #: What may be passed on and why: [{"name": "org_company_name", "purpose": "…"}], in the order shown.
    claims: Mapped[list[Any]] = mapped_column(default=list)
    #: SHA-256 of the file as applied; tells drift.
    fingerprint: Mapped[str] = mapped_column(String(64))
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)

    #: Everything a person may search for, folded (ä is ae); trigrams find parts of compounds ("steuer").
    words: Mapped[str] = mapped_column(Computed("fold(name || ' ' || authority || ' ' || description)", persisted=True))
    #: The same words by their stems, weighted A, B and C; folded too, so that both ways to write ä are found.
    search: Mapped[Any] = mapped_column(
        TSVECTOR,
        Computed(
            "setweight(to_tsvector('german', name || ' ' || fold(name)), 'A')"
            " || setweight(to_tsvector('german', authority || ' ' || fold(authority)), 'B')"
            " || setweight(to_tsvector('german', description || ' ' || fold(description)), 'C')",
            persisted=True,
        ),
    )

    @property
    def claim_names(self) -> list[str]:
        """Return the names of the claims this service may receive."""
        return [claim["name"] for claim in self.claims]
