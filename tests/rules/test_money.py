"""Numbers: exactly the forms of the contract, and amounts to the cent."""

from decimal import ROUND_DOWN, Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulonera_sync.bodies import Number
from bulonera_sync.money import (
    MAX_DIGITS,
    MAX_ID_DIGITS,
    Amounts,
    TooLongError,
    format_price,
    line_amounts,
    read_count,
    read_decimal,
    read_id,
    sum_amounts,
)

HOSTILE = st.sampled_from(
    [
        "NaN", "nan", "sNaN", "Infinity", "-Infinity", "inf", "1e5", "1E5", "1e1000000", "1,5",
        "+5", ".5", "5.", "-.5", "", " ", " 5", "5 ", "5\n", "\n5", "--5", "1_000", "0x10", "٣",
        "\uff15", "१२", "²", "½", "5\0", "\ud800", "\u202e5",
        "1.2.3", "1-2", "5-", "\u22125", "1'000",
        "1 000", "true", "null", "-", ".", "-0", "-0.0", "00", "007", "0" * 50 + "5", "5.0000",
        "0.00000", "999999999999", "9999999999999", "0.123", "0.1234", "1" * 13, "5." + "0" * 30,
        "12345678901.12", "1234567890.123",
    ]
)  # fmt: skip
TEXTS = (
    HOSTILE
    | st.text("0123456789.-", max_size=18)
    | st.text(st.characters(codec=None), max_size=6)
    | st.from_regex(r"-?[0-9]{1,15}(\.[0-9]{1,8})?", fullmatch=True)
)


def _read_slowly(text: str, places: int) -> Decimal | str | None:
    """Say what the contract's words make of a text: a number, "long", or None for no number.

    Character by character, with no help of the code under test.
    """
    digits = text[1:] if text[:1] == "-" else text
    whole, point, fraction = digits.partition(".")
    for part in (whole, fraction) if point else (whole,):
        if not part or any(character not in "0123456789" for character in part):
            return None
    while fraction and fraction[-1] == "0":
        fraction = fraction[:-1]
    while whole and whole[0] == "0":
        whole = whole[1:]
    if len(fraction) > places or len(whole) + len(fraction) > 12:
        return "long"
    value = Fraction(int(whole or "0")) + Fraction(int(fraction or "0"), 10 ** len(fraction))
    value = -value if text[:1] == "-" else value
    return Decimal(value.numerator) / Decimal(value.denominator)


def _read(value: object, places: int) -> Decimal | str | None:
    try:
        return read_decimal(value, places)
    except TooLongError:
        return "long"


@settings(deadline=None)
@given(TEXTS, st.integers(1, 4), st.sampled_from([str, Number]))
@example("1e1000000", 3, Number)
@example("-0", 3, Number)
def test_exactly_the_contracts_forms_are_numbers(text: str, places: int, kind: type[str]) -> None:
    expected = _read_slowly(text, places)

    assert _read(kind(text), places) == expected


@settings(deadline=None)
@given(st.integers(-(10**12) + 1, 10**12 - 1), st.integers(1, 4))
def test_a_number_has_the_fields_decimals_and_its_exact_value(scaled: int, places: int) -> None:
    said = str(Decimal(scaled).scaleb(-places))

    read = read_decimal(said, places)

    assert read is not None
    assert read == Decimal(scaled) / 10**places
    assert read.as_tuple().exponent == -places


@pytest.mark.parametrize("said", ["-0", "-0.00", "0", "0.000"])
def test_there_is_one_zero(said: str) -> None:
    assert f"{read_decimal(said, 2)}" == "0.00"


@pytest.mark.parametrize(
    "value", [None, True, False, 5, 5.0, Decimal(5), [], {}, ["5"], b"5"], ids=repr
)
def test_only_strings_and_json_numbers_are_read(value: object) -> None:
    assert read_decimal(value, 2) is None
    assert read_id(value) is None


@pytest.mark.parametrize(
    "text",
    ["0" * 10**6, "1" * 10**6, "0." + "0" * 10**6, "-" * 10**6, "1" + "." * 10**6],
    ids=["zeros", "ones", "decimals", "signs", "points"],
)
def test_a_megabyte_of_digits_is_settled_by_its_length_alone(text: str) -> None:
    # Were any of it quadratic, or an int() of it, this would take minutes.
    assert _read(text, 3) in (Decimal("0.000"), "long", None)
    assert read_id(text) is None
    assert read_count(Number(text), 2**31 - 1) is None


@settings(deadline=None)
@given(TEXTS | st.integers(0, 10**45).map(str), st.sampled_from([str, Number]))
def test_an_id_is_a_run_of_ascii_digits_that_is_not_zero(text: str, kind: type[str]) -> None:
    is_digits = bool(text) and all(character in "0123456789" for character in text)
    digits = text.lstrip("0")
    expected = int(digits) if is_digits and 0 < len(digits) <= MAX_ID_DIGITS else None

    assert read_id(kind(text)) == expected


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (Number("1"), 1),
        (Number("2147483647"), 2_147_483_647),
        (Number("2147483648"), None),
        (Number("0"), None),
        (Number("-1"), None),
        (Number("1.0"), None),
        (Number("1e1"), None),
        (Number("9" * 5000), None),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_count_is_a_json_integer_within_its_bounds(value: object, count: int | None) -> None:
    assert read_count(value, 2**31 - 1) == count


@pytest.mark.parametrize("value", ["1", True, None, 1, [Number("1")]], ids=repr)
def test_nothing_but_a_json_integer_is_a_count(value: object) -> None:
    assert read_count(value, 10) is None


@pytest.mark.parametrize(
    ("quantity", "price", "kind", "value", "tax", "amounts"),
    [
        # The half cent goes up, at every one of the three roundings.
        ("0.5", "0.01", "none", "0", "0", ("0.01", "0.00", "0.00", "0.01")),
        ("0.499", "0.01", "none", "0", "0", ("0.00", "0.00", "0.00", "0.00")),
        ("1", "0.005", "none", "0", "0", ("0.01", "0.00", "0.00", "0.01")),
        ("1", "0.0049", "none", "0", "0", ("0.00", "0.00", "0.00", "0.00")),
        ("1", "0.015", "none", "0", "0", ("0.02", "0.00", "0.00", "0.02")),
        ("1", "0.025", "none", "0", "0", ("0.03", "0.00", "0.00", "0.03")),
        ("1", "2.675", "none", "0", "0", ("2.68", "0.00", "0.00", "2.68")),
        ("1", "1.005", "none", "0", "0", ("1.01", "0.00", "0.00", "1.01")),
        ("1", "1.00", "percentage", "0.5", "0", ("1.00", "0.01", "0.00", "0.99")),
        ("1", "1.00", "percentage", "0.49", "0", ("1.00", "0.00", "0.00", "1.00")),
        ("1", "0.10", "none", "0", "5", ("0.10", "0.00", "0.01", "0.11")),
        ("1", "0.10", "none", "0", "4.99", ("0.10", "0.00", "0.00", "0.10")),
        ("1", "0.50", "none", "0", "21", ("0.50", "0.00", "0.11", "0.61")),
        ("5", "25.50", "none", "0", "21", ("127.50", "0.00", "26.78", "154.28")),
        ("5", "25.50", "percentage", "10", "21", ("127.50", "12.75", "24.10", "138.85")),
        ("5", "25.50", "fixed", "27.50", "21", ("127.50", "27.50", "21.00", "121.00")),
        ("3", "0.3333", "none", "0", "10.5", ("1.00", "0.00", "0.11", "1.11")),
        ("1", "100", "percentage", "100", "21", ("100.00", "100.00", "0.00", "0.00")),
        ("1", "100", "fixed", "100", "21", ("100.00", "100.00", "0.00", "0.00")),
        ("1", "0", "none", "0", "21", ("0.00", "0.00", "0.00", "0.00")),
        # The tax is of the rounded remainder, not of the exact one.
        ("1", "0.994", "percentage", "50", "100", ("0.99", "0.50", "0.49", "0.98")),
        # The largest line there is.
        (
            "999999999999", "999999999999", "none", "0", "100",
            ("999999999998000000000001.00", "0.00", "999999999998000000000001.00",
             "1999999999996000000000002.00"),
        ),
    ],
)  # fmt: skip
def test_a_line_comes_to_the_cent_with_halves_up(
    quantity: str, price: str, kind: str, value: str, tax: str, amounts: tuple[str, ...]
) -> None:
    line = line_amounts(Decimal(quantity), Decimal(price), kind, Decimal(value), Decimal(tax))

    assert (line.subtotal, line.discount, line.tax, line.total) == tuple(map(Decimal, amounts))
    assert f"{line.total}" == amounts[3]


def _numbers(maximum: int, places: int) -> st.SearchStrategy[Decimal]:
    return st.integers(0, maximum).map(lambda scaled: Decimal(scaled).scaleb(-places))


LINES = st.tuples(
    _numbers(10**12 - 1, 3),
    _numbers(10**12 - 1, 4),
    st.sampled_from(["none", "percentage"]),
    _numbers(10_000, 2),
    _numbers(10_000, 2),
)


def _cents_half_up(value: Fraction) -> Decimal:
    return Decimal(int(value * 100 + Fraction(1, 2))).scaleb(-2)


@settings(deadline=None)
@given(LINES)
def test_each_amount_is_the_exact_one_rounded_half_up(
    line: tuple[Decimal, Decimal, str, Decimal, Decimal],
) -> None:
    quantity, price, kind, value, tax = line

    amounts = line_amounts(*line)

    subtotal = _cents_half_up(Fraction(quantity) * Fraction(price))
    off = Fraction(subtotal) * Fraction(value) / 100 if kind == "percentage" else Fraction(0)
    assert amounts.subtotal == subtotal
    assert amounts.discount == _cents_half_up(off)
    net = Fraction(amounts.subtotal) - Fraction(amounts.discount)
    assert amounts.tax == _cents_half_up(net * Fraction(tax) / 100)
    assert Fraction(amounts.total) == net + Fraction(amounts.tax)


@settings(deadline=None)
@given(st.lists(LINES, max_size=8))
def test_a_sale_comes_to_the_sum_of_its_rounded_lines(
    lines: list[tuple[Decimal, Decimal, str, Decimal, Decimal]],
) -> None:
    amounts = [line_amounts(*line) for line in lines]

    summed = sum_amounts(amounts)

    for name in ("subtotal", "discount", "tax", "total"):
        exact = sum((Fraction(getattr(each, name)) for each in amounts), Fraction(0))
        assert Fraction(getattr(summed, name)) == exact
        assert getattr(summed, name).as_tuple().exponent == -2
    assert Fraction(summed.total) == Fraction(summed.subtotal) - Fraction(
        summed.discount
    ) + Fraction(summed.tax)


def test_nothing_comes_to_nothing() -> None:
    assert sum_amounts([]) == Amounts()


@settings(deadline=None)
@given(_numbers(10**12 - 1, 4))
def test_a_price_is_shown_exactly_with_two_to_four_decimals(price: Decimal) -> None:
    shown = format_price(price)

    decimals = len(shown.partition(".")[2])
    assert Decimal(shown) == price
    assert 2 <= decimals <= 4
    assert decimals == 2 or not shown.endswith("0")


def test_twelve_digits_are_the_most() -> None:
    longest = "9" * MAX_DIGITS

    assert read_decimal(longest, 3) == Decimal(longest)
    assert _read("1" + longest, 3) == "long"
    # No silent rounding: what was cut off would have been lost.
    assert Decimal("1.2345").quantize(Decimal("0.001"), ROUND_DOWN) != Decimal("1.2345")
    assert _read("1.2345", 3) == "long"
