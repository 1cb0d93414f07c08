"""Statements: written in Core, compiled once for each engine, run on the raw driver.

A thread hop or a compilation per statement costs more than the statement: so each is compiled at
its first use and kept, and a session runs them without SQLAlchemy between.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Executable, TypeDecorator
from sqlalchemy.sql.compiler import SQLCompiler

from bulonera_sync.store import types

Row = tuple[Any, ...]
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement as one engine takes it: its text, its parameters in order, how values cross."""

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    binders: Mapping[str, Convert]
    readers: tuple[tuple[int, Convert], ...]

    def bind(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters by name as the driver takes them."""
        bound = {**self.constants, **values}
        for name, convert in self.binders.items():
            bound[name] = convert(bound[name])
        return bound

    def bind_in_order(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the parameters in the order of their places in the text."""
        bound = self.bind(values)
        return [bound[name] for name in self.names]

    def read(self, rows: Iterable[Sequence[Any]]) -> list[Row]:
        """Return the driver's rows as ours: decimals, aware times, bools."""
        if not self.readers:
            return [tuple(row) for row in rows]
        return [self._read_row(row) for row in rows]

    def _read_row(self, row: Sequence[Any]) -> Row:
        values = list(row)
        for position, convert in self.readers:
            values[position] = convert(values[position])
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
        binders={
            name: _binder(kind, dialect)
            for name in names
            if isinstance(kind := kinds[name], TypeDecorator) and _is_ours(kind)
        },
        readers=tuple(
            (position, _reader(column.type, dialect))
            for position, column in enumerate(made._result_columns)
            if isinstance(column.type, TypeDecorator) and _is_ours(column.type)
        ),
    )


def _is_ours(kind: TypeDecorator[Any]) -> bool:
    # Some of SQLAlchemy's own types are decorators too, and leave the value to the driver.
    return type(kind).__module__ == types.__name__


def _binder(kind: TypeDecorator[Any], dialect: Dialect) -> Convert:
    return lambda value: kind.process_bind_param(value, dialect)


def _reader(kind: TypeDecorator[Any], dialect: Dialect) -> Convert:
    return lambda value: kind.process_result_value(value, dialect)
