"""The endpoints that mend: retry, resolve, edit. Read strictly, ask the gateway, answer."""

from collections.abc import Collection, Mapping
from http import HTTPStatus

from aiohttp import web

from bulonera_sync.bodies import Number, shorten
from bulonera_sync.edits import EDITABLE_FIELDS, unknown_fields
from bulonera_sync.gateway import Moved
from bulonera_sync.gateway.documents import sale_document
from bulonera_sync.money import read_count, read_id
from bulonera_sync.resolutions import CLIENT_FIELDS, RESOLUTIONS, Invalid, Request
from bulonera_sync.server import answers
from bulonera_sync.server.keys import GATEWAY, USER
from bulonera_sync.server.requests import RefusedRequest, read_json, read_object
from bulonera_sync.server.sync import forbidden, path_key
from bulonera_sync.uploads import MAX_VERSION, read_local_id, read_notes

MAX_KEYS = 1_000
MAX_DIGITS = 100


async def retry(request: web.Request) -> web.Response:
    """POST retry/ (guide 3, contract 5)."""
    body = await read_object(request)
    keys: list[int | str] = [*_sale_ids(body.get("sale_ids")), *_local_ids(body.get("local_ids"))]
    if not keys:
        return answers.refusal("sale_ids requerido (lista de IDs)")
    if len(keys) > MAX_KEYS:
        return answers.refusal(f"sale_ids admite hasta {MAX_KEYS} IDs, recibidos: {len(keys)}")
    return answers.answer_retry(await request.app[GATEWAY].retry(request[USER], keys))


def _sale_ids(said: object) -> list[int]:
    if said is None:
        return []
    ids = [_integer(each) for each in said] if isinstance(said, list) else [None]
    known = [each for each in ids if each is not None]
    if len(known) < len(ids):
        raise RefusedRequest(answers.refusal("sale_ids debe ser lista de números enteros"))
    return known


def _integer(value: object) -> int | None:
    """Return the JSON integer, or None for anything else."""
    if type(value) is not Number or len(value) > MAX_DIGITS:
        return None
    return int(value) if value.removeprefix("-").isdigit() else None


def _local_ids(said: object) -> list[str]:
    if said is None:
        return []
    ids = [read_local_id(each) for each in said] if isinstance(said, list) else [None]
    known = [each for each in ids if each is not None]
    if len(known) < len(ids):
        raise RefusedRequest(answers.refusal("local_ids debe ser lista de UUID"))
    return known


async def resolve(request: web.Request) -> web.Response:
    """POST resolve/ (guide 4, contract 6)."""
    body = await read_object(request)
    key = _resolved_key(body)
    decision = _decision(body)
    result = await request.app[GATEWAY].resolve(request[USER], key, decision)
    return answers.answer_resolution(result, decision.resolution)


def _resolved_key(body: Mapping[str, object]) -> int | str:
    sale_id, local_id = body.get("sale_id"), body.get("local_id")
    if (sale_id in (None, "") and local_id in (None, "")) or body.get("resolution") in (None, ""):
        raise RefusedRequest(answers.refusal("sale_id y resolution requeridos"))
    if sale_id in (None, ""):
        key: int | str | None = read_local_id(local_id)
        text = f"local_id debe ser UUID válido (RFC 4122), recibido: {shorten(local_id)}"
    else:
        key = read_id(sale_id)
        text = f"sale_id debe ser un entero, recibido: {shorten(sale_id)}"
    if key is None:
        raise RefusedRequest(answers.refusal(text))
    return key


def _decision(body: Mapping[str, object]) -> Request:
    resolution = next((each for each in RESOLUTIONS if each == body["resolution"]), None)
    if resolution is None:
        text = "resolution debe ser: server_wins, client_wins o manual"
        raise RefusedRequest(answers.refusal(text))
    return Request(
        resolution=resolution,
        notes=_notes(body.get("notes")),
        client_data=_client_data(body.get("client_data"), resolution),
        expected_version=_version(body.get("expected_version"), "expected_version"),
    )


def _notes(said: object) -> str:
    notes, problem = read_notes(said)
    if problem is not None:
        raise RefusedRequest(answers.refusal(problem.message))
    return notes


def _client_data(said: object, resolution: str) -> Mapping[str, object] | None:
    if said is None:
        return None
    if resolution == "server_wins":
        text = "client_data no se admite con server_wins: la venta queda como está en el servidor"
        raise RefusedRequest(answers.refusal(text))
    if not isinstance(said, dict):
        raise RefusedRequest(answers.refusal("client_data debe ser un objeto"))
    _refuse_unknown(said, CLIENT_FIELDS, "client_data no admite")
    return said


def _refuse_unknown(said: Mapping[str, object], allowed: Collection[str], sentence: str) -> None:
    unknown = unknown_fields(said, allowed)
    if unknown:
        text = f"{sentence}: {', '.join(unknown[:10])}; admite {', '.join(allowed)}"
        raise RefusedRequest(answers.refusal(text))


def _version(said: object, name: str) -> int | None:
    if said is None:
        return None
    version = read_count(said, MAX_VERSION)
    if version is None:
        text = f"{name} debe ser un entero mayor o igual a 1, recibido: {shorten(said)}"
        raise RefusedRequest(answers.refusal(text))
    return version


async def edit(request: web.Request) -> web.Response:
    """PATCH /api/v1/sales/{id}/ (contract 7); a manager's."""
    user, gateway = request[USER], request.app[GATEWAY]
    if not user.is_manager:
        return forbidden()
    key = path_key(request)
    said, version = await _read_edit(request)
    result = await gateway.edit(user, key, said, version)
    if isinstance(result, Invalid):
        return answers.invalid(result.problems)
    found = await gateway.find_sale(user, result.sale.id)
    if isinstance(result, Moved):
        return answers.moved(result.refused, sale_document(found))
    return answers.answer_sale(found)


async def _read_edit(request: web.Request) -> tuple[Mapping[str, object], int]:
    body = await read_json(request)
    if not isinstance(body, dict):
        raise RefusedRequest(
            answers.refusal("El cuerpo debe ser un objeto con los campos a cambiar")
        )
    _refuse_unknown(body, (*EDITABLE_FIELDS, "version"), "No se puede cambiar")
    version = _version(body.get("version"), "version")
    if version is None:
        raise RefusedRequest(answers.refusal("version requerido", HTTPStatus.BAD_REQUEST))
    return {name: value for name, value in body.items() if name != "version"}, version
