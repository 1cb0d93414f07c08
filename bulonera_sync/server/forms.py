"""The forms of HTTP's own bodies, as types: requests, refusals, and the answers around documents.

A docstring here is what a till's developer reads of the form.
"""

from typing import Annotated, Any, Literal, NotRequired, Required

from pydantic import Field, WithJsonSchema

# Until 3.12 pydantic can't read typing's own.
from typing_extensions import TypedDict

from bulonera_sync.codes import PROBLEM_CODES, REFUSAL_CODES
from bulonera_sync.edits import FISCAL_STATUSES, PAYMENT_STATUSES
from bulonera_sync.gateway.forms import (
    ErrorResult,
    PendingRow,
    ProblemForm,
    ResolvedSale,
    RetryRow,
    SaleForm,
    StatusForm,
    UnseenStatus,
    UploadResult,
    exactly,
)
from bulonera_sync.money import MAX_DIGITS
from bulonera_sync.sales import STATUSES
from bulonera_sync.uploads import MAX_NOTES, MAX_VERSION

# Not the nil UUID.
UUID_PATTERN = r"(?!0{8}(-0{4}){3}-0{12}$)[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_TIME_PATTERN = (
    r"^(?!0000|0001-01-01|9999-12-31)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
_ZERO = r"-?0+(\.0+)?"

Schema = dict[str, Any]


# Requests. They are read by hand and exactly: no Python type says as much as these schemas do.


def decimal_pattern(places: int, *, is_positive: bool = False) -> str:
    """Return the regular expression of what `money.read_decimal` takes and is not negative.

    At most 12 digits in all and `places` decimals, idle zeros apart; not 0 if so asked.
    """
    forms = [rf"[0-9]{{0,{MAX_DIGITS}}}(\.0+)?"]
    forms += [rf"[0-9]{{0,{MAX_DIGITS - n}}}\.[0-9]{{{n}}}0*" for n in range(1, places + 1)]
    number = rf"(?=[0-9])0*({'|'.join(forms)})"
    return rf"^(?=.*[1-9]){number}$" if is_positive else rf"^({number}|{_ZERO})$"


def _decimal(places: int, *, is_positive: bool = False) -> Schema:
    least = {"exclusiveMinimum": 0} if is_positive else {"minimum": 0}
    # The more decimals, the fewer digits are left before the point.
    ranges = [
        {"multipleOf": float(f"1e-{n}"), "maximum": float(f"1e{MAX_DIGITS - n}") - float(f"1e-{n}")}
        for n in range(places + 1)
    ]
    return {
        "anyOf": [
            {"type": "string", "pattern": decimal_pattern(places, is_positive=is_positive)},
            {"type": "number", **least, "anyOf": ranges},
        ]
    }


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [*schema["anyOf"], {"type": "null"}]}


_PERCENTAGE: Schema = {
    "anyOf": [
        {
            "type": "string",
            "pattern": rf"^(0*(100(\.0+)?|[0-9]{{1,2}}(\.[0-9]{{1,2}}0*)?)|{_ZERO})$",
        },
        {"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01},
    ]
}
_NOTHING: Schema = {"anyOf": [{"type": "string", "pattern": rf"^{_ZERO}$"}, {"const": 0}]}
_ID: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
        {"type": "string", "pattern": r"^0*[1-9][0-9]{0,18}$"},
    ]
}


def _said(schema: Schema, description: str = "", **more: Any) -> Any:
    about = {"description": description} if description else {}
    return WithJsonSchema({**schema, **about, **more})


CatalogId = Annotated[Any, _said(_ID, "an integer without a point, or a string of digits")]
Quantity = Annotated[
    Any, _said(_decimal(3, is_positive=True), "more than 0, up to 3 decimals, 12 digits in all")
]
Price = Annotated[Any, _said(_decimal(4), "net of tax, up to 4 decimals, 12 digits in all")]
TaxPercentage = Annotated[
    Any, _said(_or_null(_PERCENTAGE), "0 to 100, up to 2 decimals; default the product's own")
]
UuidText = Annotated[
    str,
    _said(
        {"type": "string", "pattern": rf"^{UUID_PATTERN}$"},
        "a UUID in canonical form, any case; not the nil UUID",
    ),
]
VersionSaid = Annotated[
    Any,
    _said(
        {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_VERSION},
        "the server's version on which the client's copy is based; default 1",
    ),
]
Notes = Annotated[
    Any,
    _said(
        {"type": ["string", "null"], "maxLength": MAX_NOTES, "pattern": r"^[^\u0000]*$"},
        "no NUL; null is the empty text",
    ),
]
StatusSaid = Annotated[
    Any, _said({"type": ["string", "null"], "enum": [*STATUSES, None]}, "default draft")
]
SoldAt = Annotated[
    Any,
    _said(
        {"type": ["string", "null"], "format": "date-time", "pattern": _TIME_PATTERN},
        "when it was sold, with its offset; taken once, at the first receipt",
    ),
]


class _ItemSaid(TypedDict):
    product_id: CatalogId
    quantity: Quantity
    unit_price: Price
    tax_percentage: NotRequired[TaxPercentage]


@exactly
class PlainItem(_ItemSaid):
    """An item without a discount. Numbers are best sent as strings: "25.50"."""

    discount_type: NotRequired[Annotated[Any, _said({"enum": ["none", None]}, "default none")]]
    discount_value: NotRequired[Annotated[Any, _said(_or_null(_NOTHING), "0")]]


@exactly
class PercentageItem(_ItemSaid):
    """An item with a percentage off its line."""

    discount_type: Literal["percentage"]
    discount_value: Annotated[Any, _said(_PERCENTAGE, "0 to 100, up to 2 decimals")]


@exactly
class FixedItem(_ItemSaid):
    """An item with an amount off its line."""

    discount_type: Literal["fixed"]
    discount_value: Annotated[
        Any, _said(_decimal(2), "up to 2 decimals, and up to the line's rounded subtotal")
    ]


ItemSaid = PlainItem | PercentageItem | FixedItem


class SaleSaid(TypedDict):
    """A sale as a till sends it. Keys that are not named here are ignored."""

    local_id: UuidText
    customer_id: CatalogId
    items: Annotated[list[ItemSaid], Field(min_length=1)]
    status: NotRequired[StatusSaid]
    notes: NotRequired[Notes]
    version: NotRequired[VersionSaid]
    created_at: NotRequired[SoldAt]


class UploadBody(TypedDict):
    """The sales of one upload. A sale of another form is judged too, and its result is an error."""

    sales: Annotated[list[SaleSaid], Field(min_length=1)]


SaleIds = Annotated[list[Annotated[int, Field(ge=-(10**18), le=10**18)]], Field(min_length=1)]
LocalIds = Annotated[list[UuidText], Field(min_length=1)]


class RetryById(TypedDict):
    """Sales by the server's ids, and by local_id if so wished; at most 1,000 in all."""

    sale_ids: SaleIds
    local_ids: NotRequired[list[UuidText] | None]


class RetryByLocalId(TypedDict):
    """Sales by their local_ids alone."""

    local_ids: LocalIds
    sale_ids: NotRequired[Annotated[list[int] | None, Field(max_length=0)]]


RetryBody = RetryById | RetryByLocalId


@exactly
class ClientData(TypedDict, total=False):
    """What is put over the content; what is not named stays."""

    customer_id: CatalogId
    status: Annotated[str, Field(json_schema_extra={"enum": list(STATUSES)})]
    items: Annotated[list[ItemSaid], Field(min_length=1)]
    notes: Notes


class _DecisionSaid(TypedDict):
    notes: NotRequired[Notes]
    expected_version: NotRequired[
        Annotated[
            Any,
            _said(
                {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_VERSION},
                "the server's version that was seen; another is a 409",
            ),
        ]
    ]


class _OwnSide(_DecisionSaid):
    resolution: Literal["server_wins"]
    client_data: NotRequired[None]


class _OtherSide(_DecisionSaid):
    resolution: Literal["client_wins", "manual"]
    client_data: NotRequired[ClientData | None]


class _ById(TypedDict):
    sale_id: CatalogId


class _ByLocalId(TypedDict):
    local_id: UuidText
    sale_id: NotRequired[Annotated[Any, _said({"enum": ["", None]})]]


class ServerWins(_OwnSide, _ById):
    """The server's content and version stay."""


class ServerWinsByLocalId(_OwnSide, _ByLocalId):
    """The same, of the sale under this local_id."""


class ClientWins(_OtherSide, _ById):
    """The parked content, then `client_data` over it; or `client_data` over the server's."""


class ClientWinsByLocalId(_OtherSide, _ByLocalId):
    """The same, of the sale under this local_id."""


ResolveBody = ServerWins | ClientWins | ServerWinsByLocalId | ClientWinsByLocalId


class StatusesBody(TypedDict):
    """Sales by their local_ids; what is no UUID is answered "invalid"."""

    local_ids: Annotated[list[Any], Field(min_length=1)]


@exactly
class EditBody(ClientData, total=False):
    """What a manager changes, on the version that was seen."""

    payment_status: Annotated[str, Field(json_schema_extra={"enum": list(PAYMENT_STATUSES)})]
    fiscal_status: Annotated[str, Field(json_schema_extra={"enum": list(FISCAL_STATUSES)})]
    version: Required[Annotated[int, Field(ge=1, le=MAX_VERSION)]]


# Answers


@exactly
class Detail(TypedDict):
    """A refusal of the request as a whole: nothing of it was done."""

    detail: str


@exactly
class UnexpectedError(TypedDict):
    """A fault of the gateway; the id is in its log."""

    detail: str
    error_id: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


@exactly
class Refusal(TypedDict):
    """An endpoint's refusal of what it was asked."""

    status: Literal["error"]
    error: Annotated[str, Field(description="for a person")]


@exactly
class InvalidChange(TypedDict):
    """The sale would not be valid as it was to be changed; nothing was changed."""

    status: Literal["error"]
    error: str
    errors: Annotated[list[ProblemForm], Field(min_length=1)]
    code: Annotated[str, Field(json_schema_extra={"enum": list(PROBLEM_CODES)})]


@exactly
class MovedResolution(TypedDict):
    """The sale is not as the asker believes: how it is now."""

    status: Literal["error"]
    error: str
    code: Annotated[str, Field(json_schema_extra={"enum": list(REFUSAL_CODES)})]
    sale: ResolvedSale


@exactly
class MovedEdit(TypedDict):
    """The sale is not at the version that was edited: how it is now."""

    status: Literal["error"]
    error: str
    code: Literal["stale_version", "stored_damaged"]
    sale: SaleForm


@exactly
class Summary(TypedDict):
    """The counts of an upload's results."""

    total: Annotated[int, Field(ge=1)]
    successful: Annotated[int, Field(ge=0)]
    conflicts: Annotated[int, Field(ge=0)]
    errors: Annotated[int, Field(ge=0)]


@exactly
class UploadAnswer(TypedDict):
    """A result for each sale, in the order of the request."""

    results: Annotated[list[UploadResult], Field(min_length=1)]
    summary: Summary


@exactly
class RefusedUpload(TypedDict):
    """Every result is an error; each sale is kept all the same."""

    results: Annotated[list[ErrorResult], Field(min_length=1)]
    summary: Summary


@exactly
class PendingAnswer(TypedDict):
    """A page of what is not synced, oldest first."""

    count: Annotated[int, Field(ge=0, description="rows in this answer")]
    limit: Annotated[int, Field(ge=1, le=200)]
    total: Annotated[int, Field(ge=0, description="rows that match, on every page")]
    results: list[PendingRow]


@exactly
class RetryAnswer(TypedDict):
    """A row for each sale that was asked for, in order."""

    message: Literal["Retry queued successfully", "Nothing to retry"]
    processed: Annotated[int, Field(ge=0, description="rows queued")]
    results: Annotated[list[RetryRow], Field(min_length=1)]


@exactly
class ResolveAnswer(TypedDict):
    """The sale as it is after the decision."""

    message: str
    sale: ResolvedSale


@exactly
class StatusesAnswer(TypedDict):
    """A state for each local_id, in order."""

    results: Annotated[list[StatusForm | UnseenStatus], Field(min_length=1)]


@exactly
class Health(TypedDict):
    """All is well."""

    status: Literal["ok"]
