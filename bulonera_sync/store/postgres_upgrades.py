"""Bringing the schema of a Postgres up to date, one gateway at a time."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from bulonera_sync.store import postgres
from bulonera_sync.store.upgrades import run_migrations, told_apart

# Not the writers' lock: a gateway of the former version may be writing while we wait for ours.
_UPGRADE_LOCK = 0x627570


async def upgrade_postgres(url: str) -> None:
    """Create the tables or bring them up to date; waits while another gateway does."""
    # asyncpg reads the url itself: it knows more of libpq's forms than SQLAlchemy's dialect.
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: postgres.open_patiently(url),
        poolclass=NullPool,
    )
    try:
        with told_apart():
            async with engine.begin() as connection:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})"))
                await connection.run_sync(run_migrations)
    finally:
        await engine.dispose()
