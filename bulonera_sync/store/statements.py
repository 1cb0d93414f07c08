"""Statements: written in Core, compiled once for each engine, run on the raw driver.

A thread hop or a compilation per statement costs more than the statement: so each is compiled at
its first use and kept, and a session runs them without SQLAlchemy between.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Executable, Table, bindparam, insert
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from bulonera_sync.store.types import Convert, OurType, convert_each

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement as one engine takes it: its text, its parameters in order, how values cross."""

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    binders: tuple[tuple[int, Convert], ...]
    readers: tuple[tuple[int, Convert], ...]

    def bind(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the parameters as the driver takes them, in the order of their places."""
        given = {**self.constants, **values} if self.constants else values
        bound = [given[name] for name in self.names]
        for place, convert in self.binders:
            value = bound[place]
            if value is not None:
                bound[place] = convert(value)
        return bound

    def bind_row(self, row: Sequence[Any]) -> list[Any]:
        """Return the parameters as `bind` does, of values that are in their places already."""
        bound = list(row)
        for place, convert in self.binders:
            value = bound[place]
            if value is not None:
                bound[place] = convert(value)
        return bound

    def read(self, rows: Iterable[Sequence[Any]]) -> list[Row]:
        """Return the driver's rows as ours: decimals, aware times, bools."""
        if not self.readers:
            return [tuple(row) for row in rows]
        return [self._read_row(row) for row in rows]

    def _read_row(self, row: Sequence[Any]) -> Row:
        values = list(row)
        convert_each(self.readers, values)
        return tuple(values)


class Statement:
    """One Core statement, known to both engines."""

    __slots__ = ("_compiled", "core")

    def __init__(self, core: Executable) -> None:
        self.core = core
        self._compiled: dict[str, Compiled] = {}

    def for_dialect(self, dialect: Dialect) -> Compiled:
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self.core, dialect)
        return compiled


class Insert(Statement):
    """An INSERT of whole rows; a row is the values of `columns` in their order."""

    __slots__ = ("columns", "table")

    def __init__(self, table: Table, *, without: str = "") -> None:
        self.table = table.name
        self.columns = tuple(column.name for column in table.columns if column.name != without)
        super().__init__(insert(table).values({name: bindparam(name) for name in self.columns}))


def _compile(core: Executable, dialect: Dialect) -> Compiled:
    made = core.compile(dialect=dialect)  # type: ignore[attr-defined]
    assert isinstance(made, SQLCompiler)
    names = tuple(made.positiontup or made.bind_names.values())
    kinds = {name: bind.type for bind, name in made.bind_names.items()}
    constants = {name: value for name, value in made.params.items() if value is not None}
    return Compiled(
        sql=made.string,
        names=names,
        constants=constants,
        binders=tuple(
            (place, convert)
            for place, name in enumerate(names)
            if (convert := _binder(kinds[name], dialect)) is not None
        ),
        readers=tuple(
            (place, convert)
            for place, column in enumerate(made._result_columns)
            if (convert := _reader(column.type, dialect)) is not None
        ),
    )


def _binder(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.binder(dialect) if isinstance(kind, OurType) else None


def _reader(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.reader(dialect) if isinstance(kind, OurType) else None
