"""Whatever is sent, the gateway answers in JSON, soon, and never with a fault of its own."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bulonera_sync.gateway import open_gateway
from tests.conftest import make_settings
from tests.factories import CUSTOMERS, PRODUCTS, Json, make_item, make_sale, new_local_id
from tests.http import SYNC, running_daemon

MIB = 1024 * 1024
SLOW_SECONDS = 1.0
UPLOAD, BULK_STATUS = f"{SYNC}/upload/", f"{SYNC}/status/"


class Line:
    """A connection to a daemon that runs on a loop and a thread of its own."""

    def __init__(self, address: str, token: str) -> None:
        at = urlsplit(address)
        self._http = HTTPConnection(at.hostname or "", at.port, timeout=60)
        self._token = token

    def close(self) -> None:
        self._http.close()

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Send a request; return status and JSON. Fails on a 5xx, on other than JSON, when slow.

        A busy machine may be slow once or twice; what is slow three times is slow.
        """
        took: list[float] = []
        for _ in range(3):
            begun = monotonic()
            status, text = self._ask(method, path, body)
            took.append(monotonic() - begun)
            assert status < 500, text[:500]
            if took[-1] <= SLOW_SECONDS:
                return status, json.loads(text)
        pytest.fail(f"slow three times, {min(took):.1f} s at best: {(body or b'')[:200]!r}")

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Authorization": f"Token {self._token}", "Content-Type": "application/json"}
        self._http.request(method, path, body, headers)
        response = self._http.getresponse()
        assert (response.headers["Content-Type"] or "").startswith("application/json")
        return response.status, response.read()

    def post(self, path: str, body: bytes) -> tuple[int, Any]:
        return self.ask("POST", path, body)

    def upload(self, *sales: object) -> list[Json]:
        """Upload sales; return the results, checked for what holds of every upload."""
        status, answer = self.post(UPLOAD, as_json({"sales": list(sales)}))
        check_upload(status, answer, len(sales))
        results: list[Json] = answer["results"]
        return results


@pytest.fixture
def line(store_url: str) -> Iterator[Line]:
    """A line to a daemon apart: the test's own thread is free for Hypothesis."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    started: list[tuple[str, str]] = []
    is_started = threading.Event()

    async def run() -> None:
        async with open_gateway(make_settings(store_url)) as gateway:
            await gateway.import_rows("customers", CUSTOMERS)
            await gateway.import_rows("products", PRODUCTS)
            _, issued = await gateway.add_user("ana", "cashier")
            assert issued
            async with running_daemon(gateway) as daemon:
                started.append((daemon.address, issued.token))
                is_started.set()
                await stop.wait()

    def serve() -> None:
        try:
            loop.run_until_complete(run())
        finally:
            loop.close()
            is_started.set()

    thread = threading.Thread(target=serve)
    thread.start()
    is_started.wait(60)
    assert started
    line = Line(*started[0])
    yield line
    line.close()
    loop.call_soon_threadsafe(stop.set)
    thread.join(60)


def as_json(thing: object) -> bytes:
    """Return it as JSON; a text "@raw:1e400" stands for the bare words 1e400."""
    return re.sub(r'"@raw:([^"\\]*)"(?!:)', r"\1", json.dumps(thing)).encode()


def check_upload(status: int, answer: Any, count: int) -> None:
    """Hold what is true of the answer to any upload."""
    results, summary = answer["results"], answer["summary"]
    assert [r["index"] for r in results] == list(range(count))
    outcomes = [r["status"] for r in results]
    assert set(outcomes) <= {"success", "conflict", "error"}
    assert summary == {
        "total": count,
        "successful": outcomes.count("success"),
        "conflicts": outcomes.count("conflict"),
        "errors": outcomes.count("error"),
    }
    assert status == (400 if outcomes.count("error") == count else 200)
    for result in results:
        assert isinstance(result["local_id"], str)
        assert (result["sale_id"] is None) == (result["sale_number"] is None)


# Generated bodies

ODD_TEXTS = [
    "", " ", "0", "-0", "1", "5.000", "01", "1e5", "NaN", "Infinity", "-1", "null", "true", "\0",
    "\ud800", "\udfff\ud800", "\u202e", "\u0665", "1,5", "9" * 20, "9" * 400, "0." + "0" * 400,
    "draft", "delivered", "percentage", "fixed", "none", "00000000-0000-0000-0000-000000000000",
    "{550e8400-e29b-41d4-a716-446655440000}", "2026-02-16T10:30:00Z", "0001-01-01T00:00:00+23:59",
    "'; DROP TABLE sales; --", "<script>", "${jndi:ldap://x}", "%s%n", "../../etc/passwd", "🔩" * 9,
    "@raw:1e400", "@raw:-1e1000000", "@raw:1E-1000000", "@raw:0.0000000000000000000000000001",
    "@raw:-0", "@raw:-0.0", "@raw:123456789012345678901234567890.5", "@raw:1.0",
]  # fmt: skip
NAMES = [
    "sales", "local_id", "customer_id", "items", "status", "notes", "version", "created_at",
    "product_id", "quantity", "unit_price", "discount_type", "discount_value", "tax_percentage",
]  # fmt: skip

integers = st.one_of(
    st.integers(-3, 30), st.integers(), st.sampled_from([2**31, 2**63 - 1, 2**63, 2**64, 10**300])
)
texts = st.one_of(st.sampled_from(ODD_TEXTS), st.text(st.characters(codec=None), max_size=20))
leaves = st.one_of(
    st.none(), st.booleans(), integers, st.floats(allow_nan=False, allow_infinity=False), texts
)
names = st.one_of(st.sampled_from(NAMES), texts)
anything = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=5)),
    max_leaves=12,
)

# Few local_ids, so that what is sent meets what is stored, in every state.
KNOWN_IDS = [f"550e8400-e29b-41d4-a716-44665544000{i}" for i in range(6)]


def either(valid: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what is valid, now and then anything."""
    return st.one_of(valid, valid, valid, anything)


items = st.fixed_dictionaries(
    {
        "product_id": either(st.sampled_from([10, 11, "12", 777])),
        "quantity": either(st.sampled_from(["5", 5, "0.001", "999999999999", "5.0000"])),
        "unit_price": either(st.sampled_from(["25.50", 0, "0.005", "99999999.9999"])),
    },
    optional={
        "discount_type": either(st.sampled_from(["none", "percentage", "fixed"])),
        "discount_value": either(st.sampled_from(["0", "10", "0.01", 100])),
        "tax_percentage": either(st.sampled_from(["21", 0, "10.5", "100"])),
        "qty": anything,
    },
)
mutated_sales = st.fixed_dictionaries(
    {
        "local_id": either(st.sampled_from(KNOWN_IDS)),
        "customer_id": either(st.sampled_from([5, "5", 6, 999])),
        "items": either(st.lists(items, min_size=1, max_size=3)),
    },
    optional={
        "status": either(st.sampled_from(["draft", "confirmed", "ready", "delivered"])),
        "notes": either(st.sampled_from(["", "a", "b", None])),
        "version": either(st.integers(1, 4)),
        "created_at": either(st.sampled_from(["2026-02-16T10:30:00Z", None])),
        "anything": anything,
    },
)

# Not shrunk by the clock: what is slow is measured by itself.
thoroughly = settings(
    max_examples=700,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@thoroughly
@given(body=st.one_of(anything, st.fixed_dictionaries({"sales": anything})))
def test_any_json_is_answered(line: Line, body: object) -> None:
    status, answer = line.post(UPLOAD, as_json(body))

    assert status in {200, 400}
    sales = body.get("sales") if isinstance(body, dict) else None
    if isinstance(answer, dict) and "results" in answer:
        assert isinstance(sales, list)
        check_upload(status, answer, len(sales))
    else:
        assert answer.keys() in ({"status", "error"}, {"detail"})


@settings(thoroughly, max_examples=300)
@given(sales=st.lists(mutated_sales, min_size=1, max_size=4))
def test_a_sale_that_is_somehow_wrong_is_answered_and_keeps_its_id(
    line: Line, sales: list[Json]
) -> None:
    first = line.upload(*sales)
    again = line.upload(*sales)

    assert [r["sale_id"] for r in again] == [r["sale_id"] for r in first]
    assert [r["sale_number"] for r in again] == [r["sale_number"] for r in first]
    if first[0]["sale_id"] is not None:
        status, shown = line.ask("GET", f"/api/v1/sales/{first[0]['sale_id']}/")
        assert (status, shown["number"]) == (200, first[0]["sale_number"])


@settings(thoroughly, max_examples=50)
@given(body=st.one_of(anything, st.fixed_dictionaries({"local_ids": anything})))
def test_any_bulk_status_is_answered(line: Line, body: object) -> None:
    status, _ = line.post(BULK_STATUS, as_json(body))

    assert status in {200, 400}


@settings(thoroughly, max_examples=50)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_answered(line: Line, body: bytes) -> None:
    status, _ = line.post(UPLOAD, body)

    assert status == 400


NEARLY_JSON = '{"sales": [{"local_id": "x", "a": [1, -0.5e1, true]}, 5 , "\\u00e9"], "b":{}} '
SPLICES = [
    "", " ", "\t", "\f", "\v", "\u00a0", "\ufeff", "\0", ",", ":", "[", "]", "{", "}", '"', "\\",
    "\\u", "0", "1", "-", ".", "e", "+", "NaN", "Infinity", "//", "null", "]}", "é", '"sales": [],',
    '"a"',
]  # fmt: skip


def is_strict_json(text: str) -> bool:
    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@settings(thoroughly, max_examples=400)
@given(
    start=st.integers(0, len(NEARLY_JSON)),
    length=st.integers(0, 3),
    splice=st.lists(st.sampled_from(SPLICES), max_size=2).map("".join),
)
def test_nearly_json_is_refused_exactly_where_it_is_none(
    line: Line, start: int, length: int, splice: str
) -> None:
    body = NEARLY_JSON[:start] + splice + NEARLY_JSON[start + length :]

    _, answer = line.post(UPLOAD, body.encode())

    is_refused = answer.get("detail", "").startswith("JSON parse error - ")
    assert is_refused is not is_strict_json(body), body


# Large bodies


def filled(head: bytes, filling: bytes, tail: bytes) -> bytes:
    """A body of just under 5 MiB."""
    return head + filling * ((5 * MIB - len(head) - len(tail)) // len(filling)) + tail


def sale_with(field: str, value: bytes) -> bytes:
    """One sale as JSON, a field of it in these words."""
    sale = json.dumps(make_sale(**{field: "@"})).encode()
    return b'{"sales": [' + sale.replace(b'"@"', value) + b"]}"


def item_with(field: str, value: bytes) -> bytes:
    sale = json.dumps(make_sale(items=[make_item(**{field: "@"})])).encode()
    return b'{"sales": [' + sale.replace(b'"@"', value) + b"]}"


LOCAL = f'"local_id": "{KNOWN_IDS[0]}", "customer_id": 5'.encode()
LARGE: dict[str, bytes] = {
    "open lists": b"[" * (5 * MIB),
    "open objects": filled(b"", b'{"a":', b""),
    "sales that are lists in lists": filled(b'{"sales": [', b"[[[]]],", b"[]]}"),
    "a million sales": filled(b'{"sales": [', b"{},", b"{}]}"),
    "a million items": filled(b'{"sales": [{' + LOCAL + b', "items": [', b"{},", b"{}]}]}"),
    "a million numbers for items": filled(
        b'{"sales": [{' + LOCAL + b', "items": [', b"1,", b"1]}]}"
    ),
    "a million keys that are the same": filled(b'{"sales": [{', b'"a":1,', b'"a":1}]}'),
    "one text of 5 MiB": filled(b'{"sales": [{"notes": "', b"x", b'"}]}'),
    "one text of escapes": filled(b'{"sales": [{"notes": "', b"\\u0000", b'"}]}'),
    "one text of surrogates": filled(b'{"sales": [{"notes": "', b"\\ud800", b'"}]}'),
    "one text of backslashes": filled(b'{"sales": [{"notes": "', b"\\\\", b'"}]}'),
    "one number of 5 MiB": filled(b'{"sales": [', b"9", b"]}"),
    "blanks": filled(b'{"sales": [', b" ", b"]}"),
    "an unfinished text": filled(b'{"sales": ["', b"x", b""),
}


# What is refused before it is stored is the same on both engines.
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("body", LARGE.values(), ids=LARGE)
def test_5_mib_of_nonsense_is_refused_soon(line: Line, body: bytes) -> None:
    status, answer = line.post(UPLOAD, body)

    assert status == 400
    assert len(json.dumps(answer)) < MIB


DIGITS: dict[str, bytes] = {
    "a million zeros": b"1" + b"0" * 1_000_000,
    "a million nines": b"9" * 1_000_000,
    "a millionth decimal": b"0." + b"0" * 1_000_000 + b"1",
    "a million decimals that say nothing": b"5." + b"0" * 1_000_000,
    "1e1000000": b"1e1000000",
    "-1e1000000": b"-1e1000000",
    "1e-1000000": b"1e-1000000",
    "1e999999999999999999": b"1e999999999999999999",
    "2**63": str(2**63).encode(),
    "10**400": b"1" + b"0" * 400,
    "a text of a million nines": b'"' + b"9" * 1_000_000 + b'"',
    "a text of a million zeros": b'"' + b"0" * 1_000_000 + b'"',
    "a text of 1e1000000": b'"1e1000000"',
    "a text of other digits": b'"' + "\u0665".encode() * 300_000 + b'"',
}


SALE_FIELDS = [
    "local_id", "customer_id", "items", "status", "notes", "version", "created_at", "ignored",
]  # fmt: skip
ITEM_FIELDS = [
    "product_id", "quantity", "unit_price", "discount_type", "discount_value", "tax_percentage",
    "qty",
]  # fmt: skip


def test_a_monstrous_number_is_judged_soon_wherever_it_stands(line: Line) -> None:
    for value in DIGITS.values():
        bodies = [sale_with(field, value) for field in SALE_FIELDS]
        bodies += [item_with(field, value) for field in ITEM_FIELDS]
        for body in bodies:
            status, answer = line.post(UPLOAD, body)

            check_upload(status, answer, 1)
            assert len(json.dumps(answer)) < 10_000, body[:200]


def test_200_versions_of_one_sale_in_one_body(line: Line) -> None:
    sale = make_sale()
    versions = [{**sale, "notes": f"n{i}", "version": max(i, 1)} for i in range(200)]

    results = line.upload(*versions)

    assert {r["sale_id"] for r in results} == {1}
    assert [r["status"] for r in results] == ["success"] * 200
    assert results[199]["version"] == 200


def test_200_conflicts_of_one_sale_in_one_body(line: Line) -> None:
    sale = make_sale()

    results = line.upload(*({**sale, "notes": f"n{i}"} for i in range(200)))

    outcomes = [r["status"] for r in results]
    assert outcomes == ["success"] * 2 + ["conflict"] * 198


def test_200_held_payloads_of_one_sale_in_one_body(line: Line) -> None:
    sale = make_sale(items=[])

    results = line.upload(*({**sale, "notes": f"n{i}"} for i in range(200)))

    assert {(r["status"], r["sale_id"]) for r in results} == {("error", 1)}
    assert line.ask("GET", f"{SYNC}/status/1/")[1]["sync_attempt_count"] == 200


def test_200_sales_of_500_empty_items_are_judged_soon(line: Line) -> None:
    results = line.upload(*(make_sale(items=[{}] * 500) for _ in range(200)))

    assert {r["error"] for r in results} == {"Item #0: product_id requerido"}


def test_an_item_of_a_hundred_thousand_unknown_keys_is_judged_soon(line: Line) -> None:
    item = {**make_item(), **{f"k{i}": i for i in range(100_000)}}

    [result] = line.upload(make_sale(items=[item]))

    assert result["status"] == "error"
    assert "k0" in result["error"]


def test_a_sale_of_5_mib_that_nobody_reads_is_kept_and_shown(line: Line) -> None:
    held = make_sale(items=[], ignored="x" * (4 * MIB))

    [result] = line.upload(held)

    status, shown = line.ask("GET", f"/api/v1/sales/{result['sale_id']}/")
    assert status == 200
    assert shown["payload"]["ignored"] == held["ignored"]
    assert line.ask("GET", f"{SYNC}/pending/")[1]["total"] == 1


def test_what_is_held_of_monsters_is_listed_and_shown_soon(line: Line) -> None:
    monsters = [
        make_sale(customer_id="9" * 100_000),
        make_sale(customer_id="@raw:1e1000000"),
        make_sale(items=[make_item(product_id="@raw:" + "9" * 4000)]),
        make_sale(items=[make_item(quantity="@raw:1e1000000")]),
        make_sale(version="@raw:" + "9" * 4000),
        make_sale(notes="\0" * 1000),
        make_sale(notes="\ud800" * 1000),
        make_sale(items={"a": ["\ud800", "\0", "@raw:1E-1000000"]}),
        make_sale(**{"\ud800": "\0", "items": None}),
    ]

    results = line.upload(*monsters)

    assert [r["sale_id"] for r in results] == list(range(1, len(monsters) + 1))
    total = 0
    for result in results:
        status, _ = line.ask("GET", f"/api/v1/sales/{result['sale_id']}/")
        assert status == 200
        total += (
            line.ask("GET", f"{SYNC}/status/{result['local_id']}/")[1]["sync_status"] == "error"
        )
    assert line.ask("GET", f"{SYNC}/pending/")[1]["total"] == total
    assert total >= len(monsters) - 1


HOSTILE_PATHS = [
    f"{SYNC}/status/{'9' * 6000}/",
    f"/api/v1/sales/{'9' * 6000}/",
    f"{SYNC}/pending/?limit={'9' * 6000}",
    f"{SYNC}/pending/?after_id={'9' * 6000}",
    f"{SYNC}/pending/?status={'x,' * 3000}",
    f"{SYNC}/pending/?{'limit=5&' * 700}",
    f"{SYNC}/pending/?status=%FF%00%ED%A0%80",
    f"{SYNC}/pending/?after_id=-9223372036854775809",
    f"{SYNC}/status/{new_local_id()}%00/",
    f"{SYNC}/status/%ED%A0%80/",
    "/api/v1/sales/%D9%A5/",
]


def test_a_hostile_path_is_answered(line: Line) -> None:
    for path in HOSTILE_PATHS:
        status, answer = line.ask("GET", path)

        assert status in {200, 400, 404}, path[:100]
        assert isinstance(answer, dict)
