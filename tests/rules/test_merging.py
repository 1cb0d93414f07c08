"""Bringing two edits together: each side's changes, or nothing where both changed one field."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulonera_sync.merging import is_behind, merge
from bulonera_sync.sales import CONTENT_FIELDS, STATUSES, Content, differing_fields
from bulonera_sync.uploads import read_sale
from tests.factories import as_parsed, make_item, make_sale


def _items(*quantities: str) -> object:
    [raw] = as_parsed(make_sale(items=[make_item(quantity=each) for each in quantities]))
    content = read_sale(raw, index=0).content({})
    assert content is not None
    return content.items


CONTENTS = st.builds(
    Content,
    customer_id=st.integers(1, 3),
    status=st.sampled_from(STATUSES),
    items=st.sampled_from([_items("1"), _items("2"), _items("1", "2")]),
    notes=st.sampled_from(["", "a", "b"]),
)
BASE = Content(1, "draft", _items("1"), "")  # type: ignore[arg-type]


@settings(deadline=None)
@given(CONTENTS, CONTENTS, CONTENTS)
def test_merging_does_not_care_which_side_is_which(
    base: Content, server: Content, client: Content
) -> None:
    assert merge(base, server, client) == merge(base, client, server)


@settings(deadline=None)
@given(CONTENTS, CONTENTS, CONTENTS)
def test_nothing_comes_of_it_exactly_when_a_field_has_two_new_values(
    base: Content, server: Content, client: Content
) -> None:
    changed = [set(differing_fields(base, side)) for side in (server, client)]
    clashing = changed[0] & changed[1] & set(differing_fields(server, client))

    assert (merge(base, server, client) is None) == bool(clashing)


@settings(deadline=None)
@given(CONTENTS, CONTENTS, CONTENTS)
def test_each_field_is_the_changed_sides(base: Content, server: Content, client: Content) -> None:
    merged = merge(base, server, client)

    if merged is None:
        return
    for name in CONTENT_FIELDS:
        sides = {getattr(side, name) for side in (server, client)}
        changed = sides - {getattr(base, name)}
        assert getattr(merged, name) in (changed or sides)


@settings(deadline=None)
@given(CONTENTS, CONTENTS)
def test_a_side_that_changed_nothing_gives_way(base: Content, edited: Content) -> None:
    assert merge(base, edited, base) == edited
    assert merge(base, base, edited) == edited
    assert merge(base, edited, edited) == edited


def test_the_shop_confirms_while_the_till_writes_a_note() -> None:
    server = replace(BASE, status="confirmed")
    client = replace(BASE, notes="para mañana")

    assert merge(BASE, server, client) == replace(BASE, status="confirmed", notes="para mañana")


@pytest.mark.parametrize("status", STATUSES)
def test_cancelled_is_behind_nothing_and_everything_else_behind_it(status: str) -> None:
    assert not is_behind("cancelled", status)
    assert is_behind(status, "cancelled") == (status != "cancelled")


def test_the_others_stand_in_the_order_of_a_sales_life() -> None:
    life = STATUSES[:-1]

    for place, status in enumerate(life):
        assert [is_behind(status, other) for other in life] == [
            place < other for other in range(len(life))
        ]
