"""Figures for Prometheus (contract 1): what is counted as it happens, what is asked at a scrape.

Nothing of a sale's content and no user's name is among them: no token is asked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from time import perf_counter

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from bulonera_sync.errors import SchemaError, StoreUnavailableError
from bulonera_sync.gateway import Gateway, Standing
from bulonera_sync.outcomes import ConflictFound, Failure, Outcome, Success

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# From what the disk takes at its best to what a till gives up at.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
# Prometheus gives a scrape up after 10 s, and would take the gateway itself for down.
ANSWER_SECONDS = 3.0
# Paths that are no endpoint's are one label: a stranger must not make up thousands.
ELSEWHERE = "elsewhere"

Lost = Callable[[], int]


def nothing_lost() -> int:
    """Stand for a log that nobody opened."""
    return 0


class Metrics:
    """The figures of one daemon, in a registry of its own."""

    def __init__(self, gateway: Gateway, log_lines_lost: Lost = nothing_lost) -> None:
        self._gateway = gateway
        self._log_lines_lost = log_lines_lost
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "bulonera_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._seconds = Histogram(
            "bulonera_request_seconds",
            "From a request's headers to its answer.",
            ("method", "route"),
            buckets=SECONDS,
            registry=registry,
        )
        self._transactions = Histogram(
            "bulonera_transaction_seconds",
            "A write, from its BEGIN until its COMMIT was on disk, or it failed.",
            buckets=SECONDS,
            registry=registry,
        )
        self._units = Counter(
            "bulonera_transaction_units",
            "Uploads, retries, resolutions and edits that were written; several share a "
            "transaction.",
            registry=registry,
        )
        self._attempts = Counter(
            "bulonera_retry_attempts",
            "Held sales that the daemon judged again, by what became of them.",
            ("result",),
            registry=registry,
        )
        waiting = Gauge(
            "bulonera_writes_waiting", "Writes that wait for their turn.", registry=registry
        )
        waiting.set_function(lambda: gateway.waiting_writes)
        ProcessCollector(registry=registry)
        for result in ("synced", "conflict", "error"):
            self._attempts.labels(result)
        gateway.watch_writes(self._count_transaction)

    def _count_transaction(self, seconds: float, units: int) -> None:
        self._transactions.observe(seconds)
        self._units.inc(units)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer; `route` is the endpoint's template."""
        count, duration = self._figures_of(method, route, status)
        count.inc()
        duration.observe(seconds)

    def _figures_of(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        # labels() takes longer than to count.
        found = self._known.get((method, route, status))
        if found is None:
            found = self._known[method, route, status] = (
                self._requests.labels(method, route, status),
                self._seconds.labels(method, route),
            )
        return found

    def count_attempts(self, outcomes: Sequence[Outcome]) -> None:
        """Count what the daemon judged again by itself."""
        for outcome in outcomes:
            self._attempts.labels(_result(outcome)).inc()

    async def render(self) -> bytes:
        """Return all figures in Prometheus' text form; without a database, those of the process."""
        asked = CollectorRegistry()
        asked.register(_Asked(await self._standing(), self._log_lines_lost()))
        return bytes(generate_latest(self._registry) + generate_latest(asked))

    async def _standing(self) -> Standing | None:
        """Return how it stands, or None where the database doesn't say so in time."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._gateway.standing()
        except (StoreUnavailableError, SchemaError, TimeoutError):
            return None


def _result(outcome: Outcome) -> str:
    match outcome.verdict:
        case Success():
            return "synced"
        case ConflictFound():
            return "conflict"
        case Failure():
            return "error"


class _Asked(Collector):
    """What is not counted but asked for, at one scrape."""

    def __init__(self, standing: Standing | None, log_lines_lost: int) -> None:
        self._standing = standing
        self._log_lines_lost = log_lines_lost

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        """Yield the families; those of the database only while it can be read."""
        yield CounterMetricFamily(
            "bulonera_log_lines_lost", "Log records that were not written.", self._log_lines_lost
        )
        is_up = int(self._standing is not None)
        yield GaugeMetricFamily("bulonera_database_up", "Whether the database can be read.", is_up)
        if self._standing is not None:
            yield from _families(self._standing)


def _families(standing: Standing) -> Iterator[GaugeMetricFamily]:
    sales = GaugeMetricFamily("bulonera_sales", "Sales stored, by sync_status.", labels=["state"])
    for state, count in standing.sales.items():
        sales.add_metric([state], count)
    yield sales
    yield GaugeMetricFamily(
        "bulonera_oldest_unsynced_age_seconds",
        "Age of the oldest sale that is not synced; 0 when all are.",
        _age(standing.oldest_unsynced),
    )
    yield GaugeMetricFamily("bulonera_retries_due", "Held sales to be judged now.", standing.due)
    yield GaugeMetricFamily(
        "bulonera_sales_dead", "Held sales that are no longer retried.", standing.dead
    )
    yield GaugeMetricFamily(
        "bulonera_quarantined", "Uploads without a valid local_id.", standing.quarantined
    )


def _age(since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (datetime.now(UTC) - since).total_seconds())


METRICS = web.AppKey("metrics", Metrics)


@web.middleware
async def count_requests(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Count every answer under its endpoint's template."""
    begun = perf_counter()
    response = await handler(request)
    request.app[METRICS].count_request(
        _method(request), _route(request), response.status, perf_counter() - begun
    )
    return response


def _method(request: web.Request) -> str:
    # What a client makes up would be a label of its own.
    return request.method if request.method in _METHODS else "other"


_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return ELSEWHERE if resource is None else resource.canonical.removesuffix("/")


async def metrics(request: web.Request) -> web.Response:
    """All figures, in Prometheus' text form."""
    body = await request.app[METRICS].render()
    return web.Response(body=body, status=HTTPStatus.OK, headers={"Content-Type": CONTENT_TYPE})
