"""The API's document: valid, whole, and true to the code; `tests.http` holds answers to it."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from bulonera_sync import codes
from bulonera_sync.config import Settings
from bulonera_sync.server.app import OPEN_ROUTES, SYNC_ROUTES
from bulonera_sync.server.openapi import make_document
from tests.documented import DOCUMENT, check_valid
from tests.http import Daemon
from tests.server.test_guide_examples import (
    PENDING,
    STATUS,
    STATUS_ERROR,
    UPLOAD,
    UPLOAD_MISSING_CUSTOMER,
    UPLOAD_SUCCESS,
    check_shows,
)

PACKAGE = Path(__file__).parents[2] / "bulonera_sync"


def operations() -> Iterator[tuple[str, str, Any]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def shown_examples() -> Iterator[tuple[str, Any, Any]]:
    """Yield every example: where it stands, its schema, itself."""
    for path, method, operation in operations():
        places = {"body": operation.get("requestBody", {}), **operation["responses"]}
        for place, content in places.items():
            for media in content.get("content", {}).values():
                for name, example in media.get("examples", {}).items():
                    yield f"{method} {path} {place} {name}", media["schema"], example["value"]


def test_it_is_openapi_3_1() -> None:
    validate(DOCUMENT)

    assert DOCUMENT["openapi"].startswith("3.1.")


def test_every_route_is_documented_and_no_other() -> None:
    routes = {(path, method) for path, item in SYNC_ROUTES.items() for method in item}
    routes |= {(path, "GET") for path in OPEN_ROUTES}

    plain = {(path.replace(":(?!sync(?:/|$))[^/]+", ""), method) for path, method in routes}

    assert {(path.rstrip("/"), method.upper()) for path, method, _ in operations()} == plain


def test_every_example_is_valid() -> None:
    for at, schema, example in shown_examples():
        check_valid(schema, example, at)


@pytest.mark.parametrize(
    ("at", "printed"),
    [
        ("post /api/v1/sales/sync/upload/ 200 created", UPLOAD_SUCCESS),
        ("post /api/v1/sales/sync/upload/ 400 missing customer", UPLOAD_MISSING_CUSTOMER),
        ("get /api/v1/sales/sync/pending/ 200 two", PENDING),
        ("get /api/v1/sales/sync/status/{sale}/ 200 synced", STATUS),
    ],
)
def test_an_example_is_the_guides_own(at: str, printed: str) -> None:
    [example] = [value for place, _, value in shown_examples() if place == at]

    check_shows(example, json.loads(printed))


def test_the_upload_shown_is_the_guides_own() -> None:
    [example] = [value for at, _, value in shown_examples() if "upload/ body" in at]

    assert example == json.loads(UPLOAD)


def test_the_error_shown_is_the_guides_own() -> None:
    [example] = [value for at, _, value in shown_examples() if at.endswith("{sale}/ 200 error")]

    # Two pages of the guide print this text in two lengths; the upload's is kept.
    assert example["error"] == "Customer con id=999 no existe en base de datos"
    told = {**example, "error": "Customer con id=999 no existe"}
    check_shows(told, json.loads(STATUS_ERROR))


def test_its_limits_are_the_configurations() -> None:
    settings = Settings.model_validate({"sync": {"max_sales": 7, "max_items": 3}})

    schemas = make_document(settings)["components"]["schemas"]

    assert schemas["UploadBody"]["properties"]["sales"]["maxItems"] == 7
    assert schemas["SaleSaid"]["properties"]["items"]["maxItems"] == 3


# Codes. That no rule yields another one than these is the type checker's: Problem.code is typed.


def test_every_code_has_its_meaning_in_the_document() -> None:
    every = {
        *codes.PROBLEM_CODES,
        *codes.WARNING_CODES,
        *codes.CONFLICT_CODES,
        *codes.REFUSAL_CODES,
    }

    assert set(codes.MEANINGS) == every
    assert all(f"| `{code}` |" in DOCUMENT["info"]["description"] for code in every)


def test_every_code_told_is_yielded_by_a_rule() -> None:
    modules = [*PACKAGE.glob("*.py"), *PACKAGE.glob("gateway/*.py")]
    said = {
        node.value
        for module in modules
        if module.name != "codes.py"
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    assert set(codes.MEANINGS) <= said


def test_the_codes_of_each_answer_are_those_of_its_kind() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    told = {
        "ProblemForm": codes.PROBLEM_CODES,
        "ErrorResult": codes.PROBLEM_CODES,
        "InvalidChange": codes.PROBLEM_CODES,
        "WarningForm": codes.WARNING_CODES,
        "ConflictResult": codes.CONFLICT_CODES,
        "MovedResolution": codes.REFUSAL_CODES,
    }

    for form, expected in told.items():
        assert schemas[form]["properties"]["code"]["enum"] == list(expected)


# Over HTTP


async def test_it_is_served_to_anybody_once(daemon: Daemon) -> None:
    nobody = daemon.till_of(None)

    first = await nobody.get("/api/schema/")
    again = await nobody.send(
        "GET", "/api/schema", headers={"If-None-Match": first.headers["ETag"]}
    )

    assert first.status == 200
    assert first.headers["Content-Type"] == "application/json; charset=utf-8"
    assert first.json == DOCUMENT
    assert (again.status, again.text) == (304, "")
    assert again.headers["ETag"] == first.headers["ETag"]
