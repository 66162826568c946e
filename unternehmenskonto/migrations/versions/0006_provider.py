"""Authorization codes and their grants, running authorizations, consents, used assertions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_used_assertions",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("jti_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("service", "jti_hash", name=op.f("pk_provider_used_assertions")),
    )
    op.create_index(
        op.f("ix_provider_used_assertions_expires_at"), "provider_used_assertions", ["expires_at"], unique=False
    )
    op.create_table(
        "provider_interactions",
        sa.Column("id_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("parameters", postgresql.JSONB(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("membership_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["service"], ["online_services.slug"], name=op.f("fk_provider_interactions_service_online_services")
        ),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_provider_interactions")),
    )
    op.create_index(op.f("ix_provider_interactions_expires_at"), "provider_interactions", ["expires_at"], unique=False)
    op.create_table(
        "provider_consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("membership_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("claims", sa.ARRAY(sa.String(length=64)), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_provider_consents_company_id_companies")
        ),
        sa.ForeignKeyConstraint(
            ["membership_id"], ["memberships.id"], name=op.f("fk_provider_consents_membership_id_memberships")
        ),
        sa.ForeignKeyConstraint(
            ["service"], ["online_services.slug"], name=op.f("fk_provider_consents_service_online_services")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_consents")),
    )
    op.create_index(op.f("ix_provider_consents_company_id"), "provider_consents", ["company_id"], unique=False)
    op.create_index(
        "uq_provider_consents_living",
        "provider_consents",
        ["membership_id", "service"],
        unique=True,
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    op.create_table(
        "provider_grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("membership_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("sub", sa.String(length=43), nullable=False),
        sa.Column("org_sub", sa.String(length=43), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("claims", sa.ARRAY(sa.String(length=64)), nullable=False),
        sa.Column("assurance_level", sa.String(length=11), nullable=False),
        sa.Column("amr", sa.ARRAY(sa.String(length=100)), nullable=False),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_provider_grants_company_id_companies")),
        sa.ForeignKeyConstraint(
            ["membership_id"], ["memberships.id"], name=op.f("fk_provider_grants_membership_id_memberships")
        ),
        sa.ForeignKeyConstraint(
            ["service"], ["online_services.slug"], name=op.f("fk_provider_grants_service_online_services")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_grants")),
    )
    op.create_index("ix_provider_grants_company", "provider_grants", ["company_id", "created_at"], unique=False)
    op.create_index(op.f("ix_provider_grants_created_at"), "provider_grants", ["created_at"], unique=False)
    op.create_index("ix_provider_grants_session", "provider_grants", ["session_id"], unique=False)
    op.create_table(
        "provider_codes",
        sa.Column("code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("redirect_uri", sa.String(length=2000), nullable=False),
        sa.Column("nonce", sa.String(length=1024), nullable=True),
        sa.Column("code_challenge", sa.String(length=128), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["grant_id"],
            ["provider_grants.id"],
            name=op.f("fk_provider_codes_grant_id_provider_grants"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_provider_codes")),
    )
    op.create_index(op.f("ix_provider_codes_grant_id"), "provider_codes", ["grant_id"], unique=False)


def downgrade() -> None:
    op.drop_table("provider_used_assertions")
    op.drop_table("provider_consents")
    op.drop_table("provider_codes")
    op.drop_table("provider_grants")
    op.drop_table("provider_interactions")
