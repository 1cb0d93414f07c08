"""Every answer that a test gets is held against the OpenAPI document: nothing undocumented."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from jsonschema_rs import Draft202012Validator

from bulonera_sync.config import Settings
from bulonera_sync.server.openapi import make_document
from bulonera_sync.server.operations import UNBOUND

DOCUMENT = make_document(Settings())
COMPONENTS = DOCUMENT["components"]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def result(self) -> Any:
        """The only result of an upload of one sale."""
        [result] = self.json["results"]
        return result


def check_documented(method: str, path: str, answer: Answer) -> None:
    """Hold an answer's status, headers, media type and body against the document."""
    if method == "OPTIONS":
        # A browser's own question before the request, the same for every path.
        return
    at = f"{method} {path} -> {answer.status}"
    response = _response(method, path, answer.status)
    assert response is not None, f"{at} is not documented"
    for name, reference in response.get("headers", {}).items():
        _check_header(at, answer, name, COMPONENTS["headers"][reference["$ref"].split("/")[-1]])
    if method == "HEAD" or "content" not in response:
        assert not answer.text, at
        return
    [(media_type, content)] = response["content"].items()
    told = answer.headers["Content-Type"].partition(";")[0]
    assert re.fullmatch(media_type.replace("*", ".*"), told), f"{at}: {told}"
    if media_type == "application/json":
        check_valid(content["schema"], answer.json, at)


def _response(method: str, path: str, status: int) -> Any:
    name, _ = UNBOUND.get(status, (None, None))
    unbound = COMPONENTS["responses"].get(name)
    if status == 417 or (method == "OPTIONS" and unbound):
        return unbound
    found = _path_item(unquote(urlsplit(path).path).removesuffix("/"))
    if found is None:
        return unbound if status == 404 else None
    operation = found.get("get" if method == "HEAD" else method.lower())
    if operation is None and status == 405:
        return unbound
    # Who may not come in is told so first, whatever the method.
    operation = operation or next(iter(found.values()))
    return operation["responses"].get(str(status))


def _path_item(path: str) -> Any:
    # The other endpoints' folder, not a sale.
    if path == "/api/v1/sales/sync":
        return None
    for template, item in DOCUMENT["paths"].items():
        form = re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(template.rstrip("/")))
        if re.fullmatch(form, path, re.DOTALL):
            return item
    return None


def _check_header(at: str, answer: Answer, name: str, header: Any) -> None:
    if name not in answer.headers:
        assert not header.get("required"), f"{at} lacks {name}"
        return
    said = answer.headers[name]
    is_integer = header["schema"].get("type") == "integer"
    check_valid(header["schema"], int(said) if is_integer else said, f"{at} {name}")


def check_valid(schema: Any, value: Any, at: str) -> None:
    """Hold a value against one of the document's schemas."""
    errors = [f"{error.instance_path}: {error.message}" for error in _errors(schema, value)]
    assert not errors, f"{at}: {errors[:3]}"


def _errors(schema: Any, value: Any) -> Any:
    return _validator(json.dumps(schema)).iter_errors(value)


@cache
def _validator(schema: str) -> Any:
    whole = {**json.loads(schema), "components": COMPONENTS}
    return Draft202012Validator(whole, validate_formats=True)
