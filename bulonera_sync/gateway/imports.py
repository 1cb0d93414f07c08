"""Use cases about the catalogue: bringing it in, looking at it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bulonera_sync.gateway.catalogs import read_catalog
from bulonera_sync.gateway.doors import Door
from bulonera_sync.gateway.logbook import log_import
from bulonera_sync.store import (
    catalog,
    sales,
)
from bulonera_sync.store.catalog import CatalogKind, CatalogRow
from bulonera_sync.store.sessions import Session

_WAITED: Mapping[CatalogKind, str] = {"customers": "customer", "products": "product"}


@dataclass(frozen=True, slots=True)
class CatalogImport:
    """What an import did; `healing` counts the held sales that it made due."""

    imported: int
    deactivated: int
    healing: int


class Imports(Door):
    """The catalogue."""

    async def import_catalog(
        self, kind: CatalogKind, path: Path, *, deactivate_missing: bool = False
    ) -> CatalogImport:
        """Bring a CSV file's rows in, all or none; raises `RefusedError` naming the line."""
        read = await asyncio.to_thread(read_catalog, path, kind)
        return await self.import_rows(
            kind, read.rows, columns=read.columns, deactivate_missing=deactivate_missing
        )

    async def import_rows(
        self,
        kind: CatalogKind,
        rows: Sequence[CatalogRow],
        *,
        columns: frozenset[str] | None = None,
        deactivate_missing: bool = False,
    ) -> CatalogImport:
        """Bring rows in, all or none; what waited for one of them is due at once.

        Of rows known already the `columns` are updated, all of them unless told.
        """
        now = self._clock()
        active = [row.id for row in rows if row.is_active]

        async def bring(session: Session) -> CatalogImport:
            deactivated = await catalog.import_rows(
                session, kind, rows, columns=columns, deactivate_missing=deactivate_missing
            )
            healing = await sales.heal(session, _WAITED[kind], active, now=now)
            return CatalogImport(len(rows), deactivated, healing)

        done = await self._store.write(bring)
        log_import(kind, done.imported, done.deactivated, done.healing)
        if done.healing:
            self.when_due()
        return done

    async def list_catalog(self, kind: CatalogKind, *, limit: int) -> tuple[list[CatalogRow], int]:
        """Return the first rows by id, and how many there are in all."""

        async def rows(session: Session) -> tuple[list[CatalogRow], int]:
            return await catalog.list_rows(session, kind, limit=limit)

        return await self._store.read(rows)

    async def product_names(self, ids: Collection[int]) -> Mapping[int, str]:
        """Return the names of these products, inactive ones too, by id."""

        async def names(session: Session) -> Mapping[int, str]:
            return await catalog.product_names(session, ids)

        return await self._store.read(names)

    async def customer_names(self, ids: Collection[int]) -> Mapping[int, str]:
        """Return the names of these customers, inactive ones too, by id."""

        async def names(session: Session) -> Mapping[int, str]:
            return await catalog.customer_names(session, ids)

        return await self._store.read(names)
