"""The OpenAPI 3.1 document, assembled from `operations`, the forms' types and the settings."""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter

from bulonera_sync.codes import MEANINGS
from bulonera_sync.config import Settings
from bulonera_sync.server.mending import MAX_KEYS
from bulonera_sync.server.operations import (
    JSON,
    OPERATIONS,
    UNBOUND,
    Operation,
    Reply,
)
from bulonera_sync.server.sync import MAX_LOCAL_IDS

Document = dict[str, Any]

# Nobody has an allowance before it is known who asks.
_UNKNOWN_USER = 401

DESCRIPTION = """\
Tills sell offline, keep each sale under a UUID, and upload it here when the network is back.

- Every path is served with and without its trailing slash, and where there is GET there is HEAD.
- JSON in and out, in UTF-8. Money and quantities leave as strings with a point, times as ISO 8601
  UTC with `Z`. A request may have each number as a string or as a JSON number; a string says
  exactly what it says. Numbers have no exponent.
- Every path but the gateway's own wants `Authorization: Token <token>` and counts towards the
  user's allowance. With a throttle, its state is in the `X-RateLimit-` headers of each answer.
- A refusal of the whole request is `{"detail"}`; an endpoint's refusal of what it was asked is
  `{"status": "error", "error"}`. Answers have no fields but those told here.
- A path that is not here is 404, a method that a path does not have is 405 with `Allow`, an unknown
  `Expect` is 417, too many connections are 503 (`components/responses`); what is not HTTP at all is
  400 with `{"detail"}`.

<details><summary>Every <code>code</code>, and what it means</summary>

| code | meaning |
|---|---|
"""

HEADERS: Mapping[str, Document] = {
    "X-RateLimit-Limit": {
        "description": "the whole allowance; none of these headers while the throttle is off",
        "schema": {"type": "integer", "minimum": 1},
    },
    "X-RateLimit-Remaining": {
        "description": "requests left at once",
        "schema": {"type": "integer", "minimum": 0},
    },
    "X-RateLimit-Reset": {
        "description": "seconds until the allowance is full again",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Retry-After": {
        "description": "seconds to wait",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"required": True, "schema": {"const": "Token"}},
    "Allow": {
        "description": "the methods that the path has",
        "required": True,
        "schema": {"type": "string"},
    },
    "ETag": {"required": True, "schema": {"type": "string"}},
}
RATE_LIMIT = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def make_document(settings: Settings) -> Document:
    """Return the document of a gateway with these settings."""
    schemas = Schemas(settings)
    paths: dict[str, Document] = {}
    for (path, method), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bulonera-sync",
            "version": version("bulonera-sync"),
            "description": f"{DESCRIPTION}{''.join(_code_rows())}\n</details>\n",
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "Sync", "description": "what a till asks"},
            {"name": "Sales", "description": "one sale, whole"},
            {"name": "Gateway", "description": "of the gateway itself; no token needed"},
        ],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`Token <token>`; `Bearer <token>` is taken too",
                }
            },
            "headers": dict(HEADERS),
            "responses": {name: _reply(each, schemas, ()) for name, each in UNBOUND.values()},
            "schemas": schemas.named,
        },
    }


def _code_rows() -> Iterator[str]:
    return (f"| `{code}` | {meaning} |\n" for code, meaning in MEANINGS.items())


def _operation(operation: Operation, schemas: "Schemas") -> Document:
    rate_limit = () if operation.is_open else RATE_LIMIT
    document: Document = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [dict(each) for each in operation.parameters],
        "responses": {
            str(status): _reply(reply, schemas, () if status == _UNKNOWN_USER else rate_limit)
            for status, reply in operation.all_replies().items()
        },
    }
    if operation.body is not None:
        content = _content((operation.body,), operation.body_examples, schemas)
        document["requestBody"] = {"required": True, "content": {JSON: content}}
    if operation.links:
        document["responses"]["200"]["links"] = {
            name: {
                "operationId": target,
                "parameters": {"sale": "$response.body#/results/0/sale_id"},
            }
            for name, target in operation.links.items()
        }
    if operation.is_open:
        document["security"] = []
    return document


def _reply(reply: Reply, schemas: "Schemas", rate_limit: tuple[str, ...]) -> Document:
    document: Document = {"description": reply.why}
    headers = {
        name: {"$ref": f"#/components/headers/{name}"} for name in (*reply.headers, *rate_limit)
    }
    if headers:
        document["headers"] = headers
    if reply.forms:
        content = _content(reply.forms, reply.examples, schemas)
        document["content"] = {reply.media_type: content}
    return document


def _content(
    kinds: tuple[Any, ...], examples: Mapping[str, Mapping[str, Any]], schemas: "Schemas"
) -> Document:
    found = [schemas.of(kind) for kind in kinds]
    document: Document = {"schema": found[0] if len(found) == 1 else {"anyOf": found}}
    if examples:
        document["examples"] = {name: {"value": value} for name, value in examples.items()}
    return document


class Schemas:
    """The JSON Schemas of the forms, with these settings' limits."""

    def __init__(self, settings: Settings) -> None:
        kinds = list(_forms())
        schemas, definitions = TypeAdapter.json_schemas(
            [(index, "serialization", TypeAdapter(kind)) for index, kind in enumerate(kinds)],
            ref_template="#/components/schemas/{model}",
        )
        self._kinds = kinds
        self._schemas = [schemas[index, "serialization"] for index in range(len(kinds))]
        self.named: Document = _untitled(definitions["$defs"])
        self._limit(settings)

    def of(self, kind: Any) -> Document:
        """Return the schema of a form: a reference where it has a name."""
        schema: Document = _untitled(self._schemas[self._kinds.index(kind)])
        return schema

    def _limit(self, settings: Settings) -> None:
        sync, most = settings.sync, "maxItems"
        self._field("UploadBody", "sales")[most] = sync.max_sales
        self._field("StatusesBody", "local_ids")[most] = MAX_LOCAL_IDS
        for name in ("SaleSaid", "ClientData", "EditBody"):
            self._field(name, "items")[most] = sync.max_items
        for name, field in (("RetryById", "sale_ids"), ("RetryByLocalId", "local_ids")):
            self._field(name, field)[most] = MAX_KEYS

    def _field(self, form: str, name: str) -> Document:
        field: Document = self.named[form]["properties"][name]
        return field


def _forms() -> Iterator[Any]:
    """Yield each form once."""
    replies = [each for one in OPERATIONS.values() for each in one.all_replies().values()]
    bodies = [one.body for one in OPERATIONS.values() if one.body is not None]
    kinds: list[Any] = []
    answered = (
        kind for each in (*replies, *(each for _, each in UNBOUND.values())) for kind in each.forms
    )
    for kind in (*bodies, *answered):
        if kind not in kinds:
            kinds.append(kind)
    yield from kinds


def _untitled(schema: Any) -> Any:
    """Return a schema without the titles that pydantic makes of the fields' own names."""
    if isinstance(schema, list):
        return [_untitled(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _untitled(value)
        for name, value in schema.items()
        if not (name == "title" and isinstance(value, str))
    }
