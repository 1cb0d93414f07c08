"""Statements as the engines take them."""

import pytest

from bulonera_sync.store import sales
from bulonera_sync.store.dialect import POSTGRES, SQLITE
from bulonera_sync.store.statements import Insert

INSERTS = [each for each in vars(sales).values() if isinstance(each, Insert)]


@pytest.mark.parametrize("insert", INSERTS, ids=lambda insert: insert.table)
@pytest.mark.parametrize("dialect", [SQLITE, POSTGRES], ids=lambda dialect: dialect.name)
def test_an_insert_takes_its_columns_values_in_their_order(insert: Insert, dialect: object) -> None:
    compiled = insert.for_dialect(dialect)  # type: ignore[arg-type]

    assert compiled.names == insert.columns
    assert not compiled.constants
