"""The gateway against a small model of the contract, through any order of what can happen."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bulonera_sync.bodies import parse_kept
from bulonera_sync.errors import NotFoundError
from bulonera_sync.gateway import Gateway, Moved, Settled, open_gateway
from bulonera_sync.outcomes import ConflictFound, Failure, Outcome, Success
from bulonera_sync.resolutions import Invalid, Request
from bulonera_sync.sales import Content as StoredContent
from bulonera_sync.sales import Resolution, Role, User
from bulonera_sync.store.catalog import CatalogCustomer, CatalogKind, CatalogProduct, CatalogRow
from tests.conftest import make_settings
from tests.factories import new_local_id
from tests.model.model import Answer, Content, Model, Said, Sale, body_of, copy_of
from tests.model.stopped import NOON, Chance, Clock, step
from tests.server.test_state_table import query

RUNS, STEPS = 120, 30
T = TypeVar("T")

# Two of each are there at first; names are the model's, ids are the run's own.
PLACES = ["here", "also here", "missing", "missing too"]


@dataclass
class World:
    """One engine's database and the gateway that is open on it, through all runs."""

    store_url: str
    runner: asyncio.Runner
    clock: Clock = field(default_factory=Clock)
    chance: Chance = field(default_factory=Chance)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    runs: "count[int]" = field(default_factory=lambda: count(1))
    opened: Gateway | None = None

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @property
    def gateway(self) -> Gateway:
        assert self.opened is not None
        return self.opened

    def open(self) -> None:
        opening = open_gateway(make_settings(self.store_url), clock=self.clock, chance=self.chance)
        self.opened = self.do(self.stack.enter_async_context(opening))

    def close(self) -> None:
        self.do(self.stack.aclose())
        self.stack = AsyncExitStack()

    def forget_due(self) -> None:
        """Leave nothing of this run to the worker of the next."""
        statement = "UPDATE sales SET next_attempt_at = NULL WHERE next_attempt_at IS NOT NULL"
        self.do(query(self.store_url, statement))


# What is likely leads somewhere; each of the rest ends a story early, so it is rare.
STATUSES = st.sampled_from([*["draft"] * 6, "confirmed", "ready", "delivered", "cancelled"])
QUANTITIES = st.sampled_from([*["1"] * 6, "2", "2", "0"])
NOTES = st.sampled_from(["a", "b", "c"])
PLACE = st.sampled_from([*[0] * 8, 1, 1, 2, 3])
LOCAL_ID = st.sampled_from([0, 0, 0, 1, 1, 2])
CASHIER = st.sampled_from([*["ana"] * 7, "eva"])
ANYBODY = st.sampled_from(["ana", "eva", "marta", "marta"])
# Beside the server's version: what a till or a manager may believe it to be.
DRIFT = st.sampled_from([0, 0, 0, -1, -1, -2, 1, 2])
FIELDS: dict[Any, Any] = {
    "customer": PLACE,
    "status": STATUSES,
    "product": PLACE,
    "quantity": QUANTITIES,
    "notes": NOTES,
}
CONTENT = st.fixed_dictionaries(FIELDS)
SAID = st.fixed_dictionaries({}, optional=FIELDS)


class SaleMachine(RuleBasedStateMachine):
    """Each rule does one thing to the gateway and to the model, and compares the answers."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.local_ids = [new_local_id() for _ in range(3)]
        self.users: dict[str, User] = {}
        self.ids = 1_000_000 + 10 * next(world.runs)
        world.clock.now, world.chance.value = NOON, 1.0
        self.model = Model(NOON)

    # Words of the rules made into the run's own

    def content(
        self, customer: int, status: str, product: int, quantity: str, notes: str
    ) -> Content:
        return Content(self.ids + customer, status, self.ids + product, quantity, notes)

    def said(self, words: dict[str, Any]) -> Said:
        places = ("customer", "product")
        return {name: self.ids + word if name in places else word for name, word in words.items()}

    def version(self, local_id: str, drift: int) -> int:
        sale = self.model.sales.get(local_id)
        return max(1, (sale.version if sale else 1) + drift)

    def accepted(self) -> list[str]:
        return [key for key, sale in self.model.sales.items() if not sale.is_held]

    def held(self) -> list[str]:
        return [key for key, sale in self.model.sales.items() if sale.is_held]

    def parked(self) -> list[str]:
        return [key for key, sale in self.model.sales.items() if sale.parked]

    def once_parked(self) -> list[tuple[str, Content, int]]:
        return [
            (key, *copy)
            for key, sale in self.model.sales.items()
            for copy in sorted(sale.once_parked)
        ]

    def is_manager(self, user: str) -> bool:
        return user == "marta"

    # Rules

    @initialize()
    def begin(self) -> None:
        run = self.local_ids[0][:8]
        for name in ("ana", "eva", "marta"):
            role: Role = "manager" if name == "marta" else "cashier"
            adding = self.world.gateway.add_user(f"{name}-{run}", role, has_token=False)
            self.users[name], _ = self.world.do(adding)
        for place in (0, 1):
            self.bring("customers", place, is_active=True)
            self.bring("products", place, is_active=True)
        for which, customer in ((0, 0), (1, 2)):
            content = self.content(customer, "draft", 0, "1", "a")
            self._upload("ana", self.local_ids[which], content, 1)

    def bring(self, kind: CatalogKind, place: int, *, is_active: bool) -> None:
        row_id = self.ids + place
        row: CatalogRow
        if kind == "customers":
            row = CatalogCustomer(row_id, "Cliente", "", is_active)
        else:
            row = CatalogProduct(row_id, "", "Producto", None, None, is_active)
        self.world.do(self.world.gateway.import_rows(kind, [row]))
        self.model.bring(kind, row_id, is_active=is_active)

    @rule(user=CASHIER, which=LOCAL_ID, words=CONTENT, drift=DRIFT)
    def upload(self, user: str, which: int, words: dict[str, Any], drift: int) -> None:
        local_id = self.local_ids[which]
        content = Content(**self.said(words))
        self._upload(user, local_id, content, self.version(local_id, drift))

    @precondition(lambda self: self.model.sales)
    @rule(user=CASHIER, which=LOCAL_ID, pick=st.integers(0, 20), drift=DRIFT)
    def replay(self, user: str, which: int, pick: int, drift: int) -> None:
        """Send what was sent once, what is parked or what the server holds, with any version."""
        local_id = self.local_ids[which]
        sale = self.model.sales.get(local_id)
        if sale is None:
            return
        parked = [sale.parked.content] if sale.parked else []
        known = [*sorted(sale.sent), sale.content, *parked]
        self._upload(user, local_id, known[pick % len(known)], self.version(local_id, drift))

    @precondition(lambda self: self.accepted())
    @rule(pick=st.integers(0, 2), edited=SAID, sent=SAID, drift=st.sampled_from([-1, -1, -1, 0, 1]))
    def collide(self, pick: int, edited: dict[str, Any], sent: dict[str, Any], drift: int) -> None:
        """A manager's edit, and an upload of the till that may know nothing of it."""
        local_id = self.accepted()[pick % len(self.accepted())]
        sale = self.model.sales[local_id]
        self._edit(local_id, {"notes": "d", **edited}, None, sale.version)
        content = sale.content.with_said(self.said({"notes": "e", **sent}))
        self._upload(sale.owner, local_id, content, self.version(local_id, drift))

    @precondition(lambda self: self.parked())
    @rule()
    def replay_the_parked(self) -> None:
        for local_id, sale in list(self.model.sales.items()):
            if sale.parked:
                self._upload(sale.owner, local_id, sale.parked.content, sale.parked.version)

    @precondition(lambda self: self.once_parked())
    @rule(pick=st.integers(0, 20), drift=st.none() | DRIFT)
    def replay_what_was_parked(self, pick: int, drift: int | None) -> None:
        """Send a copy that a resolution, or a newer copy, has put aside."""
        known = self.once_parked()
        local_id, content, parked_with = known[pick % len(known)]
        version = parked_with if drift is None else self.version(local_id, drift)
        self._upload(self.model.sales[local_id].owner, local_id, content, version)

    def _upload(self, user: str, local_id: str, content: Content, version: int) -> None:
        is_new = local_id not in self.model.sales
        expected = self.model.upload(user, local_id, content, version)

        [outcome] = self.world.do(
            self.world.gateway.upload(self.users[user], [content.raw(local_id, version)])
        )

        if is_new:
            sale = self.model.sales[local_id]
            sale.id, sale.number = outcome.sale_id or 0, outcome.sale_number or ""
            expected = expected._replace(sale=sale.id)
        assert outcome.local_id == local_id
        assert self._told(outcome, expected) == expected

    def _told(self, outcome: Outcome, expected: Answer) -> Answer:
        """Return the outcome as the model's answer, with what the contract leaves free left out."""
        told = Answer("", sale=outcome.sale_id, version=outcome.version)
        match outcome.verdict:
            case Success(message, content):
                server = known_again(content) if content else None
                return told._replace(status="success", message=message, server=server)
            case Failure(problems, is_retryable):
                code = problems[0].code if expected.code else None
                texts = tuple(problem.message for problem in problems)
                return told._replace(
                    status="error",
                    code=code,
                    # The text of a queued sale is free.
                    errors=() if code == "pending" else texts,
                    retryable=is_retryable,
                )
            case ConflictFound() as found:
                assert found.message
                assert found.server_version == outcome.version
                base = known_again(found.base) if found.base else None
                sides = (known_again(found.server), known_again(found.client), base)
                return told._replace(status="conflict", code=found.code, conflict=sides)

    @precondition(lambda self: self.held())
    @rule(user=ANYBODY, which=LOCAL_ID)
    def retry(self, user: str, which: int) -> None:
        local_id = self.local_ids[which]
        expected = self.model.retry(user, local_id, is_manager=self.is_manager(user))

        [row] = self.world.do(self.world.gateway.retry(self.users[user], [local_id]))

        assert row.status == expected[0]
        if row.status == "queued":
            assert row.sale is not None
            assert row.sale.attempts == expected[1]

    @rule()
    def work(self) -> None:
        self.model.step()
        self.world.do(step(self.world.gateway))

    @rule(seconds=st.sampled_from([1, 15, 30, 120, 3600, 86_400]))
    def advance(self, seconds: int) -> None:
        self.world.clock.advance(seconds)
        self.model.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.held())
    @rule(hours=st.sampled_from([2, 8, 13]))
    def wait_for_long(self, hours: int) -> None:
        """What waits for the catalogue is tried every hour at least, and is dead after 12."""
        for _ in range(hours):
            self.advance(3600)
            self.work()

    @rule(chance=st.sampled_from([0.25, 0.5, 1.0]))
    def draw_luck(self, chance: float) -> None:
        self.world.chance.value = self.model.chance = chance

    @rule(
        kind=st.sampled_from(["customers", "products"]),
        place=st.sampled_from([0, 1, 2, 2, 3, 3]),
        activity=st.sampled_from(["active", "active", "active", "inactive"]),
    )
    def change_catalogue(self, kind: CatalogKind, place: int, activity: str) -> None:
        self.bring(kind, place, is_active=activity == "active")

    @precondition(lambda self: any(sale.resolution for sale in self.model.sales.values()))
    @rule(
        user=ANYBODY,
        which=LOCAL_ID,
        resolution=st.sampled_from(["server_wins", "client_wins", "manual"]),
        words=st.none() | SAID,
        drift=st.none() | DRIFT,
    )
    def resolve(
        self,
        user: str,
        which: int,
        resolution: Resolution,
        words: dict[str, Any] | None,
        drift: int | None,
    ) -> None:
        self._resolve(user, self.local_ids[which], resolution, words, drift)

    @precondition(lambda self: self.parked())
    @rule(
        user=st.sampled_from(["ana", "marta"]),
        resolution=st.sampled_from(["server_wins", "client_wins", "client_wins", "manual"]),
        words=st.none() | SAID,
        times=st.integers(1, 2),
    )
    def resolve_a_conflict(
        self, user: str, resolution: Resolution, words: dict[str, Any] | None, times: int
    ) -> None:
        local_id = self.parked()[0]
        for _ in range(times):
            self._resolve(user, local_id, resolution, words, None)

    def _resolve(
        self,
        user: str,
        local_id: str,
        resolution: Resolution,
        words: dict[str, Any] | None,
        drift: int | None,
    ) -> None:
        said = None if words is None or resolution == "server_wins" else self.said(words)
        expected_version = None if drift is None else self.version(local_id, drift)
        sale = self.model.sales.get(local_id)
        data = self._client_data(sale, resolution, said)
        expected = self.model.resolve(
            user,
            local_id,
            resolution,
            said,
            expected_version,
            is_manager=self.is_manager(user),
        )

        request = Request(resolution, "", data, expected_version)
        told = self._ended(lambda: self.world.gateway.resolve(self.users[user], local_id, request))

        assert told == expected

    def _client_data(
        self, sale: Sale | None, resolution: Resolution, said: Said | None
    ) -> dict[str, Any] | None:
        if said is None or sale is None:
            return None if said is None else {}
        base = sale.content
        if resolution == "client_wins" and sale.parked:
            base = sale.parked.content
        if {"product", "quantity"} & set(said) and len({"product", "quantity"} & set(said)) == 1:
            # An item is said whole: the half that was not drawn is said as it stands.
            said = {**said, "product": base.product, "quantity": base.quantity} | dict(said)
        return body_of(said, base)

    @rule(
        which=LOCAL_ID,
        words=SAID,
        payment=st.sampled_from([None, None, "unpaid", "paid"]),
        drift=st.sampled_from([0, 0, 0, 0, -1, 1]),
    )
    def edit(self, which: int, words: dict[str, Any], payment: str | None, drift: int) -> None:
        local_id = self.local_ids[which]
        self._edit(local_id, words, payment, self.version(local_id, drift))

    def _edit(
        self, local_id: str, words: dict[str, Any], payment: str | None, version: int
    ) -> None:
        sale = self.model.sales.get(local_id)
        said = self.said(words)
        body = body_of(said, sale.content) if sale else {}
        if payment:
            body["payment_status"] = payment
        expected = self.model.edit(local_id, said, payment, version)

        told = self._ended(
            lambda: self.world.gateway.edit(self.users["marta"], local_id, body, version)
        )

        assert told == expected

    def _ended(self, ask: Callable[[], Coroutine[Any, Any, Settled | Moved | Invalid]]) -> str:
        try:
            result = self.world.do(ask())
        except NotFoundError:
            return "not_found"
        match result:
            case Moved(refused):
                return refused.code
            case Invalid():
                return "invalid"
            case Settled():
                return "done"

    @rule()
    def restart(self) -> None:
        self.world.close()
        self.world.open()

    # What holds after each of them

    @invariant()
    def every_sale_is_as_the_model_says(self) -> None:
        if "marta" not in self.users:
            return
        found = self.world.do(self.world.gateway.find_sales(self.users["marta"], self.local_ids))

        assert found.keys() == self.model.sales.keys()
        for local_id, expected in self.model.sales.items():
            stored = found[local_id]
            seen = copy_of(expected)
            seen.id, seen.number = stored.id, stored.number
            seen.owner = next(n for n, user in self.users.items() if user.id == stored.user_id)
            seen.state, seen.version = stored.sync_status, stored.version
            seen.attempts, seen.due, seen.dead = (
                stored.attempts,
                stored.next_attempt_at,
                stored.is_dead,
            )
            seen.errors = tuple(problem.message for problem in stored.problems)
            seen.resolution = stored.conflict_resolution
            seen.payment = stored.payment_status
            if stored.content is not None:
                seen.content = known_again(stored.content)
            if stored.payload is not None:
                kept = parse_kept(stored.payload)
                assert isinstance(kept, dict)
                seen.raw = kept
            assert seen == expected
            assert (stored.payload is not None) == expected.is_held
            assert (stored.parked is not None) == (expected.state == "conflict")

    def teardown(self) -> None:
        keys = ", ".join(f"'{local_id}'" for local_id in self.local_ids)
        sql = f"SELECT count(*) FROM sales WHERE local_id IN ({keys})"  # noqa: S608 - our own
        [(rows,)] = self.world.do(query(self.world.store_url, sql))
        self.world.forget_due()
        assert rows == len(self.model.sales)


def known_again(content: StoredContent) -> Content:
    """Return a stored content as the model's."""
    [item] = content.items
    return Content(
        content.customer_id,
        content.status,
        item.product_id,
        f"{item.quantity.normalize():f}",
        content.notes,
    )


def test_the_gateway_does_what_the_contract_says_in_any_order(store_url: str) -> None:
    with asyncio.Runner() as runner:
        world = World(store_url, runner)
        world.open()
        try:
            run_state_machine_as_test(
                partial(SaleMachine, world),  # type: ignore[arg-type]
                settings=settings(
                    max_examples=RUNS,
                    stateful_step_count=STEPS,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            world.close()
