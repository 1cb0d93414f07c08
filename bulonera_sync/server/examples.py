"""The examples of the OpenAPI document: the guide's own, with what the gateway adds to them."""

from collections.abc import Mapping
from typing import Any

Example = Mapping[str, Any]

_LOCAL_ID = "550e8400-e29b-41d4-a716-446655440000"
_OTHER_LOCAL_ID = "650e8400-e29b-41d4-a716-446655440001"

_FIRST_ITEM: Example = {
    "product_id": 10,
    "quantity": "5.000",
    "unit_price": "25.50",
    "discount_type": "none",
    "discount_value": "0",
    "tax_percentage": "21",
}
_SECOND_ITEM: Example = {
    "product_id": 12,
    "quantity": "3",
    "unit_price": "100.00",
    "discount_type": "percentage",
    "discount_value": "10",
    "tax_percentage": "21",
}

UPLOAD: Example = {
    "sales": [
        {
            "local_id": _LOCAL_ID,
            "customer_id": 5,
            "status": "draft",
            "items": [_FIRST_ITEM, _SECOND_ITEM],
            "notes": "Cliente VIP - pedido urgente",
            "version": 1,
        }
    ]
}

UPLOAD_SUCCESS: Example = {
    "results": [
        {
            "index": 0,
            "local_id": _LOCAL_ID,
            "status": "success",
            "sale_id": 42,
            "sale_number": "VTA-2026-00042",
            "version": 1,
            "message": None,
        }
    ],
    "summary": {"total": 1, "successful": 1, "conflicts": 0, "errors": 0},
}

_CONTENT: Example = {
    "customer_id": 5,
    "status": "draft",
    "items": [
        {
            **_FIRST_ITEM,
            "discount_value": "0.00",
            "tax_percentage": "21.00",
        }
    ],
    "notes": "Cliente VIP - pedido urgente",
}

_CONFLICT: Example = {
    "server_version": 2,
    "client_version": 1,
    "fields": ["notes"],
    "server": {**_CONTENT, "notes": "Retira el lunes"},
    "client": {**_CONTENT, "notes": "Cliente editó con nueva información"},
    "base": _CONTENT,
}

UPLOAD_CONFLICT: Example = {
    "results": [
        {
            "index": 0,
            "local_id": _LOCAL_ID,
            "status": "conflict",
            "sale_id": 42,
            "sale_number": "VTA-2026-00042",
            "version": 2,
            "code": "stale_version",
            "message": (
                "La venta cambió en el servidor (versión 2) después de la versión 1 del cliente"
            ),
            "conflict_data": _CONFLICT,
        }
    ],
    "summary": {"total": 1, "successful": 0, "conflicts": 1, "errors": 0},
}

_MISSING_CUSTOMER = "Customer con id=999 no existe en base de datos"
_MISSING_CUSTOMER_PROBLEM: Example = {
    "field": "customer_id",
    "code": "customer_not_found",
    "message": _MISSING_CUSTOMER,
}

UPLOAD_MISSING_CUSTOMER: Example = {
    "results": [
        {
            "index": 0,
            "local_id": _LOCAL_ID,
            "status": "error",
            "error": _MISSING_CUSTOMER,
            "errors": [_MISSING_CUSTOMER_PROBLEM],
            "code": "customer_not_found",
            "retryable": True,
            "sale_id": 42,
            "sale_number": "VTA-2026-00042",
            "version": 1,
            "message": None,
        }
    ],
    "summary": {"total": 1, "successful": 0, "conflicts": 0, "errors": 1},
}

_HELD_ROW: Example = {
    "status": "draft",
    "payment_status": "unpaid",
    "fiscal_status": "pending",
    "customer": 3,
    "version": 1,
    "dead": False,
}

PENDING: Example = {
    "count": 2,
    "limit": 50,
    "total": 2,
    "results": [
        {
            "id": 5,
            "number": "VTA-2026-00005",
            **_HELD_ROW,
            "total": "125.50",
            "created_at": "2026-02-16T10:30:00Z",
            "sync_status": "pending",
            "local_id": _LOCAL_ID,
            "error": None,
            "sync_attempt_count": 2,
            "next_attempt_at": "2026-02-16T11:05:00Z",
        },
        {
            "id": 7,
            "number": "VTA-2026-00007",
            **_HELD_ROW,
            "total": "250.00",
            "created_at": "2026-02-16T11:00:00Z",
            "sync_status": "error",
            "local_id": _OTHER_LOCAL_ID,
            "error": "Item #0: Producto con id=999 no existe",
            "sync_attempt_count": 1,
            "next_attempt_at": "2026-02-16T11:00:24Z",
        },
    ],
}

RETRY: Example = {"sale_ids": [5, 7, 9]}


def _queued(sale_id: int, attempt: int) -> Example:
    return {
        "sale_id": sale_id,
        "sale_number": f"VTA-2026-{sale_id:05}",
        "local_id": f"{sale_id}50e8400-e29b-41d4-a716-446655440000",
        "status": "queued",
        "attempt": attempt,
    }


RETRY_QUEUED: Example = {
    "message": "Retry queued successfully",
    "processed": 3,
    "results": [_queued(5, 1), _queued(7, 2), _queued(9, 1)],
}

RESOLVE_SERVER: Example = {
    "sale_id": 42,
    "resolution": "server_wins",
    "notes": "Server tiene cambios más recientes",
}
RESOLVE_CLIENT: Example = {
    "sale_id": 42,
    "resolution": "client_wins",
    "client_data": {"notes": "Cliente editó con nueva información", "status": "confirmed"},
}
_RESOLVED: Example = {
    "id": 42,
    "number": "VTA-2026-00042",
    "local_id": _LOCAL_ID,
    "sync_status": "synced",
    "sync_succeeded_at": "2026-02-16T12:00:00Z",
    "version": 1,
    "conflict_resolution": "server_wins",
    **_CONTENT,
}
RESOLVED: Example = {"message": "Conflict resolved with server_wins", "sale": _RESOLVED}
NOT_IN_CONFLICT: Example = {
    "status": "error",
    "error": "La venta VTA-2026-00042 no está en conflicto",
    "code": "not_in_conflict",
    "sale": _RESOLVED,
}

STATUS: Example = {
    "sale_id": 42,
    "sale_number": "VTA-2026-00042",
    "local_id": _LOCAL_ID,
    "sync_status": "synced",
    "sync_succeeded_at": "2026-02-16T12:00:30Z",
    "sync_last_attempt": "2026-02-16T12:00:20Z",
    "sync_attempt_count": 1,
    "version": 1,
    "conflict_resolution": None,
    "error": None,
    "errors": [],
    "retryable": False,
    "next_attempt_at": None,
    "dead": False,
}
STATUS_ERROR: Example = {
    "sale_id": 7,
    "sale_number": "VTA-2026-00007",
    "local_id": _OTHER_LOCAL_ID,
    "sync_status": "error",
    "sync_succeeded_at": None,
    "sync_last_attempt": "2026-02-16T11:55:00Z",
    "sync_attempt_count": 1,
    "version": 1,
    "conflict_resolution": None,
    "error": _MISSING_CUSTOMER,
    "errors": [_MISSING_CUSTOMER_PROBLEM],
    "retryable": True,
    "next_attempt_at": "2026-02-16T11:55:24Z",
    "dead": False,
}
STATUSES: Example = {"local_ids": [_LOCAL_ID, _OTHER_LOCAL_ID]}
STATUSES_ANSWER: Example = {"results": [STATUS, STATUS_ERROR]}

SALE: Example = {
    **STATUS,
    "id": 42,
    "number": "VTA-2026-00042",
    "status": "draft",
    "payment_status": "unpaid",
    "fiscal_status": "pending",
    "customer": 5,
    "customer_id": 5,
    "notes": "Cliente VIP - pedido urgente",
    "items": [
        {
            "line": 0,
            **_CONTENT["items"][0],
            "subtotal": "127.50",
            "discount": "0.00",
            "tax": "26.78",
            "total": "154.28",
        }
    ],
    "subtotal": "127.50",
    "discount": "0.00",
    "tax": "26.78",
    "total": "154.28",
    "created_by": "ana",
    "created_at": "2026-02-16T12:00:20Z",
    "sold_at": None,
    "updated_at": "2026-02-16T12:00:30Z",
    "warnings": [],
}
EDIT: Example = {"version": 1, "status": "confirmed", "payment_status": "paid"}
EDITED: Example = {**SALE, "version": 2, "status": "confirmed", "payment_status": "paid"}
STALE_EDIT: Example = {
    "status": "error",
    "error": "La venta VTA-2026-00042 está en la versión 2, no en la 1",
    "code": "stale_version",
    "sale": EDITED,
}

NO_SALES: Example = {"status": "error", "error": "No sales data provided"}
NOT_JSON: Example = {"detail": "JSON parse error - Expecting value: line 1 column 1 (char 0)"}
NO_TOKEN: Example = {"detail": "Authentication credentials were not provided."}
BAD_TOKEN: Example = {"detail": "Invalid token."}
FORBIDDEN: Example = {"detail": "You do not have permission to perform this action."}
NO_SUCH_ROUTE: Example = {"detail": "Not found."}
WRONG_METHOD: Example = {"detail": 'Method "DELETE" not allowed.'}
TOO_LARGE: Example = {"detail": "Request body too large: the limit is 5242880 bytes."}
NOT_JSON_TYPE: Example = {"detail": 'Unsupported media type "text/plain" in request.'}
THROTTLED: Example = {"detail": "Request was throttled. Expected available in 60 seconds."}
UNEXPECTED: Example = {
    "detail": "Internal error. Tell support the error_id; it is in the log.",
    "error_id": "5f0c8e1d2a3b4c6d",
}
UNAVAILABLE: Example = {
    "detail": "The database is not available now. Send it again later; nothing is lost."
}
NO_SUCH_SALE: Example = {
    "status": "error",
    "error": "Sale 42 not found or permission denied",
}
NONE_FOUND: Example = {"status": "error", "error": "No sales found with those IDs"}
NO_RESOLUTION: Example = {"status": "error", "error": "sale_id y resolution requeridos"}
INVALID_CHANGE: Example = {
    "status": "error",
    "error": _MISSING_CUSTOMER,
    "errors": [_MISSING_CUSTOMER_PROBLEM],
    "code": "customer_not_found",
}
OK: Example = {"status": "ok"}
NOT_READY: Example = {"status": "error", "error": "the database can't be reached"}
