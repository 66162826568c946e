"""catalogue"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Lower case with ä, ö, ü and ß written out, so that "Gaststaette" finds "Gaststätte" and the other way round.
FOLD = """
CREATE FUNCTION fold(words text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT replace(replace(replace(replace(
        lower(translate(words, 'ÄÖÜẞ', 'äöüß')), 'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue'), 'ß', 'ss')
$$;
"""


def upgrade() -> None:
    op.execute(FOLD)
    op.create_table(
        "online_services",
        sa.Column("slug", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("authority", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(length=4000), nullable=False),
        sa.Column("leika_keys", sa.ARRAY(sa.String(length=14)), nullable=False),
        sa.Column("regions", sa.ARRAY(sa.String(length=12)), nullable=False),
        sa.Column("start_url", sa.String(length=2000), nullable=True),
        sa.Column("is_listed", sa.Boolean(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("is_mailbox_sender", sa.Boolean(), nullable=False),
        sa.Column("client", postgresql.JSONB(), nullable=True),
        sa.Column("sector", sa.String(length=255), nullable=False),
        sa.Column("claims", postgresql.JSONB(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "words",
            sa.String(),
            sa.Computed("fold(name || ' ' || authority || ' ' || description)", persisted=True),
            nullable=False,
        ),
        sa.Column(
            "search",
            postgresql.TSVECTOR(),
            sa.Computed(
                "setweight(to_tsvector('german', name || ' ' || fold(name)), 'A')"
                " || setweight(to_tsvector('german', authority || ' ' || fold(authority)), 'B')"
                " || setweight(to_tsvector('german', description || ' ' || fold(description)), 'C')",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_online_services")),
    )
    op.create_index("ix_online_services_regions", "online_services", ["regions"], unique=False, postgresql_using="gin")
    op.create_index("ix_online_services_search", "online_services", ["search"], unique=False, postgresql_using="gin")
    op.create_index(
        "ix_online_services_trigrams",
        "online_services",
        [sa.literal_column("trigrams(words)")],
        unique=False,
        postgresql_using="gin",
    )


def downgrade() -> None:
    op.drop_table("online_services")
    op.execute("DROP FUNCTION fold(text)")
