"""A content is known again, however it was said."""

from decimal import Decimal

from bulonera_sync.sales import Content
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
