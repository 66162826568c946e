"""login2"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("login_transactions", sa.Column("linking_session_id", sa.Uuid(), nullable=True))
    op.add_column("identities", sa.Column("id", sa.Uuid(), nullable=True))
    op.execute("UPDATE identities SET id = gen_random_uuid()")
    op.alter_column("identities", "id", nullable=False)
    op.create_unique_constraint(op.f("uq_identities_id"), "identities", ["id"])
    op.add_column("login_sessions", sa.Column("upstream_subject", sa.String(length=255), nullable=True))
    op.add_column("login_sessions", sa.Column("browser", sa.String(length=30), nullable=True))
    op.add_column("login_sessions", sa.Column("system", sa.String(length=30), nullable=True))
    op.create_table(
        "link_offers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("identity_provider", sa.String(length=63), nullable=False),
        sa.Column("issuer", sa.String(length=500), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("person_name", sa.String(length=510), nullable=False),
        sa.Column("company_name", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["login_sessions.id"], name=op.f("fk_link_offers_session_id_login_sessions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_offers")),
    )
    op.create_index(op.f("ix_link_offers_session_id"), "link_offers", ["session_id"], unique=False)
    op.create_index(op.f("ix_link_offers_created_at"), "link_offers", ["created_at"], unique=False)
    op.create_table(
        "seen_logout_tokens",
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_seen_logout_tokens")),
    )
    op.create_index(op.f("ix_seen_logout_tokens_seen_at"), "seen_logout_tokens", ["seen_at"], unique=False)


def downgrade() -> None:
    op.drop_table("seen_logout_tokens")
    op.drop_table("link_offers")
    op.drop_column("login_sessions", "system")
    op.drop_column("login_sessions", "browser")
    op.drop_column("login_sessions", "upstream_subject")
    op.drop_constraint(op.f("uq_identities_id"), "identities", type_="unique")
    op.drop_column("identities", "id")
    op.drop_column("login_transactions", "linking_session_id")
