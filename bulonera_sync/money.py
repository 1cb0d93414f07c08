"""Money and quantities: exact decimals in, amounts rounded half-up to the cent out."""

import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import NamedTuple

from bulonera_sync.bodies import Number

MAX_DIGITS = 12
CENT = Decimal("0.01")
ZERO = Decimal("0.00")
HUNDRED = Decimal(100)

# Wide enough that no product or sum of 12-digit numbers is ever rounded but where we say so.
EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
_multiply, _quantize, _add = EXACT.multiply, EXACT.quantize, EXACT.add

# ASCII digits alone, matched before Decimal or int sees the text: "1e1000000" and "٣" never do.
# No two repeats can share a digit, so that a hostile text costs its length and no more.
_NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?", re.ASCII)

# More than any row has on either engine, few enough that int() costs nothing.
MAX_ID_DIGITS = 40


class TooLongError(ValueError):
    """A number of more digits, or more decimals, than the field takes."""


def read_decimal(value: object, places: int) -> Decimal | None:
    """Return the number a JSON string or number says, with `places` decimals, or None.

    None is for what is no plain decimal number: exponents, "1,5", "+5", ".5", blanks, true.
    Raises `TooLongError` beyond 12 digits in all, or `places` decimals, idle zeros apart.
    """
    if type(value) is not str and type(value) is not Number:
        return None
    match = _NUMBER.fullmatch(value)
    if match is None:
        return None
    sign = match.group(1)
    whole = match.group(2).lstrip("0")
    fraction = (match.group(3) or "").rstrip("0")
    if len(fraction) > places:
        raise TooLongError(f"hasta {places} decimales")
    if len(whole) + len(fraction) > MAX_DIGITS:
        raise TooLongError(f"hasta {MAX_DIGITS} dígitos")
    number = Decimal(f"{sign}{whole or 0}.{fraction:0<{places}}")
    return number or abs(number)


def read_id(value: object) -> int | None:
    """Return the id a JSON integer or string of ASCII digits says, or None; 0 is none."""
    if type(value) is not str and type(value) is not Number:
        return None
    if not (value.isascii() and value.isdigit()):
        return None
    digits = value.lstrip("0")
    return int(digits) if 0 < len(digits) <= MAX_ID_DIGITS else None


def read_count(value: object, maximum: int) -> int | None:
    """Return the JSON integer from 1 to `maximum`, or None; strings are not numbers here."""
    if type(value) is not Number or not value.isascii() or not value.isdigit():
        return None
    if len(value) > len(str(maximum)):
        return None
    return int(value) if 1 <= int(value) <= maximum else None


class Amounts(NamedTuple):
    """What a line or a sale comes to, in pesos with two decimals."""

    subtotal: Decimal = ZERO
    discount: Decimal = ZERO
    tax: Decimal = ZERO
    total: Decimal = ZERO


def line_amounts(
    quantity: Decimal,
    unit_price: Decimal,
    discount_type: str,
    discount_value: Decimal,
    tax_percentage: Decimal,
) -> Amounts:
    """Return a line's amounts, each rounded half-up to the cent in this order (contract 2)."""
    net = subtotal = _quantize(_multiply(quantity, unit_price), CENT)
    discount = ZERO
    if discount_type != "none":
        discount = _discount(subtotal, discount_type, discount_value)
        net = EXACT.subtract(subtotal, discount)
    tax = _quantize(_multiply(_multiply(net, tax_percentage), CENT), CENT)
    return Amounts(subtotal, discount, tax, _add(net, tax))


def line_subtotal(quantity: Decimal, unit_price: Decimal) -> Decimal:
    """Return quantity x unit_price rounded half-up to the cent."""
    return _quantize(_multiply(quantity, unit_price), CENT)


def _discount(subtotal: Decimal, discount_type: str, value: Decimal) -> Decimal:
    if discount_type == "percentage":
        return _quantize(_multiply(_multiply(subtotal, value), CENT), CENT)
    return _quantize(value, CENT)


def sum_amounts(lines: Iterable[Amounts]) -> Amounts:
    """Return the sums of the rounded lines: what the sale comes to."""
    subtotal = discount = tax = total = ZERO
    for line in lines:
        subtotal = _add(subtotal, line.subtotal)
        discount = _add(discount, line.discount)
        tax = _add(tax, line.tax)
        total = _add(total, line.total)
    return Amounts(subtotal, discount, tax, total)


def total_of(lines: Iterable[Amounts]) -> Decimal:
    """Return the total of `sum_amounts` alone."""
    total = ZERO
    for line in lines:
        total = _add(total, line.total)
    return total


def format_price(price: Decimal) -> str:
    """Return a price with 2 to 4 decimals: 25.5 is "25.50" and 0.1250 is "0.125"."""
    text = f"{price:.4f}"
    return text[:-2] + text[-2:].rstrip("0")
