"""Where the two engines speak differently: with `types`, the one place that knows their names."""

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Dialect, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import NULLTYPE, Integer, Text, TypeEngine

from bulonera_sync.store.types import IdList, RowList, TextList

SQLITE: Dialect = sqlite.dialect(paramstyle="qmark")
POSTGRES: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]

# The same construct on both: INSERT ... ON CONFLICT has one grammar there.
upsert = postgresql.insert


class among(ColumnElement[bool]):  # noqa: N801 - reads as SQL does
    """`column` is in the list bound under `name`: one parameter for any number of values.

    json_each on SQLite and = ANY on Postgres, so that a batch is one statement, prepared once.
    """

    inherit_cache = False
    # Not Boolean: SQLite's compiler would add "= 1", which no index answers.
    type = NULLTYPE  # type: ignore[assignment]

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        is_id = isinstance(column.type, Integer)
        kind: TypeEngine[Any] = IdList() if is_id else TextList()
        self.column = column
        self.list: BindParameter[Any] = bindparam(name, type_=kind)


@compiles(among, "sqlite")
def _among_on_sqlite(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = compiler.process(element.column, **kw), compiler.process(element.list, **kw)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - no user's text


@compiles(among, "postgresql")
def _among_on_postgres(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = compiler.process(element.column, **kw), compiler.process(element.list, **kw)
    return f"{column} = ANY ({values})"


class gathered(ColumnElement[Any]):  # noqa: N801 - reads as SQL does
    """The rows of another table that belong to a row, as one value: a list of tuples, in order.

    So that a statement brings both, from one snapshot, in one round trip.
    """

    inherit_cache = False

    def __init__(
        self,
        *columns: ColumnElement[Any],
        table: Table,
        belonging: ColumnElement[bool],
        in_order_of: ColumnElement[Any] | None = None,
    ) -> None:
        self.columns = columns
        self.table = table
        self.belonging = belonging
        self.order = in_order_of
        self.type = RowList(*(column.type for column in columns))

    def parts(self, compiler: SQLCompiler, **kw: Any) -> tuple[list[str], str, str]:
        """Return the SQL of each column, of the order, and of where the rows come from."""
        columns = [compiler.process(column, **kw) for column in self.columns]
        belonging = compiler.process(self.belonging, **kw)
        source = f"FROM {self.table.name} WHERE {belonging}"
        order = "" if self.order is None else f" ORDER BY {compiler.process(self.order, **kw)}"
        return columns, order, source


@compiles(gathered, "sqlite")
def _gathered_on_sqlite(element: gathered, compiler: SQLCompiler, **kw: Any) -> str:
    columns, order, source = element.parts(compiler, **kw)
    # JSON refuses a blob, which one turned bit makes of a text: it must not refuse the whole batch.
    shown = ", ".join(f"iif(typeof({each}) = 'blob', hex({each}), {each})" for each in columns)
    return f"(SELECT json_group_array(json_array({shown}){order}) {source})"


@compiles(gathered, "postgresql")
def _gathered_on_postgres(element: gathered, compiler: SQLCompiler, **kw: Any) -> str:
    columns, order, source = element.parts(compiler, **kw)
    return f"ARRAY(SELECT ROW({', '.join(columns)}) {source}{order})"


class has_table(ColumnElement[bool]):  # noqa: N801 - reads as SQL does
    """Whether the table exists."""

    inherit_cache = True
    type = NULLTYPE  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self.name: BindParameter[Any] = bindparam("table", name, type_=Text())


@compiles(has_table, "sqlite")
def _has_table_on_sqlite(element: has_table, compiler: SQLCompiler, **kw: Any) -> str:
    name = compiler.process(element.name, **kw)
    return f"EXISTS (SELECT 1 FROM sqlite_master WHERE name = {name})"  # noqa: S608


@compiles(has_table, "postgresql")
def _has_table_on_postgres(element: has_table, compiler: SQLCompiler, **kw: Any) -> str:
    return f"to_regclass({compiler.process(element.name, **kw)}) IS NOT NULL"
