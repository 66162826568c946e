"""catalogue"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:



def downgrade() -> None:
    op.drop_table("online_services")
