"""Use cases of who looks after the gateway: how it stands, what lies in quarantine."""

from collections.abc import Callable, Mapping, Sequence

from bulonera_sync.errors import NotFoundError
from bulonera_sync.gateway.doors import Door
from bulonera_sync.store import (
    audits,
    quarantines,
    statistics,
)
from bulonera_sync.store.audits import Finding
from bulonera_sync.store.quarantines import QuarantinedSale
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statistics import Standing


class Support(Door):
    """How it stands."""

    async def list_quarantine(self, *, limit: int) -> tuple[Sequence[QuarantinedSale], int]:
        """Return the latest of what no local_id names, and how many there are in all."""

        async def latest(session: Session) -> tuple[Sequence[QuarantinedSale], int]:
            return await quarantines.list_quarantine(session, limit=limit)

        return await self._store.read(latest)

    async def find_quarantined(self, quarantine_id: int) -> QuarantinedSale:
        """Return one of them whole; raises `NotFoundError`."""

        async def find(session: Session) -> QuarantinedSale | None:
            return await quarantines.find_quarantined(session, quarantine_id)

        found = await self._store.read(find)
        if found is None:
            raise NotFoundError(
                f"nothing in quarantine under {quarantine_id}; bulonera-sync quarantine list "
                f"shows what there is"
            )
        return found

    async def standing(self) -> Standing:
        """Return how it stands: counts, the oldest unsynced, what is due, who uploaded when."""
        now = self._clock()

        async def stand(session: Session) -> Standing:
            return await statistics.standing(session, now=now)

        return await self._store.read(stand)

    async def beat(self) -> None:
        """Return when the writer has had a turn, whether the database let it write or not."""
        await self._store.writer.turn()

    @property
    def waiting_writes(self) -> int:
        """How many writes wait for their turn."""
        return self._store.writer.waiting

    def watch_writes(self, watch: Callable[[float, int], None]) -> None:
        """Have `watch` called after every transaction: its seconds, how many writes it held."""
        self._store.writer.watch = watch

    async def size_bytes(self) -> int:
        """Return how much disk the database takes."""
        return await self._store.size_bytes()

    async def examine(self) -> tuple[Mapping[str, int], list[Finding]]:
        """Read the whole database over; return its counts and what is wrong with it."""

        async def read_over(session: Session) -> tuple[Mapping[str, int], list[Finding]]:
            return await audits.count_rows(session), await audits.audit(session)

        damage = await self._store.damage()
        counts, findings = await self._store.read(read_over)
        return counts, [*(Finding("database", text) for text in damage), *findings]

    async def check(self) -> None:
        """Raise `StoreUnavailableError` or `SchemaError` unless the database can be used."""
        await self._store.check()
