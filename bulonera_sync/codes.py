"""Every `code` that can be answered, and what it means: stable words for a till to act on.

A rule that yields another one is no rule: the type checker holds each of them against these.
"""

from collections.abc import Mapping
from typing import Literal, get_args

# Why a sale is refused, or an edit of one.
ProblemCode = Literal[
    "local_id_required",
    "local_id_invalid",
    "local_id_in_use",
    "pending",
    "customer_required",
    "customer_invalid",
    "customer_id_invalid",
    "customer_not_found",
    "items_required",
    "items_invalid",
    "too_many_items",
    "product_required",
    "product_invalid",
    "product_not_found",
    "quantity_required",
    "quantity_invalid",
    "quantity_not_positive",
    "unit_price_required",
    "unit_price_invalid",
    "unit_price_negative",
    "discount_type_invalid",
    "discount_value_required",
    "discount_value_invalid",
    "discount_value_out_of_range",
    "tax_percentage_invalid",
    "tax_percentage_out_of_range",
    "unknown_item_field",
    "status_invalid",
    "notes_invalid",
    "notes_too_long",
    "version_invalid",
    "created_at_invalid",
    "payment_status_invalid",
    "fiscal_status_invalid",
    "not_stored",
    "stored_damaged",
]

# What is worth a look in a sale that was accepted.
WarningCode = Literal["price_deviation"]

# Why an upload became a conflict.
ConflictCode = Literal["version_ahead", "locked", "stale_version", "status_regression"]

# Why a resolution or an edit comes too late (409).
RefusalCode = Literal[
    "not_in_conflict", "stale_version", "locked", "status_regression", "stored_damaged"
]

PROBLEM_CODES: tuple[str, ...] = get_args(ProblemCode)
WARNING_CODES: tuple[str, ...] = get_args(WarningCode)
CONFLICT_CODES: tuple[str, ...] = get_args(ConflictCode)
REFUSAL_CODES: tuple[str, ...] = get_args(RefusalCode)

Code = ProblemCode | WarningCode | ConflictCode | RefusalCode

MEANINGS: Mapping[Code, str] = {
    "local_id_required": "no local_id, or a blank one",
    "local_id_invalid": "local_id is no UUID in canonical form, or the nil UUID",
    "local_id_in_use": "another user has another sale under this local_id",
    "pending": "another user's sale, queued to be judged again",
    "customer_required": "no customer_id",
    "customer_invalid": "customer_id is no integer of 1 or more",
    "customer_id_invalid": "an edit sets customer_id to null",
    "customer_not_found": "no such active customer; an import can cure it",
    "items_required": "no items",
    "items_invalid": "an edit sets items to null",
    "too_many_items": "more items than the store allows (500)",
    "product_required": "no product_id",
    "product_invalid": "product_id is no integer of 1 or more",
    "product_not_found": "no such active product; an import can cure it",
    "quantity_required": "no quantity",
    "quantity_invalid": "quantity is no plain number, or has too many digits or decimals",
    "quantity_not_positive": "quantity is 0 or less",
    "unit_price_required": "no unit_price",
    "unit_price_invalid": "unit_price is no plain number, or has too many digits or decimals",
    "unit_price_negative": "unit_price is below 0",
    "discount_type_invalid": "discount_type is not none, percentage or fixed",
    "discount_value_required": "a percentage or fixed discount without its discount_value",
    "discount_value_invalid": "discount_value is no plain number, or has too many digits",
    "discount_value_out_of_range": "discount_value is not what its discount_type allows",
    "tax_percentage_invalid": "tax_percentage is no plain number, or has too many digits",
    "tax_percentage_out_of_range": "tax_percentage is not between 0 and 100",
    "unknown_item_field": "an item has a field that items do not have",
    "status_invalid": "status is none of a sale's",
    "notes_invalid": "notes is no text, or has characters that can't be stored",
    "notes_too_long": "notes has more than 2,000 characters",
    "version_invalid": "version is no integer of 1 or more",
    "created_at_invalid": "created_at is no ISO 8601 time with its offset",
    "payment_status_invalid": "payment_status is none of a sale's",
    "fiscal_status_invalid": "fiscal_status is none of a sale's",
    "stored_damaged": "the disk has changed the stored sale; support restores it or says it anew",
    "not_stored": "the database refused the sale; it is kept for support",
    "price_deviation": "unit_price is further from the catalogue's than the store tolerates",
    "version_ahead": "the client's version is newer than the server's",
    "locked": "the server's sale is delivered or cancelled",
    "stale_version": "the sale has changed on the server since that version",
    "status_regression": "the client's status is behind the server's",
    "not_in_conflict": "there is no conflict to resolve, or no longer",
}
