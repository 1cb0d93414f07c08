"""Alembic's way in: the connection comes from `upgrades`, which holds the lock."""

from alembic import context

from bulonera_sync.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
# No context.begin_transaction(): the caller's transaction, checks and all, is the only one.
context.run_migrations()
