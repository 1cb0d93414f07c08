"""What schemathesis can't know: which customers, products and sales there are.

A generated request keeps its shape; an id that is right in form becomes one that is there, or the
checks would only ever see "not found". Loaded by schemathesis itself: `SCHEMATHESIS_HOOKS`.
"""

import re
from collections.abc import Callable
from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection

from tests.api.furnished import SALES, local_id_of

CUSTOMERS = 9
PRODUCTS = 99
# Two of them are not there, until uploads bring more.
SOME_SALES = SALES + 2
UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
NIL = "00000000-0000-0000-0000-000000000000"


UPLOAD = "POST /api/v1/sales/sync/upload/"


@schemathesis.check
def wrong_sales_are_errors(ctx: Any, response: Any, case: Any) -> bool | None:
    """An upload with a wrong sale is refused, or that sale's own result is an error.

    In the place of negative_data_rejection, which can't know that the other sales still count.
    """
    if case.operation.label != UPLOAD:
        return None
    if response.status_code == 200 and response.json()["summary"]["errors"]:
        return None
    return negative_data_rejection(ctx, response, case)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    case.body = _furnished(case.body)
    sale = (case.path_parameters or {}).get("sale")
    if isinstance(sale, str | int):
        case.path_parameters["sale"] = _sale(sale)
    if case.query and _is_name(case.query.get("user")):
        case.query["user"] = "all"


def _is_name(said: object) -> bool:
    return isinstance(said, str) and said != ""


def _id_below(most: int) -> Callable[[Any], Any]:
    """Return what makes of any id one from 1 to `most`, written as it was: number or text."""

    def there(said: Any) -> Any:
        if isinstance(said, str) and re.fullmatch("0*[1-9][0-9]{0,18}", said):
            return str(int(said) % most + 1)
        return said % most + 1 if type(said) is int and said > 0 else said

    return there


_sale_id = _id_below(SOME_SALES)


def _conflict_id(said: Any) -> Any:
    """Return one of the sales in conflict, or two that are not: only resolve has such a key."""
    there = _sale_id(said)
    return there if there == said else type(there)((int(there) // 3 or 1) * 3)


def _sale(said: Any) -> Any:
    return _local_id(said) if isinstance(said, str) and UUID.fullmatch(said) else _sale_id(said)


def _local_id(said: Any) -> Any:
    """Return one of the sales' for every second UUID, else the UUID itself."""
    if not isinstance(said, str) or not UUID.fullmatch(said) or said == NIL:
        return said
    number = int(said[:8], 16)
    return said if number % 2 else local_id_of(number // 2 % SALES + 1)


def _each(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda said: [change(each) for each in said] if isinstance(said, list) else said


_CHANGES: dict[str, Callable[[Any], Any]] = {
    "customer_id": _id_below(CUSTOMERS),
    "product_id": _id_below(PRODUCTS),
    "sale_id": _conflict_id,
    "sale_ids": _each(_sale_id),
    "local_id": _local_id,
    "local_ids": _each(_local_id),
    "version": _id_below(3),
    "expected_version": _id_below(2),
}


def _furnished(said: Any) -> Any:
    if isinstance(said, list):
        return [_furnished(each) for each in said]
    if isinstance(said, dict):
        known = {key: _furnished(value) for key, value in said.items()}
        return _affordable({key: _changed(key, value) for key, value in known.items()})
    return _written(said)


def _changed(key: object, value: Any) -> Any:
    change = _CHANGES.get(key) if isinstance(key, str) else None
    return change(value) if change else value


def _affordable(said: dict[Any, Any]) -> dict[Any, Any]:
    """Return an item with a fixed discount that its line can bear: no schema can say it."""
    value = said.get("discount_value")
    is_sound = type(value) in (int, float) or (isinstance(value, str) and value.isascii())
    if said.get("discount_type") == "fixed" and is_sound and _is_positive(value):
        return {**said, "discount_value": "0"}
    return said


def _is_positive(value: Any) -> bool:
    return re.fullmatch(r"[0-9]+(\.[0-9]{1,2}0*)?", str(value)) is not None


def _written(said: Any) -> Any:
    """Return 5 for 5.0, which are one to a schema; ours takes integers without a point."""
    return int(said) if isinstance(said, float) and said.is_integer() else said
