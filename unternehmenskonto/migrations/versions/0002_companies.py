"""companies"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "companies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("legal_form_code", sa.String(length=3), nullable=True),
        sa.Column("legal_form_text", sa.String(length=200), nullable=True),
        sa.Column("register_court", sa.String(length=200), nullable=True),
        sa.Column("register_type", sa.String(length=4), nullable=True),
        sa.Column("register_number", sa.String(length=11), nullable=True),
        sa.Column("street", sa.String(length=200), nullable=True),
        sa.Column("building", sa.String(length=50), nullable=True),
        sa.Column("zip_code", sa.String(length=12), nullable=True),
        sa.Column("city", sa.String(length=200), nullable=True),
        sa.Column("city_district", sa.String(length=200), nullable=True),
        sa.Column("address_addition", sa.String(length=200), nullable=True),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("datenkranz_type", sa.String(length=10), nullable=True),
        sa.Column("data_source", sa.String(length=200), nullable=True),
        sa.Column("data_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_companies")),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(length=100), nullable=True),
        sa.Column("given_name", sa.String(length=200), nullable=False),
        sa.Column("family_name", sa.String(length=200), nullable=False),
        sa.Column("date_of_birth", sa.Date(), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
    )
    op.create_table(
        "company_identifiers",
        sa.Column("scheme", sa.String(length=500), nullable=False),
        sa.Column("value", sa.String(length=500), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_company_identifiers_company_id_companies")
        ),
        sa.PrimaryKeyConstraint("scheme", "value", name=op.f("pk_company_identifiers")),
    )
    op.create_index(op.f("ix_company_identifiers_company_id"), "company_identifiers", ["company_id"], unique=False)
    op.create_table(
        "memberships",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("roles", sa.ARRAY(sa.String(length=20)), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "roles <@ ARRAY['administrator', 'mailbox', 'services']::varchar[]", name=op.f("ck_memberships_roles")
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_memberships_company_id_companies")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_memberships_person_id_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memberships")),
    )
    op.create_index(op.f("ix_memberships_company_id"), "memberships", ["company_id"], unique=False)
    op.create_index(op.f("ix_memberships_person_id"), "memberships", ["person_id"], unique=False)
    op.create_index(
        "uq_memberships_living",
        "memberships",
        ["company_id", "person_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "pairwise_subjects",
        sa.Column("sector", sa.String(length=255), nullable=False),
        sa.Column("value", sa.String(length=43), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("membership_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_pairwise_subjects_company_id_companies")
        ),
        sa.ForeignKeyConstraint(
            ["membership_id"], ["memberships.id"], name=op.f("fk_pairwise_subjects_membership_id_memberships")
        ),
        sa.PrimaryKeyConstraint("sector", "value", name=op.f("pk_pairwise_subjects")),
        sa.UniqueConstraint(
            "sector",
            "company_id",
            "membership_id",
            name=op.f("uq_pairwise_subjects_sector"),
            postgresql_nulls_not_distinct=True,
        ),
    )


def downgrade() -> None:
    op.drop_table("pairwise_subjects")
    op.drop_table("memberships")
    op.drop_table("company_identifiers")
    op.drop_table("people")
    op.drop_table("companies")
