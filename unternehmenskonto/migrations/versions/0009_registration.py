"""registration"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_initial_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("authority", sa.String(length=200), nullable=False),
        sa.Column("claims", sa.ARRAY(sa.String(length=64)), nullable=False),
        sa.Column("pkce_exempt_reason", sa.String(length=300), nullable=True),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_initial_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_provider_initial_tokens_token_hash")),
    )
    op.create_table(
        "provider_registrations",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("token_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["token_id"],
            ["provider_initial_tokens.id"],
            name=op.f("fk_provider_registrations_token_id_provider_initial_tokens"),
        ),
        sa.ForeignKeyConstraint(
            ["service"], ["online_services.slug"], name=op.f("fk_provider_registrations_service_online_services")
        ),
        sa.PrimaryKeyConstraint("service", name=op.f("pk_provider_registrations")),
    )
    op.create_index(op.f("ix_provider_registrations_token_id"), "provider_registrations", ["token_id"], unique=False)


def downgrade() -> None:
    op.drop_table("provider_registrations")
    op.drop_table("provider_initial_tokens")
