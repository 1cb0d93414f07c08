"""The load: tills on raw sockets, in a process of their own so that they are not what is slow.

aiohttp's own client takes longer for a request than the empty handler for its answer. What this
one does against an empty handler is a figure of every run.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median, quantiles
from typing import Any

from benchmarks.rows import Bodies

UPLOAD = "/api/v1/sales/sync/upload/"
PENDING = "/api/v1/sales/sync/pending/?limit=50"
STATUS = "/api/v1/sales/sync/status/{}/"
RETRY = "/api/v1/sales/sync/retry/"

_PATIENCE_SECONDS = 60
# A prime: whatever their number, all ids have their turn.
_STRIDE = 2_654_435_761


@dataclass(frozen=True)
class Plan:
    """What is sent: so many clients, each its next request once its last is answered.

    `size` sales an upload; without it GETs, or POSTs of `body`. `{}` in the path or in the body
    is filled with the ids from `first_id` on, `ids` of them, each as often, scattered.
    """

    port: int
    token: str
    path: str
    seconds: float
    clients: int = 1
    size: int = 0
    body: str = ""
    first_id: int = 1
    ids: int = 1


@dataclass(frozen=True)
class Load:
    """What came of it: seconds of each request, of the whole, and of the generator's own CPU.

    `served_seconds` are of CPU too: the program's that was loaded, where somebody looked.
    """

    latencies: list[float]
    seconds: float
    busy_seconds: float
    refused: int
    uploaded: int
    accepted: int
    served_seconds: float = 0.0

    @property
    def p50(self) -> float:
        return median(self.latencies)

    @property
    def p99(self) -> float:
        return quantiles(self.latencies, n=100)[98] if len(self.latencies) > 1 else self.p50

    @property
    def requests_per_second(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def sales_per_second(self) -> float:
        return self.accepted / self.seconds

    @property
    def served_seconds_each(self) -> float:
        """What an accepted sale cost the program, or a request that brings none."""
        return self.served_seconds / (
            (self.accepted if self.uploaded else 0) or len(self.latencies)
        )


def run(plan: Plan) -> Load:
    """Send it from a process of its own. Raises when anything is answered but 200 and 400."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.clients"],
        input=json.dumps(asdict(plan)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=plan.seconds + _PATIENCE_SECONDS,
    )
    return Load(**json.loads(done.stdout))


def _requests(plan: Plan, client: int) -> Iterator[bytes]:
    """Yield one till's requests, whole, head and body."""
    if plan.size:
        for body in Bodies(plan.size, first=client * 10_007):
            yield _head(plan, "POST", plan.path, len(body)) + body
    turn = client * 101
    while True:
        turn += 1
        # One after the other, a few thousand requests would only see the first pages of a million.
        number = str(plan.first_id + turn * _STRIDE % plan.ids)
        path, body = plan.path.replace("{}", number), plan.body.replace("{}", number).encode()
        yield _head(plan, "POST" if body else "GET", path, len(body)) + body


def _head(plan: Plan, method: str, path: str, length: int) -> bytes:
    content = f"Content-Type: application/json\r\nContent-Length: {length}\r\n" if length else ""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token {plan.token}\r\n"
        f"{content}\r\n"
    ).encode()


class Till(asyncio.Protocol):
    """One connection: sends a request, waits for its answer, sends the next until the end."""

    def __init__(self, plan: Plan, requests: Iterator[bytes], end: float) -> None:
        self._plan = plan
        self._requests = requests
        self._end = end
        self._buffer = b""
        self._begun = 0.0
        self._next = next(requests)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.latencies: list[float] = []
        self.refused = self.accepted = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._begun = time.perf_counter()
        self._transport.write(self._next)
        # While the server is at work.
        self._next = next(self._requests)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        now = time.perf_counter()
        self.latencies.append(now - self._begun)
        self._count(head, body)
        self._buffer = b""
        if now < self._end:
            self._send()
        else:
            self._transport.close()

    def _count(self, head: bytes, body: bytes) -> None:
        if head[9:12] != b"200":
            self.refused += 1
        elif self._plan.size and b'"summary"' in body:
            self.accepted += json.loads(body[body.rindex(b'"summary":') + 10 : -1])["successful"]

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self._end:
            self.done.set_exception(exc or ConnectionError("the server hung up"))
        else:
            self.done.set_result(None)


def _same(till: Till) -> Till:
    return till


def _length(head: bytes) -> int:
    """Return the answer's Content-Length: aiohttp writes it so."""
    start = head.index(b"Content-Length: ") + 16
    end = head.find(b"\r\n", start)
    return int(head[start : end if end > 0 else None])


async def _send_all(plan: Plan) -> Mapping[str, Any]:
    requests = [_requests(plan, client) for client in range(plan.clients)]
    for each in requests:
        # Templates are made before the clock runs.
        next(each)
    loop = asyncio.get_running_loop()
    begun, busy = time.perf_counter(), time.process_time()
    end = begun + plan.seconds
    tills = [Till(plan, each, end) for each in requests]
    for till in tills:
        await loop.create_connection(partial(_same, till), "127.0.0.1", plan.port)
    await asyncio.gather(*(till.done for till in tills))
    latencies = [each for till in tills for each in till.latencies]
    return {
        "latencies": latencies,
        "seconds": time.perf_counter() - begun,
        "busy_seconds": time.process_time() - busy,
        "refused": sum(till.refused for till in tills),
        "uploaded": len(latencies) * plan.size,
        "accepted": sum(till.accepted for till in tills),
    }


if __name__ == "__main__":
    json.dump(asyncio.run(_send_all(Plan(**json.load(sys.stdin)))), sys.stdout)
