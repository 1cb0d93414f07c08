"""What we hold of a sale: its content, its state, what is parked beside it. Values only."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple, TypedDict

from bulonera_sync.codes import ConflictCode, ProblemCode, WarningCode
from bulonera_sync.money import ZERO, Amounts, format_price, line_amounts, sum_amounts, total_of
from bulonera_sync.values import value

SaleStatus = Literal["draft", "confirmed", "in_preparation", "ready", "delivered", "cancelled"]
SyncStatus = Literal["pending", "error", "conflict", "synced"]
Resolution = Literal["server_wins", "client_wins", "manual"]
Role = Literal["cashier", "manager"]

# In the order a sale goes through them; cancelled is behind nothing (contract 2, row 16).
STATUSES: tuple[str, ...] = (
    "draft",
    "confirmed",
    "in_preparation",
    "ready",
    "delivered",
    "cancelled",
)
LOCKED_STATUSES = frozenset({"delivered", "cancelled"})
DISCOUNT_TYPES: tuple[str, ...] = ("none", "percentage", "fixed")
SYNC_STATUSES: tuple[str, ...] = ("pending", "error", "conflict", "synced")


@value
class User:
    """Who asks: an account of the gateway."""

    id: int
    username: str
    role: Role

    @property
    def is_manager(self) -> bool:
        return self.role == "manager"

    def may_see(self, sale: "Sale") -> bool:
        """Whether the sale exists as far as this user is told."""
        return self.is_manager or sale.user_id == self.id


# Whoever sits at the gateway's own terminal: no account, a manager's rights.
OPERATOR = User(0, "cli", "manager")


class Product(NamedTuple):
    """What the rules need of a catalogue product; price and tax are None where it states none."""

    id: int
    price: Decimal | None
    tax_percentage: Decimal | None


class ItemDocument(TypedDict):
    """An item as it leaves: id as integer, quantity with 3 decimals, price with 2 to 4."""

    product_id: int
    quantity: str
    unit_price: str
    discount_type: str
    discount_value: str
    tax_percentage: str


class ContentDocument(TypedDict):
    """A sale's content as it leaves, in `conflict_data` and under `sale`."""

    customer_id: int
    status: str
    items: list[ItemDocument]
    notes: str


class Item(NamedTuple):
    """One line of a sale: quantity to 3 decimals, price net of tax to 4, percentages to 2."""

    product_id: int
    quantity: Decimal
    unit_price: Decimal
    discount_type: str
    discount_value: Decimal
    tax_percentage: Decimal

    def amounts(self) -> Amounts:
        return line_amounts(
            self.quantity,
            self.unit_price,
            self.discount_type,
            self.discount_value,
            self.tax_percentage,
        )

    def document(self) -> ItemDocument:
        return {
            "product_id": self.product_id,
            "quantity": f"{self.quantity:.3f}",
            "unit_price": format_price(self.unit_price),
            "discount_type": self.discount_type,
            "discount_value": f"{self.discount_value:.2f}",
            "tax_percentage": f"{self.tax_percentage:.2f}",
        }


@value
class Content:
    """What a sale says, normalised: two equal contents are the same sale (contract 2)."""

    customer_id: int
    status: str
    items: tuple[Item, ...]
    notes: str

    def amounts(self) -> Amounts:
        return sum_amounts(item.amounts() for item in self.items)

    def total(self) -> Decimal:
        return total_of(item.amounts() for item in self.items)

    def document(self) -> ContentDocument:
        return {
            "customer_id": self.customer_id,
            "status": self.status,
            "items": [item.document() for item in self.items],
            "notes": self.notes,
        }

    @staticmethod
    def from_document(document: ContentDocument) -> "Content":
        return Content(
            customer_id=document["customer_id"],
            status=document["status"],
            items=tuple(_item_from_document(item) for item in document["items"]),
            notes=document["notes"],
        )

    def fingerprint(self) -> str:
        """Return the content's print; an upload that says it all has the same (`uploads`)."""
        items = [
            said_item(
                item.product_id,
                f"{item.quantity:.3f}",
                f"{item.unit_price:.4f}",
                item.discount_type,
                f"{item.discount_value:.2f}",
                f"{item.tax_percentage:.2f}",
            )
            for item in self.items
        ]
        return print_of(self.customer_id, self.status, self.notes, items)


def print_of(customer_id: int, status: str, notes: str, items: Iterable[str]) -> str:
    """Return the print of a content said in its normal forms, its items as `said_item` has them.

    It is `fingerprint_of` the same, put together by hand: there is one for every sale.
    """
    text = f'[{customer_id},"{status}",{_encode(notes)},[{",".join(items)}]]'
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def said_item(
    product_id: int,
    quantity: object,
    unit_price: object,
    discount_type: str,
    discount_value: object,
    tax_percentage: object,
) -> str:
    """Return an item's part of a print, of numbers in their normal forms; a tax of None is null."""
    # !s, since a Decimal takes longer to format than to say.
    tax = "null" if tax_percentage is None else f'"{tax_percentage!s}"'
    return (
        f'[{product_id},"{quantity!s}","{unit_price!s}","{discount_type}",'
        f'"{discount_value!s}",{tax}]'
    )


def _item_from_document(document: ItemDocument) -> Item:
    return Item(
        product_id=document["product_id"],
        quantity=Decimal(document["quantity"]),
        unit_price=Decimal(document["unit_price"]),
        discount_type=document["discount_type"],
        discount_value=Decimal(document["discount_value"]),
        tax_percentage=Decimal(document["tax_percentage"]),
    )


def fingerprint_of(document: object) -> str:
    """Return the SHA-256, in hex, by which equal contents are found."""
    return hashlib.sha256(_encode(document).encode("ascii")).hexdigest()


# dumps() would make an encoder of its own each time.
_encode = json.JSONEncoder(separators=(",", ":")).encode


@value
class Problem:
    """One reason against a sale: the field, a stable code, the guide's text."""

    field: str
    code: ProblemCode | WarningCode
    message: str


@value
class Fingerprints:
    """By which a content is known again.

    `content` is of the normalised content, None while a default is unknown; `said` is of what
    the body says, omitted fields left omitted, and stands for refused uploads too.
    """

    said: str
    content: str | None = None

    @staticmethod
    def of(content: "Content") -> "Fingerprints":
        """Return the prints of a content that was made here: it says all that it means."""
        made = content.fingerprint()
        return Fingerprints(said=made, content=made)

    def match(self, other: "Fingerprints") -> bool:
        same_content = self.content is not None and self.content == other.content
        return same_content or self.said == other.said


@value
class Parked:
    """The client's side of a conflict, beside the server's, which is untouched."""

    content: Content
    fingerprints: Fingerprints
    version: int
    code: ConflictCode
    parked_at: datetime


# Why a held sale is tried again: its backoff, somebody's request, an import that cures it.
RetryCause = Literal["schedule", "request", "import"]


@value
class Sale:
    """A sale as the gateway holds it: accepted (`content`) or held (`payload`, `problems`).

    `is_content_uploaded` tells a till's content from one a manager or a merge made;
    `resolution_words` knows the last resolution again while nothing else has changed the sale;
    `customer_said` is the JSON text of a held sale's customer_id, as sent; `attempts` counts
    uploads and retries of every kind, `automatic_attempts` those of the schedule alone;
    `is_damaged` is found when it is read (`damage`), and not stored.
    """

    id: int
    number: str
    local_id: str
    user_id: int
    sync_status: SyncStatus
    status: str
    version: int
    fingerprints: Fingerprints
    created_at: datetime
    updated_at: datetime
    content: Content | None = None
    is_content_uploaded: bool = True
    customer_said: str | None = None
    total: Decimal = ZERO
    payment_status: str = "unpaid"
    fiscal_status: str = "pending"
    tax_defaults: Mapping[int, Decimal] = field(default_factory=dict)
    sold_at: datetime | None = None
    sync_succeeded_at: datetime | None = None
    sync_last_attempt: datetime | None = None
    attempts: int = 1
    automatic_attempts: int = 0
    retry_cause: RetryCause | None = None
    next_attempt_at: datetime | None = None
    is_dead: bool = False
    payload: str | None = None
    problems: tuple[Problem, ...] = ()
    parked: Parked | None = None
    conflict_resolution: Resolution | None = None
    resolution_words: str | None = None
    warnings: tuple[Problem, ...] = ()
    is_damaged: bool = False

    @property
    def is_held(self) -> bool:
        """Not accepted yet: kept as its payload, in error or queued."""
        return self.sync_status in ("error", "pending")

    @property
    def error(self) -> str | None:
        return self.problems[0].message if self.problems else None


CopyKind = Literal["accepted", "edited", "merged", "parked", "refused", "foreign", "held"]

# The copies that were the server's own content at their version: what a conflict is based on.
SERVER_COPIES: frozenset[CopyKind] = frozenset({"accepted", "edited"})
# The copies that say "this upload was taken already" (row 9).
TAKEN_COPIES: frozenset[CopyKind] = frozenset({"accepted", "merged"})
# The copies that the sale's owner once sent, whatever became of them (row 1).
OWNER_COPIES: frozenset[CopyKind] = frozenset({"accepted", "merged", "parked", "refused", "held"})


@value
class Copy:
    """A former or refused content of a sale, kept to know it again and to show it.

    `version` is the server's for accepted and edited, else the client's; `text` is the JSON of
    the content, or the payload word for word where it never became one.
    """

    kind: CopyKind
    fingerprints: Fingerprints
    version: int
    text: str


ActorKind = Literal["user", "manager", "cli", "scheduler"]


@value
class Actor:
    """Who changes a sale: a kind, and the account where there is one.

    `login` is the operating system's user at the command line, which has no account.
    """

    kind: ActorKind
    user_id: int | None = None
    login: str | None = None

    @staticmethod
    def of(user: User) -> "Actor":
        if user == OPERATOR:
            return Actor("cli")
        return Actor("manager" if user.is_manager else "user", user.id)


EventKind = Literal[
    "created", "held", "retried", "updated", "merged", "conflict", "resolved", "edited", "refused"
]


@value
class Event:
    """One line of a sale's history (contract 8)."""

    kind: EventKind
    actor: Actor
    at: datetime
    from_version: int | None
    to_version: int | None
    detail: Mapping[str, object]


def differing_fields(one: Content, other: Content) -> Sequence[str]:
    """Return the names of the fields in which two contents differ, in the guide's order."""
    return [name for name in CONTENT_FIELDS if getattr(one, name) != getattr(other, name)]


CONTENT_FIELDS: tuple[str, ...] = ("customer_id", "status", "items", "notes")
