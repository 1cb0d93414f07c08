"""Which schema a database has, and whether it is the one this program needs."""

from sqlalchemy import column, select, table

from bulonera_sync.errors import SchemaError, UnpreparedError
from bulonera_sync.store.dialect import has_table
from bulonera_sync.store.schema import SCHEMA_REVISION
from bulonera_sync.store.sessions import Session, Store
from bulonera_sync.store.statements import Statement

HAS_REVISION = Statement(select(has_table("alembic_version").label("found")))
REVISION = Statement(select(column("version_num")).select_from(table("alembic_version")))


async def revision_of(session: Session) -> str | None:
    """Return the database's schema revision, or None when it was never prepared."""
    [(found,)] = await session.fetch(HAS_REVISION)
    rows = await session.fetch(REVISION) if found else []
    return rows[0][0] if rows else None


async def refuse_other_schema(session: Session) -> None:
    """Raise `SchemaError` unless the schema is this program's."""
    revision = await revision_of(session)
    if revision is None:
        raise UnpreparedError("the database is not prepared yet; bulonera-sync db upgrade does it")
    if revision < SCHEMA_REVISION:
        raise SchemaError(
            f"the database's schema is {revision} and this program needs {SCHEMA_REVISION}; "
            f"bulonera-sync db upgrade brings it up to date"
        )
    if revision > SCHEMA_REVISION:
        raise SchemaError(newer_schema(revision))


def newer_schema(revision: str) -> str:
    """Say that a newer program has had this database."""
    return (
        f"the database's schema is {revision}, newer than this program's {SCHEMA_REVISION}; "
        f"install the newer bulonera-sync"
    )


async def closed_unless_current(store: Store) -> None:
    """Close a store just opened, and raise, unless its schema is this program's."""
    try:
        await store.check()
    except BaseException:
        await store.close()
        raise
