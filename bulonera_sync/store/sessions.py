"""What a unit of work sees of the database: one open transaction, the same on both engines."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from bulonera_sync.store.statements import Insert, Row, Statement

P = TypeVar("P")
T = TypeVar("T")


class Session(Protocol):
    """One open transaction.

    Every method raises `StatementRefusedError` for what the data breaks, and
    `StoreUnavailableError` for what the data can't help.
    """

    async def fetch(self, statement: Statement, /, **values: Any) -> list[Row]:
        """Return the rows of a SELECT or of RETURNING."""
        ...

    async def execute(self, statement: Statement, /, **values: Any) -> int:
        """Run a write; return how many rows it touched."""
        ...

    async def execute_many(
        self, statement: Statement, rows: Sequence[Mapping[str, Any]], /
    ) -> None:
        """Run a write for every row in one call to the driver; no rows, no call."""
        ...

    async def insert(self, statement: Insert, rows: Sequence[Sequence[Any]], /) -> None:
        """Write the rows in one call to the driver, or together with those of other tables.

        At the latest before the next call, or at the end of the savepoint or of the unit: what the
        data breaks may be told only there.
        """
        ...

    async def settle(self) -> None:
        """Have the database judge what was inserted so far: it may wait for what comes next."""
        ...

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """Undo what the block wrote when it raises, and nothing before it."""
        ...


# A unit of work: it awaits its session and nothing else. On SQLite it runs whole in the
# connection's thread, so it touches neither the event loop nor what another task may change.
Work = Callable[[Session], Coroutine[Any, Any, T]]

# Units of work of one kind done together, set by set: a result for each part, in their order.
Joint = Callable[[Session, Sequence[P]], Coroutine[Any, Any, Sequence[T]]]


class Touching(Protocol):
    """A store that writes a row at once, out of the writers' turn and without waiting for disk."""

    async def touch(self, work: Work[T], /) -> T:
        """Run a unit of work whose every statement commits by itself."""
        ...


class Watched(Protocol):
    """A writer as whoever watches it sees it."""

    # Called after every transaction with its seconds and how many units of work it held.
    watch: Callable[[float, int], None]

    @property
    def waiting(self) -> int:
        """How many units of work wait for their turn."""
        ...

    async def turn(self) -> None:
        """Return when a transaction has ended, however it ended; a writer that hangs never does."""
        ...


class Store(Protocol):
    """An open database."""

    async def read(self, work: Work[T], /) -> T:
        """Run a unit of work that only reads, on one consistent snapshot."""
        ...

    async def look_up(self, work: Work[T], /) -> T:
        """Do as `read` with a unit that reads a few rows, which is not worth a thread's turn."""
        ...

    async def glance(self, work: Work[T], /) -> T:
        """Do as `look_up` with a unit of one statement, which needs no snapshot."""
        ...

    async def write(self, work: Work[T], /) -> T:
        """Run a unit of work in a transaction; return after its COMMIT.

        What else waits is written in the same one; when any of it fails, each is run again in one
        of its own: so a unit may run twice, and changes nothing but the database. What was begun
        ends, even when the caller is cancelled.
        """
        ...

    async def write_jointly(self, joint: Joint[P, T], part: P, /, *, weight: int) -> T:
        """Do as `write`, in one call of `joint` with all the parts that wait for an equal one.

        `weight` says how many sales the part is, for small ones not to wait behind large ones.
        """
        ...

    @property
    def writer(self) -> "Watched":
        """The one that writes, to be watched."""
        ...

    async def check(self) -> None:
        """Raise `StoreUnavailableError` or `SchemaError` unless the database can be used."""
        ...

    async def size_bytes(self) -> int:
        """Return how much disk the database takes."""
        ...

    async def damage(self) -> list[str]:
        """Return what the engine itself finds wrong with its files; the whole of them is read."""
        ...

    @property
    def touching(self) -> "Touching | None":
        """The way to write beside the writer, where several gateways share the database."""
        ...

    async def close(self) -> None:
        """End what was begun, then let go of the database."""
        ...
