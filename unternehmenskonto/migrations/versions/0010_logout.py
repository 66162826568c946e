"""logout"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_ended_sessions",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_provider_ended_sessions")),
    )
    op.create_index(
        op.f("ix_provider_ended_sessions_noticed_at"), "provider_ended_sessions", ["noticed_at"], unique=False
    )
    # Sessions that ended before there was anybody to tell.
    op.execute(
        "INSERT INTO provider_ended_sessions (session_id, noticed_at)"
        " SELECT id, now() FROM login_sessions WHERE ended_at > now() - interval '1 day'"
    )
    # What ends when an agreement is withdrawn.
    op.create_index("ix_provider_grants_membership", "provider_grants", ["membership_id", "service"], unique=False)
    # The disclosures of one membership, newest first, service by service.
    op.create_index(
        "ix_audit_events_disclosures",
        "audit_events",
        [sa.text("(fields ->> 'membership_id')"), sa.text("(fields ->> 'service')"), "id"],
        unique=False,
        postgresql_where=sa.text("event = 'claims.disclosed'"),
    )


def downgrade() -> None:
    op.drop_index("ix_audit_events_disclosures", table_name="audit_events")
    op.drop_index("ix_provider_grants_membership", table_name="provider_grants")
    op.drop_table("provider_ended_sessions")
