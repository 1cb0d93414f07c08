"""Amounts, numbers, times and ages in words."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from bulonera_sync.cli.words import (
    ago,
    amount,
    joined,
    moment,
    phrase,
    plural,
    quantity,
    size,
    time_said,
    until,
    whole,
)

NOON = datetime(2026, 2, 16, 12, tzinfo=UTC)
BUENOS_AIRES = ZoneInfo("America/Argentina/Buenos_Aires")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0.00", "$ 0,00"),
        ("1234.56", "$ 1.234,56"),
        ("-1234567.8", "-$ 1.234.567,8"),
        ("0.0125", "$ 0,0125"),
        (Decimal("999999999999.99"), "$ 999.999.999.999,99"),
    ],
)
def test_an_amount_has_a_decimal_comma(value: Decimal | str, words: str) -> None:
    assert amount(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [("5.000", "5"), ("2.500", "2,5"), ("1000.000", "1.000"), ("100", "100"), ("0.001", "0,001")],
)
def test_a_quantity_has_no_idle_zeros(value: str, words: str) -> None:
    assert quantity(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-500, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (86_399, "23 h ago"),
        (86_400, "1 d ago"),
        (86_400 * 1500, "1.500 d ago"),
    ],
)
def test_an_age_is_told_in_its_largest_whole_unit(seconds: int, words: str) -> None:
    assert ago(NOON - timedelta(seconds=seconds), NOON) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "now"),
        (0, "now"),
        (0.5, "in 1 s"),
        (59, "in 59 s"),
        (59.5, "in 1 min"),
        (61, "in 2 min"),
        (3540, "in 59 min"),
        (3541, "in 1 h"),
        (3601, "in 2 h"),
        (82_800, "in 23 h"),
        (82_801, "in 1 d"),
    ],
)
def test_a_wait_is_rounded_up(seconds: float, words: str) -> None:
    assert until(NOON + timedelta(seconds=seconds), NOON) == words


def test_a_time_is_the_shops() -> None:
    assert moment(NOON, BUENOS_AIRES) == "2026-02-16 09:00"


@pytest.mark.parametrize(
    ("said", "time"),
    [
        ("30m", NOON - timedelta(minutes=30)),
        (" 12h ", NOON - timedelta(hours=12)),
        ("2d", NOON - timedelta(days=2)),
        ("2026-02-16T08:00", NOON - timedelta(hours=1)),
        ("2026-02-16", datetime(2026, 2, 16, 3, tzinfo=UTC)),
        ("2026-02-16T08:00Z", NOON - timedelta(hours=4)),
    ],
)
def test_a_said_time_is_an_age_or_by_the_shops_clock(said: str, time: datetime) -> None:
    assert time_said(said, NOON, BUENOS_AIRES) == time


@pytest.mark.parametrize("said", ["", "yesterday", "2w", "-2d", "999999999d", "٢d", "2026-13-01"])
def test_what_is_no_time_is_refused_with_examples(said: str) -> None:
    with pytest.raises(ValueError, match="12h or 2d"):
        time_said(said, NOON, BUENOS_AIRES)


def test_a_plural_has_its_own_form_and_keeps_braces_in_facts() -> None:
    forms = "{count} sale of {who}", "{count} sales of {who}"

    assert plural(1, *forms, who="{count}") == "1 sale of {count}"
    assert plural(0, *forms, who="ana") == "0 sales of ana"
    assert plural(1200, *forms, who="ana") == "1.200 sales of ana"
    assert phrase("{text}", text="{}") == "{}"


def test_words_are_joined_as_a_person_does() -> None:
    assert joined([]) == ""
    assert joined(["a"]) == "a"
    assert joined(["a", "b", "c"]) == "a, b and c"
    assert joined(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_sizes_have_a_unit_that_fits() -> None:
    assert [size(1), size(1023), size(1536), size(5 * 1024**2), size(2000 * 1024**3)] == [
        "1 byte",
        "1.023 bytes",
        "1,5 KiB",
        "5,0 MiB",
        "2.000,0 GiB",
    ]
    assert whole(1234567) == "1.234.567"
