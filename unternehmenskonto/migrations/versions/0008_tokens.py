"""Refresh tokens, how long a grant may be used offline, and since when a key has its status."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("signing_keys", sa.Column("status_since", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE signing_keys SET status_since = created_at")
    op.alter_column("signing_keys", "status_since", nullable=False)
    op.add_column("provider_grants", sa.Column("offline_until", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "provider_refresh_tokens",
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("successor", sa.LargeBinary(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["grant_id"],
            ["provider_grants.id"],
            name=op.f("fk_provider_refresh_tokens_grant_id_provider_grants"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_provider_refresh_tokens")),
    )
    op.create_index(op.f("ix_provider_refresh_tokens_grant_id"), "provider_refresh_tokens", ["grant_id"], unique=False)


def downgrade() -> None:
    op.drop_table("provider_refresh_tokens")
    op.drop_column("provider_grants", "offline_until")
    op.drop_column("signing_keys", "status_since")
