"""login3"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("people", sa.Column("full_name", sa.String(length=500), nullable=True))
    op.add_column("memberships", sa.Column("verified_email", sa.String(length=320), nullable=True))
    op.add_column("memberships", sa.Column("phone_number", sa.String(length=50), nullable=True))
    # Whoever is there has no number yet, so none of them is verified.
    op.add_column("memberships", sa.Column("is_phone_verified", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("memberships", sa.Column("address", postgresql.JSONB(astext_type=sa.Text()), nullable=True))


def downgrade() -> None:
    for name in ("address", "is_phone_verified", "phone_number", "verified_email"):
        op.drop_column("memberships", name)
    op.drop_column("people", "full_name")
