"""What asyncpg raises, told as the store's own errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import asyncpg

from bulonera_sync.errors import StatementRefusedError, StoreUnavailableError

# SQLSTATE classes in which the data is at fault: integrity, data, a trigger's RAISE.
_REFUSED_CLASSES = frozenset({"22", "23", "P0"})
# Classes in which a statement of ours is: those must be seen, not retried.
_OUR_FAULT_CLASSES = frozenset({"42", "0A"})

UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


class _ToldApart:
    # A class, since every statement passes here: a generator's block takes four times as long.

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # An argument that asyncpg itself can't encode is the data's fault, though it says
        # InterfaceError too.
        if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
            raise StatementRefusedError(str(error)) from error
        if isinstance(error, asyncpg.PostgresError):
            _tell_from_state(error)
        elif isinstance(error, UNREACHABLE):
            text = str(error) or type(error).__name__
            raise StoreUnavailableError(f"the database can't be reached: {text}") from error


def _tell_from_state(error: asyncpg.PostgresError) -> None:
    state = (error.sqlstate or "")[:2]
    if state in _REFUSED_CLASSES:
        raise StatementRefusedError(str(error)) from error
    if state not in _OUR_FAULT_CLASSES:
        raise StoreUnavailableError(f"the database can't be used now: {error}") from error


_TOLD_APART = _ToldApart()


def told_apart() -> _ToldApart:
    """Tell what the data broke from what the data can't help; no driver's error gets out."""
    return _TOLD_APART


@contextmanager
def outcome_unknown() -> Iterator[None]:
    """Tell of a COMMIT that failed, whatever the reason: nobody knows what became of it."""
    try:
        yield
    except (asyncpg.PostgresError, *UNREACHABLE) as error:
        text = str(error) or type(error).__name__
        raise StoreUnavailableError(f"the database did not confirm a write: {text}") from error
