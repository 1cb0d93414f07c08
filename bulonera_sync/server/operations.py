"""Every endpoint as the OpenAPI document tells it: what it takes, all that it can answer.

The forms are in `forms`, the examples in `examples`; a test holds these against the routes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bulonera_sync.gateway.forms import SaleForm, StatusForm
from bulonera_sync.server import examples, forms
from bulonera_sync.server.examples import Example
from bulonera_sync.server.forms import UUID_PATTERN
from bulonera_sync.server.pages import ASSETS

SYNC = "/api/v1/sales/sync"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """One status: why it is answered, the forms of its body, an example by name, its headers."""

    why: str
    forms: tuple[Any, ...] = ()
    examples: Mapping[str, Example] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    media_type: str = JSON


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; `links` name the operations that its success leads to."""

    name: str
    tag: str
    summary: str
    description: str
    replies: Mapping[int, Reply]
    body: Any = None
    body_examples: Mapping[str, Example] = field(default_factory=dict)
    parameters: tuple[Mapping[str, Any], ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    is_open: bool = False

    def all_replies(self) -> Mapping[int, Reply]:
        """Return its own replies and those of every endpoint of its kind, by status."""
        if self.is_open:
            return dict(sorted({**self.replies, 500: UNEXPECTED}.items()))
        common = {**GUARDED, **(WITH_BODY if self.body else {})}
        own = {status: _joined(common.get(status), reply) for status, reply in self.replies.items()}
        return dict(sorted({**common, **own}.items()))


def _joined(common: Reply | None, own: Reply) -> Reply:
    if common is None:
        return own
    return Reply(
        f"{own.why} Or {common.why[0].lower()}{common.why[1:]}",
        (*own.forms, *common.forms),
        {**own.examples, **common.examples},
        (*common.headers, *own.headers),
    )


UNEXPECTED = Reply(
    "A fault of the gateway.", (forms.UnexpectedError,), {"fault": examples.UNEXPECTED}
)
NO_SUCH_ROUTE = Reply("No such path.", (forms.Detail,), {"no path": examples.NO_SUCH_ROUTE})
WRONG_METHOD = Reply(
    "A method that the path does not have.",
    (forms.Detail,),
    {"wrong method": examples.WRONG_METHOD},
    ("Allow",),
)
UNCHANGED = Reply("It is the one that `If-None-Match` names.", headers=("ETag",))
TOO_SLOW = Reply(
    "The request came too slowly: send it again.",
    (forms.Detail,),
    {"body": {"detail": "The request's body came too slowly. Send it again."}},
)
# What no operation answers, by status: wrong paths and methods, what stands before them all.
UNBOUND: Mapping[int, tuple[str, Reply]] = {
    204: (
        "Preflight",
        Reply("A browser's OPTIONS for a page of an origin in `[server] cors_origins`."),
    ),
    403: (
        "UnlistedOrigin",
        Reply("The same for a page of another origin.", (forms.Detail,)),
    ),
    404: ("NoSuchPath", NO_SUCH_ROUTE),
    405: ("WrongMethod", WRONG_METHOD),
    408: ("TooSlow", TOO_SLOW),
    417: (
        "ExpectationFailed",
        Reply(
            "An `Expect` header that is not `100-continue`.",
            (forms.Detail,),
            {"unknown": {"detail": "Expectation Failed"}},
        ),
    ),
    503: (
        "TooManyConnections",
        Reply(
            "The gateway has no connection left for this one: send it again.",
            (forms.Detail,),
            {"full": {"detail": "Too many connections. Send it again later."}},
            ("Retry-After",),
        ),
    ),
}
GUARDED: Mapping[int, Reply] = {
    401: Reply(
        "No token, or one that is unknown, revoked or of a disabled user.",
        (forms.Detail,),
        {"no token": examples.NO_TOKEN, "bad token": examples.BAD_TOKEN},
        ("WWW-Authenticate",),
    ),
    429: Reply(
        "The user's allowance is used up, or this address sent ten bad tokens within a minute.",
        (forms.Detail,),
        {"throttled": examples.THROTTLED},
        ("Retry-After",),
    ),
    500: UNEXPECTED,
    503: Reply(
        "The database is busy, full or out of reach, or a commit's outcome is unknown: send it "
        "again, which is always safe.",
        (forms.Detail,),
        {"unavailable": examples.UNAVAILABLE},
        ("Retry-After",),
    ),
}
WITH_BODY: Mapping[int, Reply] = {
    400: Reply(
        "The body is not strict JSON in UTF-8, or did not arrive whole.",
        (forms.Detail,),
        {"not JSON": examples.NOT_JSON},
    ),
    408: TOO_SLOW,
    413: Reply("The body is too large.", (forms.Detail,), {"too large": examples.TOO_LARGE}),
    415: Reply(
        "The body is not `application/json`, or has a Content-Encoding.",
        (forms.Detail,),
        {"not JSON": examples.NOT_JSON_TYPE},
    ),
}
NO_SUCH_SALE = Reply(
    "No such sale, or another user's.", (forms.Refusal,), {"not found": examples.NO_SUCH_SALE}
)
FORBIDDEN = Reply("For managers alone.", (forms.Detail,), {"a cashier": examples.FORBIDDEN})


def _query(name: str, description: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _in_path(description: str) -> Mapping[str, Any]:
    return {
        "name": "sale",
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "pattern": rf"^([0-9]{{1,100}}|{UUID_PATTERN})$"},
        "example": "42",
    }


_SALE_IN_PATH = _in_path("the sale's id or its local_id")
_WRONG_KEY = Reply(
    "The path has neither an id nor a local_id.",
    (forms.Refusal,),
    {
        "neither": {
            "status": "error",
            "error": "id debe ser el id de la venta o su local_id, recibido: abc",
        }
    },
)
_STATUS_WORD = " *(pending|error|conflict) *"

OPERATIONS: Mapping[tuple[str, str], Operation] = {
    (f"{SYNC}/upload/", "post"): Operation(
        name="upload",
        tag="Sync",
        summary="Upload sales",
        description=(
            "Each sale is judged by itself, kept, numbered and explained; the results come in the "
            "order of the request. `success` is on disk, and sending it again creates nothing: the "
            "`local_id` is known. `error` and `conflict` are kept word for word with their "
            "reasons. An answer without `results` has kept nothing: send it again.\n\n"
            "The schema is that of a valid sale. Another one is no wrong request: its own result "
            "is an error, and the others count. What no schema can say is judged too: that "
            "customer and products exist, that a fixed discount is not above its line, that an "
            "integer is written without point or exponent."
        ),
        body=forms.UploadBody,
        body_examples={"two items": examples.UPLOAD},
        replies={
            200: Reply(
                "A result for each sale, at least one of them no error.",
                (forms.UploadAnswer,),
                {"created": examples.UPLOAD_SUCCESS, "conflict": examples.UPLOAD_CONFLICT},
            ),
            400: Reply(
                "Every result is an error; or there are no sales, or too many.",
                (forms.RefusedUpload, forms.Refusal),
                {
                    "missing customer": examples.UPLOAD_MISSING_CUSTOMER,
                    "no sales": examples.NO_SALES,
                },
            ),
        },
        links={"status": "status", "sale": "sale"},
    ),
    (f"{SYNC}/pending/", "get"): Operation(
        name="pending",
        tag="Sync",
        summary="List what is not synced",
        description="Oldest first. The next page is asked for with `after_id`, the last row's id.",
        parameters=(
            _query(
                "limit",
                "how many rows; more than 200 is taken as 200",
                {"type": "integer", "minimum": 1, "default": 50},
            ),
            _query(
                "status",
                "a comma list of pending, error and conflict; empty is the default",
                {
                    "type": "string",
                    "pattern": f"^({_STATUS_WORD}(,{_STATUS_WORD})*)?$",
                    "default": "pending,error",
                },
            ),
            _query("after_id", "rows behind this id only", {"type": "integer", "default": 0}),
            _query(
                "user",
                "a manager's: `all`, or a user's name; without it the asker's own",
                {"type": "string"},
            ),
        ),
        replies={
            200: Reply("A page of rows.", (forms.PendingAnswer,), {"two": examples.PENDING}),
            400: Reply(
                "A parameter says nothing usable.",
                (forms.Refusal,),
                {
                    "limit": {
                        "status": "error",
                        "error": "limit debe ser un entero mayor o igual a 1, recibido: abc",
                    }
                },
            ),
            403: Reply(
                "A cashier asked for another user's.",
                (forms.Detail,),
                {"a cashier": examples.FORBIDDEN},
            ),
        },
    ),
    (f"{SYNC}/retry/", "post"): Operation(
        name="retry",
        tag="Sync",
        summary="Judge held sales again",
        description=(
            "Sales in `error` are queued and judged again from what was kept, within five "
            "seconds; nobody needs to upload them again. Other sales get a row that says why not."
        ),
        body=forms.RetryBody,
        body_examples={"three sales": examples.RETRY},
        replies={
            200: Reply(
                "A row for each id.", (forms.RetryAnswer,), {"queued": examples.RETRY_QUEUED}
            ),
            400: Reply(
                "No ids, or other things than ids.",
                (forms.Refusal,),
                {"no list": {"status": "error", "error": "sale_ids requerido (lista de IDs)"}},
            ),
            404: Reply(
                "None of them is there.", (forms.Refusal,), {"none found": examples.NONE_FOUND}
            ),
        },
    ),
    (f"{SYNC}/resolve/", "post"): Operation(
        name="resolve",
        tag="Sync",
        summary="End a conflict",
        description=(
            "`server_wins` keeps the server's content and version. `client_wins` applies the "
            "parked content, then `client_data` over it; `manual` with `client_data` applies it "
            "over the server's content: version + 1. `manual` without it marks the conflict for a "
            "person's review. The same words sent again are answered the same."
        ),
        body=forms.ResolveBody,
        body_examples={
            "server wins": examples.RESOLVE_SERVER,
            "client wins": examples.RESOLVE_CLIENT,
        },
        replies={
            200: Reply("Decided.", (forms.ResolveAnswer,), {"server wins": examples.RESOLVED}),
            400: Reply(
                "An argument is missing or wrong, or the sale would not be valid.",
                (forms.Refusal, forms.InvalidChange),
                {"missing": examples.NO_RESOLUTION, "invalid": examples.INVALID_CHANGE},
            ),
            404: NO_SUCH_SALE,
            409: Reply(
                "The sale is not as the asker believes.",
                (forms.MovedResolution,),
                {"not in conflict": examples.NOT_IN_CONFLICT},
            ),
        },
    ),
    (f"{SYNC}/status/", "post"): Operation(
        name="statuses",
        tag="Sync",
        summary="Ask for the state of many sales",
        description=(
            "At the cost of one request: how a till asks what arrived after a lost answer. "
            '`sync_status` is "unknown" for what the server never saw and "invalid" for what is '
            "no UUID."
        ),
        body=forms.StatusesBody,
        body_examples={"two sales": examples.STATUSES},
        replies={
            200: Reply(
                "A state for each, in order.",
                (forms.StatusesAnswer,),
                {"two": examples.STATUSES_ANSWER},
            ),
            400: Reply(
                "No list, or a longer one than 200.",
                (forms.Refusal,),
                {"no list": {"status": "error", "error": "local_ids requerido (lista de UUID)"}},
            ),
        },
    ),
    (f"{SYNC}/status/{{sale}}/", "get"): Operation(
        name="status",
        tag="Sync",
        summary="Ask for the state of one sale",
        description="By the sale's id or its local_id.",
        parameters=(_SALE_IN_PATH,),
        replies={
            200: Reply(
                "Its state.",
                (StatusForm,),
                {"synced": examples.STATUS, "error": examples.STATUS_ERROR},
            ),
            400: _WRONG_KEY,
            404: NO_SUCH_SALE,
        },
    ),
    ("/api/v1/sales/{sale}/", "get"): Operation(
        name="sale",
        tag="Sales",
        summary="Show a whole sale",
        description="A held sale has its `payload` too, each number as it was sent.",
        parameters=(_SALE_IN_PATH,),
        replies={
            200: Reply("The sale.", (SaleForm,), {"synced": examples.SALE}),
            400: _WRONG_KEY,
            404: NO_SUCH_SALE,
        },
    ),
    ("/api/v1/sales/{sale}/", "patch"): Operation(
        name="edit",
        tag="Sales",
        summary="Edit a sale on the server",
        description=(
            "A manager's. Checked like an upload; version + 1, or the sale as it is where nothing "
            "changes. On a sale in conflict it changes the server's side; on a held one it "
            "corrects the payload, which is judged anew."
        ),
        parameters=(_SALE_IN_PATH,),
        body=forms.EditBody,
        body_examples={"confirmed and paid": examples.EDIT},
        replies={
            200: Reply("The sale as it is now.", (SaleForm,), {"edited": examples.EDITED}),
            400: Reply(
                "The path or a field is wrong, `version` is missing, or the sale would not be "
                "valid.",
                (forms.Refusal, forms.InvalidChange),
                {
                    "no version": {"status": "error", "error": "version requerido"},
                    "invalid": examples.INVALID_CHANGE,
                },
            ),
            403: FORBIDDEN,
            404: NO_SUCH_SALE,
            409: Reply(
                "The sale is not at that version.",
                (forms.MovedEdit,),
                {"stale": examples.STALE_EDIT},
            ),
        },
    ),
    ("/healthz", "get"): Operation(
        name="healthz",
        tag="Gateway",
        summary="Is it up",
        description="The process answers.",
        replies={200: Reply("It is up.", (forms.Health,), {"up": examples.OK})},
        is_open=True,
    ),
    ("/metrics", "get"): Operation(
        name="metrics",
        tag="Gateway",
        summary="Figures for Prometheus",
        description="In Prometheus' text format; nothing of a sale's content.",
        replies={200: Reply("The figures.", (str,), media_type="text/plain")},
        is_open=True,
    ),
    ("/readyz", "get"): Operation(
        name="readyz",
        tag="Gateway",
        summary="Can it work",
        description="The database is reachable and its schema is current.",
        replies={
            200: Reply("It can.", (forms.Health,), {"ready": examples.OK}),
            503: Reply(
                "It can't, and why.",
                (forms.Refusal,),
                {"database": examples.NOT_READY},
                ("Retry-After",),
            ),
        },
        is_open=True,
    ),
    ("/api/schema/", "get"): Operation(
        name="schema",
        tag="Gateway",
        summary="This document",
        description="OpenAPI 3.1, with this gateway's own limits.",
        replies={
            200: Reply(
                "The document.",
                (dict[str, Any],),
                headers=("ETag",),
            ),
            304: UNCHANGED,
        },
        is_open=True,
    ),
    ("/api/docs/", "get"): Operation(
        name="docs",
        tag="Gateway",
        summary="This document, to read and to try",
        description="It needs nothing but this gateway: no request goes anywhere else.",
        replies={
            200: Reply("A page.", (str,), headers=("ETag",), media_type="text/html"),
            304: UNCHANGED,
        },
        is_open=True,
    ),
    ("/api/docs/{file}", "get"): Operation(
        name="docsFile",
        tag="Gateway",
        summary="What that page is made of",
        description="A script or a style sheet.",
        parameters=(
            {
                "name": "file",
                "in": "path",
                "required": True,
                "description": "its name",
                "schema": {"enum": list(ASSETS)},
            },
        ),
        replies={
            200: Reply("The file.", (str,), headers=("ETag",), media_type="text/*"),
            304: UNCHANGED,
            404: NO_SUCH_ROUTE,
        },
        is_open=True,
    ),
}
