"""Schema versions, through Alembic; revisions are in `migrations/versions`."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Engine

from hub.store.marks import kept

LOCK = 0x687562  # any number, the same in every process: "hub"


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to `revision`, in one transaction; of two processes that begin at once, one waits."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.connect().execution_options(immediate=True) as c, c.begin():
        if engine.dialect.name == "postgresql":
            c.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        config.attributes["connection"] = c
        with kept(c):
            command.upgrade(config, revision)
