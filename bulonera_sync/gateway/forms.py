"""The forms of what leaves, as types: `documents` fills them, the OpenAPI document shows them.

A docstring here is what a till's developer reads of the form.
"""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config

# Until 3.12 pydantic can't read typing's own.
from typing_extensions import TypedDict

from bulonera_sync.codes import CONFLICT_CODES, PROBLEM_CODES, WARNING_CODES
from bulonera_sync.edits import FISCAL_STATUSES, PAYMENT_STATUSES
from bulonera_sync.sales import CONTENT_FIELDS, DISCOUNT_TYPES, STATUSES, SYNC_STATUSES

# A form has no fields but its own.
exactly = with_config(ConfigDict(extra="forbid"))


def _one_of(*words: str) -> Any:
    return Field(json_schema_extra={"enum": list(words)})


SaleId = Annotated[int, Field(ge=1, description="the server's id of the sale")]
SaleNumber = Annotated[
    str,
    Field(pattern=r"-[0-9]{4}-[0-9]{5,}$", description="given once, at the first receipt"),
]
LocalId = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        description="the till's UUID, in lower case",
    ),
]
Version = Annotated[int, Field(ge=1, description="the server's version of the sale")]
Count = Annotated[int, Field(ge=0)]
Time = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
        json_schema_extra={"format": "date-time"},
        description="UTC, to the second",
    ),
]
Money = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{2}$", description="pesos")]
SaleStatusWord = Annotated[str, _one_of(*STATUSES)]
PaymentStatusWord = Annotated[str, _one_of(*PAYMENT_STATUSES)]
FiscalStatusWord = Annotated[str, _one_of(*FISCAL_STATUSES)]
SyncStatusWord = Annotated[str, _one_of(*SYNC_STATUSES)]
ResolutionWord = Literal["server_wins", "client_wins", "manual"]
FieldPath = Annotated[str, Field(description='where: `items[0].quantity`, or "" for the sale')]


@exactly
class ProblemForm(TypedDict):
    """One reason against a sale."""

    field: FieldPath
    code: Annotated[str, _one_of(*PROBLEM_CODES)]
    message: Annotated[str, Field(description="for a person, in Spanish")]


@exactly
class WarningForm(TypedDict):
    """Worth a look in a sale that was accepted."""

    field: FieldPath
    code: Annotated[str, _one_of(*WARNING_CODES)]
    message: Annotated[str, Field(description="for a person, in Spanish")]


@exactly
class ItemForm(TypedDict):
    """An item as it leaves, normalised."""

    product_id: Annotated[int, Field(ge=1)]
    quantity: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{3}$", description="3 decimals")]
    unit_price: Annotated[
        str, Field(pattern=r"^[0-9]+\.[0-9]{2,4}$", description="net of tax, 2 to 4 decimals")
    ]
    discount_type: Annotated[str, _one_of(*DISCOUNT_TYPES)]
    discount_value: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{2}$")]
    tax_percentage: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{2}$")]


@exactly
class ContentForm(TypedDict):
    """What a sale says."""

    customer_id: Annotated[int, Field(ge=1)]
    status: SaleStatusWord
    items: list[ItemForm]
    notes: str


@exactly
class ConflictForm(TypedDict):
    """Both sides of a sale that was changed on both."""

    server_version: Version
    client_version: Annotated[int, Field(ge=1, description="on which the client's copy is based")]
    fields: Annotated[
        list[Annotated[str, _one_of(*CONTENT_FIELDS)]], Field(description="in which they differ")
    ]
    server: ContentForm
    client: ContentForm
    base: Annotated[
        ContentForm | None,
        Field(description="the server's content at client_version, where it still knows it"),
    ]


@exactly
class SuccessResult(TypedDict):
    """Kept, and on disk."""

    index: Count
    local_id: LocalId
    status: Literal["success"]
    sale_id: SaleId
    sale_number: SaleNumber
    version: Annotated[
        Version | None, Field(description="the server's version; null for another user's sale")
    ]
    message: Annotated[
        str | None,
        Field(
            description="null for a new sale; else `Sale already synced`, `Sale updated`, "
            "`Sale merged` or `Conflict already resolved with ...`"
        ),
    ]
    sale: NotRequired[
        Annotated[ContentForm, Field(description="the server's content, for the till to take")]
    ]
    warnings: NotRequired[list[WarningForm]]


@exactly
class ErrorResult(TypedDict):
    """Refused, and kept with its reasons; `error` and `code` are the first of `errors`."""

    index: Count
    local_id: Annotated[str, Field(description='as it was sent, shortened, or "MISSING"')]
    status: Literal["error"]
    error: str
    errors: Annotated[list[ProblemForm], Field(min_length=1)]
    code: Annotated[str, _one_of(*PROBLEM_CODES)]
    retryable: Annotated[
        bool, Field(description="true when new data on the server can cure it without the till")
    ]
    sale_id: Annotated[SaleId | None, Field(description="null where it has no sale to show")]
    sale_number: SaleNumber | None
    version: Version | None
    message: None


@exactly
class ConflictResult(TypedDict):
    """Changed on both sides: the client's is parked beside the server's, which is untouched."""

    index: Count
    local_id: LocalId
    status: Literal["conflict"]
    sale_id: SaleId
    sale_number: SaleNumber
    version: Version
    code: Annotated[str, _one_of(*CONFLICT_CODES)]
    message: str
    conflict_data: ConflictForm


UploadResult = SuccessResult | ErrorResult | ConflictResult


@exactly
class PendingRow(TypedDict):
    """A sale that is not synced."""

    id: SaleId
    number: SaleNumber
    status: SaleStatusWord
    payment_status: PaymentStatusWord
    fiscal_status: FiscalStatusWord
    customer: Annotated[Any, Field(description="the customer's id, or what was sent in its place")]
    total: Annotated[Money, Field(description='"0.00" where it can\'t be computed')]
    created_at: Time
    sync_status: Annotated[str, _one_of("pending", "error", "conflict")]
    local_id: LocalId
    version: Version
    error: str | None
    sync_attempt_count: Count
    next_attempt_at: Time | None
    dead: Annotated[bool, Field(description="true once the automatic attempts are used up")]
    warnings: NotRequired[list[WarningForm]]


@exactly
class StatusForm(TypedDict):
    """A sale's sync state."""

    sale_id: SaleId
    sale_number: SaleNumber
    local_id: LocalId
    sync_status: SyncStatusWord
    sync_succeeded_at: Time | None
    sync_last_attempt: Time | None
    sync_attempt_count: Count
    version: Version
    conflict_resolution: ResolutionWord | None
    error: str | None
    errors: list[ProblemForm]
    retryable: bool
    next_attempt_at: Time | None
    dead: bool


@exactly
class UnseenStatus(TypedDict):
    """The state of what the server never saw ("unknown") or of what is no UUID ("invalid")."""

    sale_id: None
    sale_number: None
    local_id: Annotated[str, Field(description="as it was asked for, shortened")]
    sync_status: Literal["unknown", "invalid"]
    sync_succeeded_at: None
    sync_last_attempt: None
    sync_attempt_count: Literal[0]
    version: None
    conflict_resolution: None
    error: None
    errors: Annotated[list[ProblemForm], Field(max_length=0)]
    retryable: Literal[False]
    next_attempt_at: None
    dead: Literal[False]


class AmountsForm(TypedDict):
    """What a line or a sale comes to."""

    subtotal: Money
    discount: Money
    tax: Money
    total: Money


@exactly
class LineForm(ItemForm, AmountsForm):
    """An item of a sale, with its place and its amounts."""

    line: Count


class SaleFields(StatusForm, AmountsForm):
    """What every whole sale has."""

    id: SaleId
    number: SaleNumber
    status: SaleStatusWord
    payment_status: PaymentStatusWord
    fiscal_status: FiscalStatusWord
    customer: Annotated[Any, Field(description="the customer's id, or what was sent in its place")]
    customer_id: Annotated[Any, Field(description="the same as `customer`")]
    notes: str
    items: Annotated[list[LineForm], Field(description="none while a held sale has a wrong one")]
    created_by: Annotated[str, Field(description="the user's name")]
    created_at: Annotated[Time, Field(description="the server's receipt")]
    sold_at: Annotated[Time | None, Field(description="the till's created_at")]
    updated_at: Time
    warnings: list[WarningForm]


@exactly
class SaleForm(SaleFields):
    """The whole sale."""

    conflict_data: NotRequired[Annotated[ConflictForm, Field(description="while in conflict")]]
    payload: NotRequired[
        Annotated[Any, Field(description="a held sale word for word, as it was sent")]
    ]


@exactly
class ResolvedSale(TypedDict):
    """A sale as a resolution shows it."""

    id: SaleId
    number: SaleNumber
    local_id: LocalId
    sync_status: SyncStatusWord
    sync_succeeded_at: Time | None
    version: Version
    conflict_resolution: ResolutionWord | None
    customer_id: Annotated[int | None, Field(description="null while the sale is held")]
    status: SaleStatusWord
    items: list[ItemForm]
    notes: str


@exactly
class RetriedSale(TypedDict):
    """What became of a sale that was there."""

    sale_id: SaleId
    sale_number: SaleNumber
    local_id: LocalId
    status: Annotated[str, _one_of("queued", "already_synced", "conflict", "damaged")]
    attempt: Count


@exactly
class UnfoundId(TypedDict):
    """No such sale, or another user's."""

    sale_id: int
    status: Literal["not_found"]


@exactly
class UnfoundLocalId(TypedDict):
    """No such sale, or another user's."""

    local_id: LocalId
    status: Literal["not_found"]


RetryRow = RetriedSale | UnfoundId | UnfoundLocalId
