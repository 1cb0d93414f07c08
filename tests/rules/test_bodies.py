"""Bodies: strict JSON in, the very same words out, whatever somebody sends."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulonera_sync.bodies import (
    MAX_NESTING,
    BadBodyError,
    Number,
    dump_exactly,
    parse_body,
    parse_kept,
    parse_list_body,
    shorten,
)

# Every text that JSON can spell, lone surrogates and NULs too.
TEXTS = st.text(st.characters(codec=None), max_size=20)
NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,6})?", fullmatch=True
)
VALUES = st.recursive(
    st.none() | st.booleans() | TEXTS | NUMBERS.map(Number),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(VALUES)
def test_a_kept_value_comes_back_word_for_word(value: object) -> None:
    text = dump_exactly(value)

    again = parse_kept(text)

    assert again == value
    assert dump_exactly(again) == text


@settings(deadline=None)
@given(VALUES)
def test_what_is_kept_is_plain_ascii_json_that_any_body_may_hold(value: object) -> None:
    text = dump_exactly(value)

    parsed = parse_body(text.encode("ascii"))

    assert parsed == value


@settings(deadline=None)
@given(NUMBERS)
def test_a_number_stays_as_it_was_written(literal: str) -> None:
    value = parse_body(literal.encode())

    assert type(value) is Number
    assert value == literal


def test_a_whole_number_is_told_from_one_with_decimals() -> None:
    value = parse_body(b'[5, 5.0, 5.10, "5"]')

    assert dump_exactly(value) == '[5,5.0,5.10,"5"]'


def _parse_or_refuse(body: bytes) -> object:
    """Return the body's value, or why it is refused; any other fault is the test's failure."""
    try:
        return parse_body(body)
    except BadBodyError as refusal:
        return str(refusal)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_bad_body(body: bytes) -> None:
    value = _parse_or_refuse(body)

    assert parse_kept(dump_exactly(value)) == value


@settings(deadline=None)
@given(VALUES, st.data())
def test_a_torn_or_mixed_body_never_raises_anything_else(
    value: object, data: st.DataObject
) -> None:
    whole = dump_exactly(value).encode()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))

    torn = whole[:start] + data.draw(st.binary(max_size=3)) + whole[end:]

    value = _parse_or_refuse(torn)

    assert parse_kept(dump_exactly(value)) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"{",
        b'{"sales": [}',
        b'{"sales": [],}',
        b"{'sales': []}",
        b'{"sales": []} x',
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b'{"sales": [{"notes": NaN}]}',
        b"\xef\xbb\xbf{}",
        b"\xff",
        b'"\xed\xa0\x80"',
        b'"\xc0\x80"',
        b'{"sales": "\xe9"}',
        '{"sales": []}'.encode("utf-16"),
        b'"a\nb"',
        b'"\x00"',
        b'"\\x41"',
        b"01",
        b"+1",
        b".5",
        b"1.",
        b"0x10",
        b"// nothing\n{}",
        b"undefined",
    ],
)
def test_what_is_no_strict_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadBodyError) as refusal:
        parse_body(body)

    assert str(refusal.value)


def _in_lists(levels: int) -> str:
    return "[" * levels + "]" * levels


def _in_objects(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize("levels", [1, 2, MAX_NESTING - 1, MAX_NESTING])
@pytest.mark.parametrize("nest", [_in_lists, _in_objects])
def test_nesting_up_to_the_limit_is_taken(nest: Callable[[int], str], levels: int) -> None:
    body = nest(levels).encode()

    value = parse_body(body)

    assert dump_exactly(value).encode() == body


@pytest.mark.parametrize("levels", [MAX_NESTING + 1, MAX_NESTING + 2, 1_000, 1_000_000])
@pytest.mark.parametrize("nest", [_in_lists, _in_objects])
def test_nesting_beyond_the_limit_is_refused(nest: Callable[[int], str], levels: int) -> None:
    body = nest(levels).encode()

    with pytest.raises(BadBodyError, match="nesting beyond 32 levels"):
        parse_body(body)


@pytest.mark.parametrize("nest", [_in_lists, _in_objects])
@pytest.mark.parametrize("beside", ["{}", "[[[]]]", '"["'])
def test_each_sale_of_a_body_may_nest_up_to_the_limit_and_no_further(
    nest: Callable[[int], str], beside: str
) -> None:
    within = MAX_NESTING - 2
    body = '{{"sales": [{0}, {1}, {0}]}}'

    parsed = parse_list_body(body.format(nest(within), beside).encode(), "sales")
    assert parsed.texts == (nest(within), beside, nest(within))

    with pytest.raises(BadBodyError, match="nesting beyond 32 levels"):
        parse_list_body(body.format(nest(within + 1), beside).encode(), "sales")


def test_what_stands_beside_the_sales_may_not_nest_further_either() -> None:
    deep = _in_lists(MAX_NESTING)

    with pytest.raises(BadBodyError, match="nesting beyond 32 levels"):
        parse_list_body(f'{{"sales": [{{}}], "app": {deep}}}'.encode(), "sales")


def test_of_duplicate_keys_the_last_counts() -> None:
    value = parse_body(b'{"notes": "first", "version": 1, "notes": "last"}')

    assert value == {"notes": "last", "version": "1"}


@pytest.mark.parametrize("size", [4_301, 1_000_000])
def test_a_number_of_any_length_is_kept_unread(size: int) -> None:
    literal = "1" * size

    value = parse_body(f'{{"version": {literal}}}'.encode())

    assert value == {"version": literal}


def test_surrogate_halves_that_belong_together_are_one_character() -> None:
    value = parse_body(b'["\\ud83d\\ude00", "\\ud83d", "\\ude00\\ud83d"]')

    assert value == ["\N{GRINNING FACE}", "\ud83d", "\ude00\ud83d"]


@settings(deadline=None)
@given(VALUES, st.integers(2, 80))
def test_what_an_error_shows_is_one_short_printable_line(value: object, limit: int) -> None:
    shown = shorten(value, limit)

    assert len(shown) <= limit
    assert shown.isprintable()
    assert shown.encode("utf-8").decode() == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", ""),
        ("abc", "abc"),
        ("ñandú", "ñandú"),
        ("a\nb", "a\\nb"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("\0", "\\x00"),
        (Number("5.10"), "5.10"),
        (None, "null"),
        (True, "true"),
        ([1, "dos"], '[1, "dos"]'.replace(" ", "")),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("\n" * 100_000, ("\\n" * 60)[:59] + "…"),
    ],
)
def test_a_value_is_shown_inert(value: object, shown: str) -> None:
    assert shorten(value) == shown


def _calls_for(function: Callable[[], object]) -> int:
    """Return how many Python functions ran: a measure that no busy machine disturbs."""
    calls = 0

    def count(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize(
    "make",
    [
        lambda n: ["x"] * n,
        lambda n: [["x"]] * n,
        lambda n: {f"key {i}": ["x"] for i in range(n)},
        lambda n: [{"a": [{"b": ["x"]}]}] * n,
    ],
    ids=["texts", "lists", "keys", "nested"],
)
def test_reading_and_keeping_cost_as_much_as_there_is(make: Callable[[int], object]) -> None:
    small, large = (json.dumps(make(size)).encode() for size in (250, 1_000))

    once, fourfold = (
        _calls_for(lambda body=body: dump_exactly(parse_body(body)))  # type: ignore[misc]
        for body in (small, large)
    )

    assert fourfold <= 5 * once
