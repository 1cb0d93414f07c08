"""How many connections there may be, and how long each may take to say or to hear something.

Deadlines are looked at by one sweep over all connections, not by a timer each: thousands of idle
ones cost a millisecond or two a second, and a request starts and cancels nothing.
"""

import asyncio
import logging
import resource
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, cast

from aiohttp import web
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_runner import BaseSite

from bulonera_sync.server import answers

logger = logging.getLogger("bulonera_sync")

SWEEP_SECONDS = 1.0
# From the connection's start, or from a further request's first byte, to the end of its headers.
HEAD_SECONDS = 15.0
# A body, and an answer, may take so long and the time that its bytes need at the rate of a very
# bad Wi-Fi: 5 MiB have eleven minutes.
TRANSFER_SECONDS = 30.0
BYTES_PER_SECOND = 8 * 1024
HANDSHAKE_SECONDS = 10.0
# Tills ask as soon as they have connected; so long after it they do not give way.
TO_ASK_SECONDS = 1.0
# Who is turned away is given a moment to read it; beyond so many at once, none.
TURNED_AWAY_SECONDS = 1.0
MAX_TURNED_AWAY = 200
RETRY_AFTER_SECONDS = 5
# Files that are no connections: database, log, what is being turned away or is shaking hands.
OTHER_FILES = 500


class SlowBodyError(Exception):
    """A request's body came more slowly than any till sends one."""


class _Waiting:
    """Connections that wait for a request, in the order in which they may be closed for others."""

    def __init__(self) -> None:
        # Each with the time since when it waits.
        self._new: OrderedDict[Connection, float] = OrderedDict()
        self._kept: OrderedDict[Connection, float] = OrderedDict()

    def add(self, connection: "Connection", now: float, *, has_asked: bool) -> None:
        (self._kept if has_asked else self._new)[connection] = now

    def remove(self, connection: "Connection") -> None:
        self._new.pop(connection, None)
        self._kept.pop(connection, None)

    def first(self, now: float) -> "Connection | None":
        """Return who has waited longest: of those that never asked, then of those that once did."""
        new, since = next(iter(self._new.items()), (None, now))
        # Those that connect at once would else close one another before any could ask.
        if now - since > TO_ASK_SECONDS:
            return new
        return next(iter(self._kept), new)


class Connections:
    """All open connections, by address, and which of them give way to a new one."""

    def __init__(self, most: int, most_of_an_address: int) -> None:
        self._most = most
        self._most_of_an_address = most_of_an_address
        self._open: dict[str, set[Connection]] = {}
        self._count = 0
        self._waiting = _Waiting()
        self._waiting_by_address: dict[str, _Waiting] = {}
        self._turned_away: set[Connection] = set()
        self._refused = 0

    def admit(self, connection: "Connection", now: float) -> bool:
        """Take a new connection in, in the place of a waiting one if need be; or return False."""
        address = connection.address
        if len(self._open.get(address, ())) >= self._most_of_an_address:
            if not self._make_room(self._waiting_by_address[address], now):
                return False
        elif self._count >= self._most and not self._make_room(self._waiting, now):
            return False
        self._open.setdefault(address, set()).add(connection)
        self._waiting_by_address.setdefault(address, _Waiting())
        self._count += 1
        self.waits(connection, now, has_asked=False)
        return True

    def _make_room(self, waiting: _Waiting, now: float) -> bool:
        oldest = waiting.first(now)
        if oldest is None:
            return False
        self.forget(oldest)
        oldest.force_close()
        return True

    def waits(self, connection: "Connection", now: float, *, has_asked: bool) -> None:
        """From now on this connection waits for a request."""
        mine = self._waiting_by_address.get(connection.address)
        if mine is not None and connection in self._open[connection.address]:
            mine.add(connection, now, has_asked=has_asked)
            self._waiting.add(connection, now, has_asked=has_asked)

    def works(self, connection: "Connection") -> None:
        """From now on this connection has a request."""
        self._waiting.remove(connection)
        mine = self._waiting_by_address.get(connection.address)
        if mine is not None:
            mine.remove(connection)

    def forget(self, connection: "Connection") -> None:
        """This connection is closed, or as good as."""
        self._turned_away.discard(connection)
        of_address = self._open.get(connection.address, set())
        if connection not in of_address:
            return
        self.works(connection)
        of_address.remove(connection)
        self._count -= 1
        if not of_address:
            del self._open[connection.address], self._waiting_by_address[connection.address]

    def turn_away(self, connection: "Connection") -> bool:
        """Count a connection that is refused; return whether there is time to tell it."""
        self._refused += 1
        if len(self._turned_away) >= MAX_TURNED_AWAY:
            return False
        self._turned_away.add(connection)
        return True

    def sweep(self, now: float) -> None:
        """Cut every connection that is beyond a deadline; `now` is the loop's time."""
        every = [each for of_address in self._open.values() for each in of_address]
        slow = [each.address for each in every if each.cut_if_slow(now)]
        # One record a sweep: whoever opens thousands does not write thousands.
        if slow:
            logger.warning("Slow connections cut", extra={"count": len(slow), "address": slow[-1]})
        if self._refused:
            logger.warning("Connections turned away", extra={"count": self._refused})
            self._refused = 0


class Connection(RequestHandler):
    """aiohttp's connection with an end to its patience."""

    def __init__(self, manager: web.Server, *, connections: Connections, **options: Any) -> None:
        super().__init__(manager, **options)
        self._connections = connections
        self._is_turned_away = False
        # aiohttp forgets its own when it begins to close, with the answer still to be read.
        self._wire: asyncio.Transport | None = None
        self.address = ""
        self._head_since: float | None = None
        self._has_part_of_a_head = False
        self._body: StreamReader | None = None
        self._body_since = 0.0
        self._answer_deadline: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or be turned away where there is no room."""
        # A cast and no assertion: uvloop's are asyncio's by what they do, not by their class.
        transport = cast(asyncio.Transport, transport)
        self._wire = transport
        self.address = str((transport.get_extra_info("peername") or ("",))[0])
        now = self._loop.time()
        if not self._connections.admit(self, now):
            self._turn_away(transport)
            return
        self._head_since = now
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room."""
        self._connections.forget(self)
        super().connection_lost(exc)

    def _turn_away(self, transport: asyncio.Transport) -> None:
        self._is_turned_away = True
        if not self._connections.turn_away(self):
            transport.abort()
            return
        text = "Too many connections. Send it again later."
        transport.write(_answer(HTTPStatus.SERVICE_UNAVAILABLE, text))
        # Closed with a request unread, it would be reset, and the answer lost with it.
        if transport.can_write_eof():
            transport.write_eof()
        self._loop.call_later(TURNED_AWAY_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived, and the time when a request begins to."""
        if self._is_turned_away:
            return
        is_waiting = not self._request_in_progress and not self._messages
        if is_waiting and data:
            self._has_part_of_a_head = True
            if self._head_since is None:
                self._head_since = self._loop.time()
        super().data_received(data)
        if self._messages:
            self._head_since = None
            self._has_part_of_a_head = False
            self._connections.works(self)

    async def _handle_request(self, *request: Any) -> tuple[web.StreamResponse, bool]:
        try:
            return await super()._handle_request(*request)
        finally:
            if not self._messages:
                self._connections.waits(self, self._loop.time(), has_asked=True)

    def cut_if_slow(self, now: float) -> bool:
        """Cut a connection that is beyond a deadline, with an answer where one can be read."""
        if self._leaves_an_answer_unread(now):
            assert self._wire is not None
            self._wire.abort()
        elif self._head_since is not None and now - self._head_since > HEAD_SECONDS:
            self._cut_head()
        elif self._sends_too_slowly(now):
            self._cut_body()
        else:
            return False
        return True

    def _leaves_an_answer_unread(self, now: float) -> bool:
        left = self._wire.get_write_buffer_size() if self._wire else 0
        if not left:
            self._answer_deadline = None
            return False
        if self._answer_deadline is None:
            self._answer_deadline = now + TRANSFER_SECONDS + left / BYTES_PER_SECOND
        return now > self._answer_deadline

    def _cut_head(self) -> None:
        # To a browser that has connected ahead of need, an answer to nothing would be a fault.
        if self._has_part_of_a_head and self.transport is not None:
            text = "The request's headers came too slowly."
            self.transport.write(_answer(HTTPStatus.REQUEST_TIMEOUT, text))
        self._head_since = None
        self.force_close()

    def _sends_too_slowly(self, now: float) -> bool:
        body = self._current_request.content if self._current_request else None
        if body is not self._body:
            self._body, self._body_since = body, now
        # Where nobody waits for it, the slowness is ours.
        if body is None or body.is_eof() or body._waiter is None:
            return False
        allowed = TRANSFER_SECONDS + body.total_bytes / BYTES_PER_SECOND
        return now - self._body_since > allowed

    def _cut_body(self) -> None:
        assert self._body is not None
        # The rest is not waited for once more.
        self._lingering_time = 0.0
        self._body.set_exception(SlowBodyError())


def _answer(status: HTTPStatus, text: str) -> bytes:
    """Return a whole refusal, for a connection that has no request yet."""
    body = answers.dump_readably({"detail": text})
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append(f"Retry-After: {RETRY_AFTER_SECONDS}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Site(web.TCPSite):
    """aiohttp's listening socket, with deadlines for the beginning and the end of TLS."""

    async def start(self) -> None:
        """Listen; raises OSError."""
        await BaseSite.start(self)
        assert self._runner.server is not None
        seconds = HANDSHAKE_SECONDS if self._ssl_context else None
        self._server = server = await asyncio.get_running_loop().create_server(
            self._runner.server,
            self._host,
            self._port,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=seconds,
        )
        self._bound_port = server.sockets[0].getsockname()[1]


def fitting(most: int) -> int:
    """Return how many of these connections the process can have, once it is allowed more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + OTHER_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return most
    # Where hardly any are allowed, a half.
    fit = max(soft - OTHER_FILES, soft // 2)
    extra = {"max_connections": most, "allowed": fit, "open_files": soft}
    logger.warning(
        "Fewer connections than configured: the system allows few open files", extra=extra
    )
    return fit


@contextmanager
def sweeping(connections: Connections) -> Iterator[None]:
    """Cut what is beyond its deadlines while the block runs."""
    loop = asyncio.get_running_loop()

    def sweep() -> None:
        # First of all: one fault must not be the end of all deadlines.
        handles[:] = [loop.call_later(SWEEP_SECONDS, sweep)]
        connections.sweep(loop.time())

    handles = [loop.call_later(SWEEP_SECONDS, sweep)]
    try:
        yield
    finally:
        handles[0].cancel()
