"""A content is known again, however it was said."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bulonera_sync.sales import (
    DISCOUNT_TYPES,
    STATUSES,
    Content,
    fingerprint_of,
    print_of,
    said_item,
)
from bulonera_sync.uploads import read_sale
from tests.factories import as_parsed, make_item, make_sale

TAX = {10: Decimal("21.00")}


def test_an_upload_that_says_everything_has_its_contents_print() -> None:
    sale = make_sale(
        notes="ñandú \U0001f529",
        items=[make_item(quantity="0.5", unit_price="0.1250", tax_percentage="10.5")],
    )
    [upload] = (read_sale(each, index=0) for each in as_parsed(sale))

    content = upload.content({})

    assert upload.says_all
    assert content is not None
    assert content.fingerprint() == upload.said


def test_a_content_read_back_from_its_document_has_the_same_print() -> None:
    [upload] = (read_sale(each, index=0) for each in as_parsed(make_sale()))
    content = upload.content(TAX)
    assert content is not None

    again = Content.from_document(content.document())

    assert again.fingerprint() == content.fingerprint()


NUMBERS = st.decimals(min_value=0, max_value=10**8, places=4)


@given(
    customer_id=st.integers(1, 2**63),
    status=st.sampled_from(STATUSES),
    notes=st.text(),
    items=st.lists(
        st.tuples(
            st.integers(1, 2**63),
            NUMBERS,
            NUMBERS,
            st.sampled_from(DISCOUNT_TYPES),
            NUMBERS,
            st.none() | NUMBERS,
        )
    ),
)
def test_a_print_put_together_by_hand_is_the_print_of_the_document(
    customer_id: int,
    status: str,
    notes: str,
    items: list[tuple[int, Decimal, Decimal, str, Decimal, Decimal | None]],
) -> None:
    document = [
        customer_id,
        status,
        notes,
        [
            [value if value is None or type(value) is int else str(value) for value in item]
            for item in items
        ],
    ]

    by_hand = print_of(customer_id, status, notes, [said_item(*item) for item in items])

    assert by_hand == fingerprint_of(document)
