"""What arrives on the line: bodies that are none, and HTTP that is hardly any."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.figures import Figures, keep
from tests.faults.scales import tries
from tests.faults.shops import Shop
from tests.http import SYNC
from tests.server.test_hostile import Line, anything, as_json, line, mutated_sales, thoroughly

__all__ = ["line"]

UPLOAD = f"{SYNC}/upload/"
BODIES = tries(10_000, 100_000)
_TURNED = as_json(
    {"sales": [{"local_id": "550e8400-e29b-41d4-a716-446655440000", "items": [], "notes": "ñ€🔩"}]}
)

bodies = st.one_of(
    st.binary(max_size=60),
    anything.map(as_json),
    st.lists(mutated_sales, max_size=2).map(lambda sales: as_json({"sales": sales})),
    # A body that was right but for one byte, or for its end.
    st.tuples(st.integers(0, len(_TURNED) - 1), st.integers(0, 255)).map(
        lambda turn: _TURNED[: turn[0]] + bytes([turn[1]]) + _TURNED[turn[0] + 1 :]
    ),
    st.integers(0, len(_TURNED)).map(lambda end: _TURNED[:end]),
)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@settings(thoroughly, max_examples=BODIES)
@given(body=bodies)
def test_ten_thousand_malformed_bodies_are_answered(line: Line, body: bytes) -> None:
    status, answer = line.post(UPLOAD, body)

    assert status in {200, 400, 413}
    assert isinstance(answer, dict)


HEAD = "POST {path} HTTP/1.1\r\nHost: box\r\nAuthorization: Token {token}\r\n"
JSON_TYPE = "Content-Type: application/json\r\n"
BODY = '{"sales":[]}'
LENGTH = f"Content-Length: {len(BODY)}\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
CHUNKS = f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n"
SMUGGLED = "GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n"

# Each is a head's further lines and what follows it.
CASES: list[tuple[str, str]] = [
    (LENGTH, BODY),
    (CHUNKED, CHUNKS),
    # Two ideas of where the body ends.
    (LENGTH + CHUNKED, CHUNKS + SMUGGLED),
    (CHUNKED + LENGTH, BODY + SMUGGLED),
    ("Content-Length: 0\r\n" + CHUNKED, CHUNKS),
    (LENGTH + "Content-Length: 0\r\n", BODY + SMUGGLED),
    (LENGTH + LENGTH, BODY),
    ("Content-Length: 12, 12\r\n", BODY),
    ("Content-Length: +12\r\n", BODY),
    ("Content-Length: 0x0c\r\n", BODY),
    ("Content-Length: 1_2\r\n", BODY),
    ("Content-Length: -1\r\n", BODY),
    ("Content-Length: 12 \r\n", BODY),
    ("Content-Length : 12\r\n", BODY),
    (" Content-Length: 12\r\n", BODY),
    ("Content-Length: 99999999999999999999\r\n", BODY),
    ("Content-Length: \r\n", BODY),
    ("Content-Length: ١٢\r\n", BODY),
    ("Transfer-Encoding: xchunked\r\n", CHUNKS),
    ("Transfer-Encoding : chunked\r\n", CHUNKS),
    ("Transfer-Encoding: \x0bchunked\r\n", CHUNKS),
    ("Transfer-Encoding: chunked, identity\r\n", CHUNKS),
    ("Transfer-Encoding: identity\r\n" + LENGTH, BODY),
    (CHUNKED + CHUNKED, CHUNKS),
    ("Transfer-Encoding: CHUNKED\r\n", CHUNKS),
    ("Transfer-Encoding:\r\n chunked\r\n", CHUNKS),
    # Chunks that are none.
    (CHUNKED, f"zz\r\n{BODY}\r\n0\r\n\r\n"),
    (CHUNKED, f"-1\r\n{BODY}\r\n0\r\n\r\n"),
    (CHUNKED, f"0x0c\r\n{BODY}\r\n0\r\n\r\n"),
    (CHUNKED, f"c;ext=1\r\n{BODY}\r\n0\r\n\r\n"),
    (CHUNKED, f"c\n{BODY}\n0\n\n"),
    (CHUNKED, f"c\r\n{BODY}XX0\r\n\r\n"),
    (CHUNKED, f"ffffffffffffffffff\r\n{BODY}\r\n0\r\n\r\n"),
    (CHUNKED, f"c\r\n{BODY}\r\n0\r\nTrailer: x\r\n\r\n"),
    (CHUNKED, f"c\r\n{BODY}\r\n0\r\nContent-Length: 5\r\n\r\n"),
    (CHUNKED, f"00000000000c\r\n{BODY}\r\n000\r\n\r\n"),
    # Heads that are none.
    ("no colon\r\n" + LENGTH, BODY),
    (": empty\r\n" + LENGTH, BODY),
    ("A B: c\r\n" + LENGTH, BODY),
    ("X: a\rb\r\n" + LENGTH, BODY),
    ("X: a\nb: c\r\n" + LENGTH, BODY),
    ("X: a\0b\r\n" + LENGTH, BODY),
    ("X: ñ\r\n" + LENGTH, BODY),
    ("X: " + "y" * 9_000 + "\r\n" + LENGTH, BODY),
    ("X: y\r\n" * 200 + LENGTH, BODY),
    ("X: y\r\n" * 40_000 + LENGTH, BODY),
    ("Host: other\r\n" + LENGTH, BODY),
    ("Expect: 100-continue\r\n" + LENGTH, BODY),
    ("Expect: the-unexpected\r\n" + LENGTH, BODY),
    ("Connection: close\r\n" + LENGTH, BODY),
    ("Connection: upgrade\r\nUpgrade: websocket\r\n" + LENGTH, BODY),
    ("Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\n" + LENGTH, BODY),
    ("Authorization: Token other\r\n" + LENGTH, BODY),
    ("X-Http-Method-Override: DELETE\r\n" + LENGTH, BODY),
    ("X-Forwarded-For: 127.0.0.1\r\nX-Original-Url: /admin\r\n" + LENGTH, BODY),
    ("Content-Encoding: gzip\r\n" + LENGTH, BODY),
    ("Content-Encoding: identity\r\n" + LENGTH, BODY),
    ("Range: bytes=0-1\r\n" + LENGTH, BODY),
    ("Cookie: " + "a=b; " * 1_000 + "\r\n" + LENGTH, BODY),
    # Pipelines.
    (LENGTH, BODY + SMUGGLED),
    (LENGTH, BODY + SMUGGLED * 30),
    (LENGTH, BODY + "\r\n\r\n" + SMUGGLED),
    ("Content-Length: 5\r\n", BODY),
]


def test_there_are_sixty_of_them() -> None:
    assert len(CASES) >= 60


async def _answers(port: int, sent: bytes) -> list[tuple[int, bytes]]:
    """Send bytes and read every answer until the daemon closes or says no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(sent)
    found: list[tuple[int, bytes]] = []
    try:
        while True:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 0.25 if found else 5)
            status = int(head.split(b" ", 2)[1])
            lengths = [
                int(field.partition(b":")[2])
                for field in head.split(b"\r\n")
                if field.lower().startswith(b"content-length:")
            ]
            body = await reader.readexactly(lengths[0]) if lengths else b""
            if status >= 200:
                found.append((status, body))
    except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
        return found
    finally:
        writer.transport.abort()


async def test_odd_http_is_answered_and_confuses_nobody(shop: Shop) -> None:
    await shop.box.start()
    token = shop.clients[0].token
    head = HEAD.format(path=UPLOAD, token=token) + JSON_TYPE
    trouble: list[Any] = []

    async def tried(lines: str, rest: str) -> None:
        sent = f"{head}{lines}\r\n{rest}".encode()
        answers = await _answers(shop.box.port, sent)
        smuggled = rest.count("smuggled")
        if not answers or any(status >= 500 for status, _ in answers):
            trouble.append((lines[:60], rest[:60], answers))
        # The first is the upload's, whatever it is; the next ones are those that were really sent.
        if len(answers) > 1 + smuggled and (lines, rest) != CASES[-1]:
            trouble.append((lines[:60], rest[:60], "more answers than requests"))
        for status, body in answers:
            if status != 501 and body:
                json.loads(body)

    for at in range(0, len(CASES), 16):
        await asyncio.gather(*(tried(*case) for case in CASES[at : at + 16]))
    fresh = await _answers(shop.box.port, SMUGGLED.encode())

    assert trouble == []
    assert fresh[0][0] == 200
    keep(Figures("odd HTTP", shop.engine, len(CASES), 0, 0, 0))
