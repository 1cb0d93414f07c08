"""The contract's common rules of HTTP, and what pending and status take."""

import asyncio
import json
from collections.abc import AsyncIterator
from io import BytesIO
from urllib.parse import urlsplit

import pytest

from tests.conftest import StartDaemon
from tests.factories import Json, make_item, make_sale, new_local_id
from tests.http import SYNC, Answer, Daemon, Till

NOT_PROVIDED = {"detail": "Authentication credentials were not provided."}
INVALID_TOKEN = {"detail": "Invalid token."}
UPLOAD, PENDING = f"{SYNC}/upload/", f"{SYNC}/pending/"


def held(**said: object) -> Json:
    return make_sale(items=[make_item(quantity="0")], **said)


def check_detail(answer: Answer, status: int) -> None:
    """A refusal of a request is JSON with `detail` alone."""
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json.keys() == {"detail"}
    assert isinstance(answer.json["detail"], str)


def check_refused_argument(answer: Answer, status: int = 400) -> None:
    """A refusal of an endpoint's own arguments is JSON with `status` and `error`."""
    assert answer.status == status, answer.text
    assert answer.json.keys() == {"status", "error"}
    assert answer.json["status"] == "error"
    assert answer.json["error"]


async def raw(daemon: Daemon, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes over a socket of their own; return status, headers and body of the answer."""
    at = urlsplit(daemon.address)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    try:
        writer.write(request)
        await writer.drain()
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        line, *fields = head.decode("latin-1").strip().split("\r\n")
        headers = {name.lower(): value for name, value in (f.split(": ", 1) for f in fields)}
        body = await asyncio.wait_for(reader.readexactly(int(headers["content-length"])), 10)
        return int(line.split()[1]), headers, body
    finally:
        writer.close()
        await writer.wait_closed()


# Paths


@pytest.mark.parametrize("slash", ["", "/"])
async def test_every_path_is_served_with_and_without_its_slash(daemon: Daemon, slash: str) -> None:
    ana = await daemon.till("ana")
    sale = make_sale()

    answers = [
        await ana.send(method, f"{path}{slash}", json=body, allow_redirects=False)
        for method, path, body in [
            ("POST", f"{SYNC}/upload", {"sales": [sale]}),
            ("GET", f"{SYNC}/pending", None),
            ("GET", f"{SYNC}/status/1", None),
            ("GET", f"{SYNC}/status/{sale['local_id']}", None),
            ("POST", f"{SYNC}/status", {"local_ids": [sale["local_id"]]}),
            ("GET", "/api/v1/sales/1", None),
            ("GET", f"/api/v1/sales/{sale['local_id']}", None),
            ("GET", "/healthz", None),
            ("GET", "/readyz", None),
        ]
    ]

    assert [answer.status for answer in answers] == [200] * 9


async def test_a_path_that_leads_nowhere_is_not_found(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    nowhere = [
        "/",
        "/api/v1/sales/",
        "/api/v1/sales/sync/",
        f"{SYNC}/uploads/",
        f"{SYNC}/upload//",
        f"{SYNC}/status/1/2/",
        "/index.html",
        "/api/v1/sales/sync/%00",
        "/favicon.ico",
        "/..%2f..%2fetc/passwd",
    ]

    for path in nowhere:
        answer = await ana.get(path)

        check_detail(answer, 404)
        assert answer.json == {"detail": "Not found."}, path


# Tokens


async def test_no_endpoint_answers_without_a_token(daemon: Daemon) -> None:
    endpoints = [
        ("POST", UPLOAD),
        ("GET", PENDING),
        ("GET", f"{SYNC}/status/1/"),
        ("POST", f"{SYNC}/status/"),
        ("GET", "/api/v1/sales/1/"),
        ("DELETE", UPLOAD),
    ]

    for method, path in endpoints:
        answer = await daemon.till_of(None).send(method, path)

        check_detail(answer, 401)
        assert answer.json == NOT_PROVIDED
        assert answer.headers["WWW-Authenticate"] == "Token"


async def test_another_kind_of_credentials_is_none(daemon: Daemon) -> None:
    stranger = daemon.till_of(None)

    for header in ("", "Token", "Basic YTpi", "Digest x", "abc123"):
        answer = await stranger.send("GET", PENDING, headers={"Authorization": header})

        check_detail(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Token"
        assert answer.json in (NOT_PROVIDED, INVALID_TOKEN)


async def test_a_token_is_taken_by_either_name(daemon: Daemon) -> None:
    ana, stranger = await daemon.till("ana"), daemon.till_of(None)

    answers = [
        await stranger.send("GET", PENDING, headers={"Authorization": f"{scheme} {ana.token}"})
        for scheme in ("Token", "Bearer", "token", "bearer")
    ]

    assert [answer.status for answer in answers] == [200] * 4


async def test_a_token_that_nobody_has_is_invalid(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    assert ana.token
    tokens = ["abc123def456", ana.token[:-1], f"{ana.token}0", ana.token.upper(), "' OR 1=1 --"]

    for token in tokens:
        answer = await daemon.till_of(token).get(PENDING)

        check_detail(answer, 401)
        assert answer.json == INVALID_TOKEN
        assert answer.headers["WWW-Authenticate"] == "Token"


async def test_a_token_that_is_not_ascii_is_invalid(daemon: Daemon) -> None:
    request = b"GET /api/v1/sales/sync/pending/ HTTP/1.1\r\nHost: x\r\nAuthorization: Token "

    for token in (b"\xc3\xb1and\xc3\xba", b"\xff\xfe", "\u0663".encode(), b"a\x80b"):
        status, headers, body = await raw(daemon, request + token + b"\r\n\r\n")

        assert status == 401
        assert headers["www-authenticate"] == "Token"
        assert json.loads(body) == INVALID_TOKEN


async def test_a_revoked_token_is_invalid_and_the_users_other_one_is_not(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    other = await daemon.gateway.create_token("ana")
    first = (await daemon.gateway.list_tokens("ana"))[0]
    assert (await ana.get(PENDING)).status == 200

    await daemon.gateway.revoke_token(first.id)

    answer = await ana.get(PENDING)
    assert (answer.status, answer.json) == (401, INVALID_TOKEN)
    assert (await daemon.till_of(other.token).get(PENDING)).status == 200


async def test_a_disabled_users_token_is_invalid_until_it_is_enabled(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    await daemon.gateway.set_user_active("ana", is_active=False)

    while_disabled = await ana.upload(make_sale())
    await daemon.gateway.set_user_active("ana", is_active=True)
    enabled = await ana.upload(make_sale())

    check_detail(while_disabled, 401)
    assert while_disabled.json == INVALID_TOKEN
    assert enabled.result["sale_id"] == 1


async def test_tokens_are_not_in_the_database(daemon: Daemon, store_url: str) -> None:
    ana = await daemon.till("ana")
    entry = (await daemon.gateway.list_tokens("ana"))[0]

    assert ana.token
    assert ana.token not in repr(entry)


# Methods


WRONG_METHODS = [
    (UPLOAD, "POST", "GET"),
    (UPLOAD, "POST", "PUT"),
    (UPLOAD, "POST", "DELETE"),
    (UPLOAD, "POST", "HEAD"),
    (UPLOAD, "POST", "OPTIONS"),
    (PENDING, "GET", "POST"),
    (PENDING, "GET", "PATCH"),
    (f"{SYNC}/status/1/", "GET", "POST"),
    (f"{SYNC}/status/", "POST", "GET"),
    ("/api/v1/sales/1/", "GET", "DELETE"),
    ("/api/v1/sales/1/", "GET", "POST"),
    (f"{SYNC}/upload", "POST", "PROPFIND"),
    ("/healthz", "GET", "POST"),
]


async def test_a_wrong_method_is_told_the_right_ones(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    for path, right, wrong in WRONG_METHODS:
        answer = await ana.send(wrong, path)

        assert answer.status == 405, (path, wrong)
        allow = answer.headers["Allow"].split(", ")
        assert right in allow
        assert wrong not in allow
        if wrong != "HEAD":
            check_detail(answer, 405)


async def test_head_answers_as_get_without_a_body(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    await ana.upload(make_sale())

    for path in (PENDING, f"{SYNC}/status/1/", "/api/v1/sales/1/"):
        head, get = await ana.send("HEAD", path), await ana.get(path)

        assert (head.status, get.status) == (200, 200)
        assert head.text == ""
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
        assert head.headers["Content-Type"] == get.headers["Content-Type"]


# Bodies


def body_of(*sales: object) -> bytes:
    return json.dumps({"sales": list(sales)}).encode()


async def test_a_body_beyond_5_mib_is_too_large(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    fits = body_of(make_sale(ignored="x" * (5 * 1024 * 1024 - 1000)))
    beyond = body_of(make_sale(ignored="x" * (5 * 1024 * 1024)))
    assert len(fits) <= 5 * 1024 * 1024

    # A stream: aiohttp's client warns of large bytes.
    as_json = {"Content-Type": "application/json"}
    taken = await ana.send("POST", UPLOAD, data=BytesIO(fits), headers=as_json)
    refused = await ana.send("POST", UPLOAD, data=BytesIO(beyond), headers=as_json)

    assert taken.status == 200
    check_detail(refused, 413)
    assert (await ana.get("/api/v1/sales/2/")).status == 404


async def test_a_chunked_body_beyond_5_mib_is_too_large(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"sales": ["'
        for _ in range(6):
            yield b"x" * 1024 * 1024
        yield b'"]}'

    answer = await ana.send(
        "POST", UPLOAD, data=endless(), headers={"Content-Type": "application/json"}
    )

    check_detail(answer, 413)


async def test_a_chunked_body_is_read(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    body = body_of(make_sale(notes="ñandú 🔩"))

    async def by_the_byte() -> AsyncIterator[bytes]:
        for byte in body:
            yield bytes([byte])

    answer = await ana.send(
        "POST", UPLOAD, data=by_the_byte(), headers={"Content-Type": "application/json"}
    )

    assert answer.status == 200
    assert (await ana.sale(1))["notes"] == "ñandú 🔩"


async def test_another_content_type_is_refused(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    kinds = ("text/plain", "application/x-www-form-urlencoded", "application/xml", "x", "")

    for kind in (*kinds, "multipart/form-data; boundary=x"):
        answer = await ana.send(
            "POST", UPLOAD, data=body_of(make_sale()), headers={"Content-Type": kind}
        )

        check_detail(answer, 415)
    assert (await ana.get("/api/v1/sales/1/")).status == 404


async def test_json_by_any_of_its_names_is_taken(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    plain = "application/json"

    for kind in (plain, f"{plain}; charset=utf-8", "APPLICATION/JSON;charset=UTF-8"):
        answer = await ana.send(
            "POST", UPLOAD, data=body_of(make_sale()), headers={"Content-Type": kind}
        )

        assert answer.status == 200


async def test_a_charset_that_is_not_ours_never_fails(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    for charset in ("no-such-charset", "", "utf-16", "latin-1", "\x80", '"'):
        kind = f"application/json; charset={charset}"
        answer = await ana.send(
            "POST", UPLOAD, data=body_of(make_sale()), headers={"Content-Type": kind}
        )

        assert answer.status in {200, 400, 415}, charset
        if answer.status != 200:
            check_detail(answer, answer.status)


async def test_a_content_encoding_is_refused(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    for encoding in ("gzip", "deflate", "br", "zstd", "compress", "x"):
        answer = await ana.post_bytes(
            UPLOAD, body_of(make_sale()), **{"Content-Encoding": encoding}
        )

        check_detail(answer, 415)
    assert (await ana.get("/api/v1/sales/1/")).status == 404


SALE = body_of({"local_id": "550e8400-e29b-41d4-a716-446655440000", "customer_id": 5})


def nested(depth: int) -> bytes:
    """A body whose deepest list is `depth` levels down; the body and its list are two."""
    inside = b"[" * (depth - 3) + b"]" * (depth - 3)
    return b'{"sales": [{"x": ' + inside + b"}]}"


NOT_JSON = {
    "nothing": b"",
    "blanks": b"  \n ",
    "a word": b"sales",
    "truncated": SALE[:-2],
    "truncated in a text": SALE[:30],
    "two documents": SALE + SALE,
    "a comma too many": b'{"sales": [],}',
    "single quotes": b"{'sales': []}",
    "a comment": b'{"sales": []} // mine',
    "NaN": b'{"sales": [{"x": NaN}]}',
    "Infinity": b'{"sales": [{"x": Infinity}]}',
    "-Infinity": b'{"sales": [{"x": -Infinity}]}',
    "invalid UTF-8": b'{"sales": [{"notes": "\xff"}]}',
    "a surrogate in UTF-8": b'{"sales": [{"notes": "\xed\xa0\x80"}]}',
    "overlong UTF-8": b'{"sales": [{"notes": "\xc0\xaf"}]}',
    "a BOM": b"\xef\xbb\xbf" + SALE,
    "UTF-16": SALE.decode().encode("utf-16"),
    "a raw line break in a text": b'{"sales": [{"notes": "a\nb"}]}',
    "a raw NUL": b'{"sales": []}\0',
    "a form feed for a blank": b'{"sales":\x0c[]}',
    "a blank of another kind": '{"sales":\u00a0[]}'.encode(),
    "a leading zero": b'{"sales": [01]}',
    "a plus": b'{"sales": [+1]}',
    "a bare point": b'{"sales": [.5]}',
    "True": b'{"sales": [True]}',
    "a bad escape": b'{"sales": ["\\x"]}',
    "nested too deep": nested(33),
    "nested far too deep": b"[" * 1_000_000,
    "objects far too deep": b'{"a":' * 200_000,
}


async def test_a_body_that_is_not_strict_json_is_refused_whole(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    for name, body in NOT_JSON.items():
        answer = await ana.post_bytes(UPLOAD, body)

        assert answer.status == 400, (name, answer.text)
        check_detail(answer, 400)
        assert answer.json["detail"].startswith("JSON parse error - "), name
        assert len(answer.json["detail"]) < 300


async def test_nesting_of_32_is_taken(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    answer = await ana.post_bytes(UPLOAD, nested(32))

    assert answer.result["status"] == "error"
    assert answer.result["local_id"] == "MISSING"


async def test_brackets_in_a_text_are_no_nesting(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    answer = await ana.upload(make_sale(notes='[[{{"' * 100, ignored="\\" * 99 + '"' + "[" * 99))

    assert answer.result["status"] == "success"


async def test_a_key_may_be_escaped(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = json.dumps(make_sale()).replace("customer", "cust\\u006fmer")

    answer = await ana.post_bytes(UPLOAD, f'{{"s\\u0061les": [{sale}]}}'.encode())

    assert answer.result["status"] == "success"


async def test_of_duplicate_keys_the_last_counts(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = json.dumps(make_sale(notes="last")).removeprefix("{")
    body = f'{{"sales": [5], "sales": [{{"notes": 5, "notes": "first", {sale}]}}'

    answer = await ana.post_bytes(UPLOAD, body.encode())

    assert answer.result["status"] == "success"
    assert (await ana.sale(1))["notes"] == "last"


async def test_a_get_needs_no_content_type_and_minds_no_body(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    answer = await ana.send("GET", PENDING, data=b"\xff\xff", headers={"Content-Type": "x/y"})

    assert answer.status == 200


# What is hardly HTTP


GET, POST = b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nHost: x\r\n"
NOT_HTTP = [
    b"garbage\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET\r\n\r\n",
    GET + b"no colon here\r\n\r\n",
    GET + b"A: " + b"x" * 20_000 + b"\r\n\r\n",
    b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    POST + b"Content-Length: -5\r\n\r\n",
    POST + b"Content-Length: abc\r\n\r\n",
    POST + b"Expect: the-unexpected\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
]


async def test_what_is_not_http_is_refused_in_json(daemon: Daemon) -> None:
    for request in NOT_HTTP:
        status, headers, body = await raw(daemon, request)

        assert 400 <= status < 500, request[:80]
        assert headers["content-type"].startswith("application/json")
        assert json.loads(body).keys() == {"detail"}


async def test_a_bad_chunk_is_refused_in_json(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    head = f"POST {UPLOAD} HTTP/1.1\r\nHost: x\r\nAuthorization: Token {ana.token}\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

    status, headers, body = await raw(daemon, head.encode() + b"zz\r\n{}\r\n0\r\n\r\n")

    assert 400 <= status < 500
    assert headers["content-type"].startswith("application/json")
    assert json.loads(body).keys() == {"detail"}


async def test_odd_bytes_in_a_path_are_answered_in_json(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    for name in ("%ff", "%00", "a%0d%0ab", "%2e%2e", "\u0665"):
        head = f"GET /api/v1/sales/{name}/ HTTP/1.1\r\nHost: x\r\n"
        head += f"Authorization: Token {ana.token}\r\n\r\n"

        status, headers, body = await raw(daemon, head.encode())

        assert status in {400, 404}, name
        assert headers["content-type"].startswith("application/json")
        assert isinstance(json.loads(body), dict)


# Pending


async def held_sales(till: Till, count: int) -> None:
    await till.upload(*(held() for _ in range(count)))


async def test_pending_lists_the_oldest_first_and_counts_all(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    await held_sales(ana, 5)
    await ana.upload(make_sale())

    answer = (await ana.get(f"{PENDING}?limit=3")).json

    assert (answer["count"], answer["limit"], answer["total"]) == (3, 3, 5)
    assert [row["id"] for row in answer["results"]] == [1, 2, 3]


async def test_pending_has_its_default_and_its_bound(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    await held_sales(ana, 200)
    await held_sales(ana, 5)

    told = [(await ana.get(f"{PENDING}{q}")).json for q in ("", "?limit=200", "?limit=9999")]

    assert [(t["count"], t["limit"], t["total"]) for t in told] == [
        (50, 50, 205),
        (200, 200, 205),
        (200, 200, 205),
    ]


async def test_pending_refuses_a_limit_that_is_none(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    for limit in ("0", "-1", "abc", "1.5", "1e1", "\u0665", "%2B5", "5%20", "5%00"):
        check_refused_argument(await ana.get(f"{PENDING}?limit={limit}"))


async def test_pending_takes_a_limit_as_large_as_it_comes(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    answers = [await ana.get(f"{PENDING}?limit={'9' * digits}") for digits in (19, 40, 5000)]

    assert [(a.status, a.json["limit"]) for a in answers] == [(200, 200)] * 3


async def test_pending_is_read_page_by_page(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    await held_sales(ana, 5)
    pages, after = [], 0

    while True:
        page = (await ana.get(f"{PENDING}?limit=2&after_id={after}")).json
        if not page["results"]:
            break
        pages.append([row["id"] for row in page["results"]])
        assert page["total"] == 5
        after = pages[-1][-1]

    assert pages == [[1, 2], [3, 4], [5]]


async def test_pending_refuses_an_after_id_that_is_no_integer(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    for after in ("abc", "1.5", "\u0665", "1e3", "1%00"):
        check_refused_argument(await ana.get(f"{PENDING}?after_id={after}"))


async def test_pending_after_an_id_beyond_all_is_empty(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    await held_sales(ana, 1)

    for after in ("9223372036854775807", "9223372036854775808", "9" * 40):
        answer = await ana.get(f"{PENDING}?after_id={after}")

        assert answer.status == 200
        assert answer.json["results"] == []


async def test_pending_is_filtered_by_status(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale()
    await ana.upload(sale, held())
    await ana.upload({**sale, "notes": "ahead", "version": 9})
    expected = {
        "": [2],
        "?status=": [2],
        "?status=error": [2],
        "?status=pending": [],
        "?status=conflict": [1],
        "?status=pending,error": [2],
        "?status=pending,error,conflict": [1, 2],
        "?status=conflict,error": [1, 2],
    }

    told = {
        query: [row["id"] for row in (await ana.get(f"{PENDING}{query}")).json["results"]]
        for query in expected
    }

    assert told == expected
    [row] = (await ana.get(f"{PENDING}?status=conflict")).json["results"]
    assert row["sync_status"] == "conflict"


async def test_pending_refuses_another_status(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    for status in ("synced", "x", "error,x", "Error", "%00"):
        check_refused_argument(await ana.get(f"{PENDING}?status={status}"))


async def test_a_row_of_pending_has_these_keys_and_no_other(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    await ana.upload(make_sale(customer_id=999))

    [row] = (await ana.get(PENDING)).json["results"]

    assert row == {
        "id": 1,
        "number": row["number"],
        "status": "draft",
        "payment_status": "unpaid",
        "fiscal_status": "pending",
        "customer": 999,
        "total": "154.28",
        "created_at": row["created_at"],
        "sync_status": "error",
        "local_id": row["local_id"],
        "version": 1,
        "error": "Customer con id=999 no existe en base de datos",
        "sync_attempt_count": 1,
        "next_attempt_at": row["next_attempt_at"],
        "dead": False,
    }


async def test_pending_of_other_users_is_a_managers(daemon: Daemon) -> None:
    ana, marta = await daemon.till("ana"), await daemon.till("marta", "manager")
    await held_sales(ana, 2)
    await held_sales(marta, 1)

    told = {
        query: [row["id"] for row in (await marta.get(f"{PENDING}{query}")).json["results"]]
        for query in ("", "?user=all", "?user=ana", "?user=marta")
    }

    assert told == {"": [3], "?user=all": [1, 2, 3], "?user=ana": [1, 2], "?user=marta": [3]}


async def test_pending_of_an_unknown_user_is_refused(daemon: Daemon) -> None:
    marta = await daemon.till("marta", "manager")

    answers = [await marta.get(f"{PENDING}?user={name}") for name in ("nobody", "%00", "a" * 500)]

    for answer in answers:
        check_refused_argument(answer)


async def test_pending_of_another_user_is_forbidden_to_a_cashier(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    await daemon.till("marta", "manager")

    for user in ("all", "marta", "nobody"):
        check_detail(await ana.get(f"{PENDING}?user={user}"), 403)


# Status


async def test_a_status_is_found_by_id_and_by_local_id(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale()
    await ana.upload(sale)

    answers = [
        await ana.get(f"{SYNC}/status/{key}/")
        for key in (1, sale["local_id"], sale["local_id"].upper())
    ]

    assert [answer.status for answer in answers] == [200] * 3
    assert len({answer.text for answer in answers}) == 1


ONE_SALE = [f"{SYNC}/status/{{}}/", "/api/v1/sales/{}/"]


async def test_what_is_neither_id_nor_local_id_is_refused(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    no_dashes = "550e8400e29b41d4a716446655440000"

    for path in ONE_SALE:
        for key in ("abc", "1.5", "-1", "%2B1", "1e3", "\u0665", no_dashes, "1%20", "1%00"):
            check_refused_argument(await ana.get(path.format(key)))


async def test_a_sale_that_is_not_there_is_not_found(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    for path in ONE_SALE:
        for key in ("999", "9223372036854775808", "9" * 40, new_local_id()):
            answer = await ana.get(path.format(key))

            check_refused_argument(answer, 404)
            assert answer.json["error"] == f"Sale {key} not found or permission denied"


@pytest.mark.parametrize("path", ONE_SALE)
async def test_anothers_sale_answers_as_a_missing_one_does(daemon: Daemon, path: str) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale, missing = make_sale(), new_local_id()
    await ana.upload(sale)

    foreign = [await eva.get(path.format(key)) for key in ("1", sale["local_id"])]
    absent = [await eva.get(path.format(key)) for key in ("2", missing)]

    assert foreign[0].text == absent[0].text.replace("Sale 2 ", "Sale 1 ")
    assert foreign[1].text == absent[1].text.replace(missing, sale["local_id"])
    for one, other in zip(foreign, absent, strict=True):
        assert one.status == other.status == 404
        unlike = {"Date", "Content-Length"}
        assert {k: v for k, v in one.headers.items() if k not in unlike} == {
            k: v for k, v in other.headers.items() if k not in unlike
        }


async def test_a_bulk_status_answers_in_order_at_the_cost_of_one(
    start_daemon: StartDaemon,
) -> None:
    async with start_daemon(throttle="50/hour") as daemon:
        ana, eva = await daemon.till("ana"), await daemon.till("eva")
        synced, wrong, foreign = make_sale(), held(), make_sale()
        await ana.upload(synced, wrong)
        await eva.upload(foreign)
        unknown = new_local_id()
        keys = [
            unknown,
            wrong["local_id"],
            "no-uuid",
            synced["local_id"].upper(),
            foreign["local_id"],
            wrong["local_id"],
        ]

        answer = await ana.post(f"{SYNC}/status/", {"local_ids": keys})

        assert answer.status == 200
        assert answer.json.keys() == {"results"}
        rows = answer.json["results"]
        assert [row["sync_status"] for row in rows] == [
            "unknown",
            "error",
            "invalid",
            "synced",
            "unknown",
            "error",
        ]
        assert [row["local_id"].lower() for row in rows] == [key.lower() for key in keys]
        assert rows[3]["sale_id"] == 1
        assert {**rows[4], "local_id": unknown} == rows[0]
        assert answer.headers["X-RateLimit-Remaining"] == "48"


async def test_a_bulk_status_calls_what_is_no_uuid_invalid(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    odd: list[object] = [None, 5, True, [], {}, 1.5, "", "x" * 10_000, "\0", "\ud800", 10**40]

    answer = await ana.post(f"{SYNC}/status/", {"local_ids": [*odd, new_local_id()]})

    assert answer.status == 200
    states = [row["sync_status"] for row in answer.json["results"]]
    assert states == [*["invalid"] * len(odd), "unknown"]


async def test_a_bulk_status_asks_for_1_to_200(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    key = new_local_id()

    full = await ana.post(f"{SYNC}/status/", {"local_ids": [key] * 200})
    beyond = await ana.post(f"{SYNC}/status/", {"local_ids": [key] * 201})
    bodies: list[object] = [{}, {"local_ids": []}, {"local_ids": "x"}, {"local_ids": {}}, []]
    others = [await ana.post(f"{SYNC}/status/", body) for body in bodies]

    assert len(full.json["results"]) == 200
    for answer in (beyond, *others):
        check_refused_argument(answer)


async def test_health_needs_no_token_and_tells_no_sale(daemon: Daemon) -> None:
    stranger = daemon.till_of(None)

    answers = [await stranger.get(path) for path in ("/healthz", "/readyz")]

    assert [answer.status for answer in answers] == [200, 200]
    assert all(isinstance(answer.json, dict) for answer in answers)


async def test_an_unknown_expectation_is_refused_in_json(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    for path in (f"{SYNC}/pending/", "/healthz", "/nowhere"):
        answer = await ana.send("GET", path, headers={"Expect": "tea"})

        assert answer.status == 417
        assert answer.json == {"detail": "Expectation Failed"}
