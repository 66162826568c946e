"""provider3"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Tokens made before let their clients have refresh tokens, and keep doing so; new ones only if it is said.
    op.add_column(
        "provider_initial_tokens",
        sa.Column("allows_offline", sa.Boolean(), server_default=sa.true(), nullable=False),
    )
    op.alter_column("provider_initial_tokens", "allows_offline", server_default=sa.false())


def downgrade() -> None:
    op.drop_column("provider_initial_tokens", "allows_offline")
