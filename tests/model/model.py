"""What the contract says becomes of sales, in memory: the state table, retries, resolutions, edits.

Written from the contract alone, to be held against the gateway. It knows neither SQL nor the rules'
code; a sale has one item here, and the catalogue is two sets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bulonera_sync.bodies import Number
from tests.factories import Json, as_parsed, make_item

LIFE = ["draft", "confirmed", "in_preparation", "ready", "delivered"]
LOCKED = {"delivered", "cancelled"}
FIRST_DELAY, MAX_DELAY, MAX_ATTEMPTS = 30, 3600, 12


class Content(NamedTuple):
    """What a sale says; the rest of its only item never changes."""

    customer: int
    status: str
    product: int
    quantity: str
    notes: str

    def item(self) -> Json:
        return make_item(product_id=self.product, quantity=self.quantity)

    def raw(self, local_id: str, version: int) -> Json:
        """Return it as the till's body has it, with a key of the till's own."""
        [parsed] = as_parsed(
            {
                "local_id": local_id,
                "customer_id": self.customer,
                "status": self.status,
                "items": [self.item()],
                "notes": self.notes,
                "version": version,
            }
        )
        assert isinstance(parsed, dict)
        return {**parsed, "own": [Number("1.50"), None]}

    def with_said(self, said: "Said") -> "Content":
        return self._replace(**said)


# Fields of a content by their names in `Content`: what client_data or a PATCH says.
Said = Mapping[str, Any]


def body_of(said: Said, content: Content) -> Json:
    """Return what is said as client_data or a PATCH has it; an item is always said whole."""
    changed = content.with_said(said)
    body: Json = {}
    if "customer" in said:
        body["customer_id"] = changed.customer
    for name in ("status", "notes"):
        if name in said:
            body[name] = said[name]
    if {"product", "quantity"} & set(said):
        body["items"] = [changed.item()]
    [parsed] = as_parsed(body)
    assert isinstance(parsed, dict)
    return parsed


def is_behind(status: str, other: str) -> bool:
    """Row 16; the server's cancelled is locked before this is asked, or asked by a manager."""
    return status in LIFE and other in LIFE and LIFE.index(status) < LIFE.index(other)


class Parked(NamedTuple):
    content: Content
    version: int
    code: str


class Answer(NamedTuple):
    """What an upload is to be told; `message` of a conflict is free text, so it is None here."""

    status: str
    code: str | None = None
    message: str | None = None
    errors: tuple[str, ...] = ()
    retryable: bool = False
    sale: int | None = None
    version: int | None = None
    server: Content | None = None
    conflict: tuple[Content, Content, Content | None] | None = None


@dataclass
class Sale:
    """One local_id's sale, as it must be now."""

    owner: str
    id: int
    number: str
    state: str
    version: int
    content: Content
    raw: Json
    attempts: int = 0
    automatic: int = 0
    due: datetime | None = None
    cause: str | None = None
    dead: bool = False
    errors: tuple[str, ...] = ()
    waits: frozenset[tuple[str, int]] = frozenset()
    parked: Parked | None = None
    resolution: str | None = None
    words: object = None
    payment: str = "unpaid"
    sent: set[Content] = field(default_factory=set)
    accepted: set[Content] = field(default_factory=set)
    once_parked: set[tuple[Content, int]] = field(default_factory=set)
    contents: dict[int, Content] = field(default_factory=dict)

    @property
    def is_held(self) -> bool:
        return self.state in {"error", "pending"}


@dataclass
class Model:
    """All sales of a run, by local_id, and the catalogue they are judged by."""

    now: datetime
    chance: float = 1.0
    customers: set[int] = field(default_factory=set)
    products: set[int] = field(default_factory=set)
    sales: dict[str, Sale] = field(default_factory=dict)

    # The checks

    def errors_of(self, content: Content) -> tuple[str, ...]:
        errors = []
        if content.customer not in self.customers:
            errors.append(f"Customer con id={content.customer} no existe en base de datos")
        if content.product not in self.products:
            errors.append(f"Item #0: Producto con id={content.product} no existe")
        if content.quantity == "0":
            errors.append("Item #0: quantity debe ser mayor a 0, recibido: 0")
        return tuple(errors)

    def missing(self, content: Content) -> frozenset[tuple[str, int]]:
        """What new catalogue data must bring; empty where that alone does not cure it."""
        if content.quantity == "0":
            return frozenset()
        missing = set()
        if content.customer not in self.customers:
            missing.add(("customers", content.customer))
        if content.product not in self.products:
            missing.add(("products", content.product))
        return frozenset(missing)

    # Uploads: the state table

    def upload(self, user: str, local_id: str, content: Content, version: int) -> Answer:
        sale = self.sales.get(local_id)
        raw = content.raw(local_id, version)
        if sale is None:
            # The id and the number are the gateway's to choose; the machine notes them.
            sale = self.sales[local_id] = Sale(user, 0, "", "error", 1, content, raw)
            return self._judge_upload(sale, content, raw)
        if sale.owner != user:
            return self._upload_of_another(sale, content)
        sale.sent.add(content)
        if sale.is_held:
            return self._judge_upload(sale, content, raw)
        return self._upload_of_accepted(sale, content, version)

    def _upload_of_another(self, sale: Sale, content: Content) -> Answer:
        parked = sale.parked.content if sale.parked else None
        if content not in {sale.content, parked} | sale.sent:
            text = "local_id ya registrado por otro usuario"
            return Answer("error", code="local_id_in_use", errors=(text,))
        if sale.state == "pending":
            return Answer("error", code="pending", retryable=True, sale=sale.id)
        if sale.state == "error":
            return Answer("error", errors=sale.errors, retryable=bool(sale.waits), sale=sale.id)
        return Answer("success", message="Sale already synced", sale=sale.id)

    def _judge_upload(self, sale: Sale, content: Content, raw: Json) -> Answer:
        sale.sent.add(content)
        self._judge(sale, content, raw, cause="upload")
        if sale.state == "synced":
            return Answer("success", sale=sale.id, version=1)
        return Answer(
            "error", errors=sale.errors, retryable=bool(sale.waits), sale=sale.id, version=1
        )

    def _judge(self, sale: Sale, content: Content, raw: Json, *, cause: str | None) -> None:
        """Rows 4 to 6, and the worker's attempt."""
        sale.content, sale.raw = content, raw
        sale.automatic = sale.automatic + 1 if cause == "schedule" else 0
        sale.attempts += cause != "request"
        sale.errors, sale.waits = self.errors_of(content), self.missing(content)
        sale.due, sale.cause, sale.dead = None, None, False
        if not sale.errors:
            sale.state = "synced"
            sale.accepted.add(content)
            sale.contents[1] = content
            sale.automatic = 0
            return
        sale.state = "error"
        if sale.waits:
            sale.dead = sale.automatic >= MAX_ATTEMPTS
            if not sale.dead:
                delay = min(MAX_DELAY, FIRST_DELAY * 2**sale.automatic)
                sale.due = self.now + timedelta(seconds=delay * self.chance)
                sale.cause = "schedule"

    def _upload_of_accepted(self, sale: Sale, content: Content, version: int) -> Answer:
        errors = self.errors_of(content)
        is_older = version < sale.version
        done = Answer("success", sale=sale.id, version=sale.version)
        if content == sale.content:  # 7, 8
            if sale.state == "conflict":
                self._close(sale, "server_wins", words=None)
            return done._replace(message="Sale already synced")
        if content in sale.accepted and is_older:  # 9
            return done._replace(message="Sale already synced")
        if sale.state == "synced":  # 10
            versions = {each for parked, each in sale.once_parked if parked == content}
            if versions and (is_older or version in versions):
                message = f"Conflict already resolved with {sale.resolution}"
                return done._replace(message=message, server=sale.content)
        if sale.parked and sale.parked[:2] == (content, version):  # 11
            return self._conflict(sale)
        if errors:  # 12
            return Answer(
                "error",
                errors=errors,
                retryable=bool(self.missing(content)),
                sale=sale.id,
                version=sale.version,
            )
        if version > sale.version:  # 13
            return self._park(sale, content, version, "version_ahead")
        if sale.content.status in LOCKED:  # 14
            return self._park(sale, content, version, "locked")
        if is_older:  # 15
            return self._park(sale, content, version, "stale_version")
        if is_behind(content.status, sale.content.status):  # 16
            return self._park(sale, content, version, "status_regression")
        if sale.state == "conflict":  # 18
            sale.resolution = "client_wins"
            sale.state, sale.parked = "synced", None
        self._set(sale, content)  # 17
        sale.accepted.add(content)
        return done._replace(message="Sale updated", version=sale.version)

    def _park(self, sale: Sale, content: Content, version: int, code: str) -> Answer:
        sale.state, sale.parked = "conflict", Parked(content, version, code)
        sale.once_parked.add((content, version))
        sale.resolution = sale.words = None
        return self._conflict(sale)

    def _conflict(self, sale: Sale) -> Answer:
        assert sale.parked is not None
        return Answer(
            "conflict",
            code=sale.parked.code,
            sale=sale.id,
            version=sale.version,
            conflict=(sale.content, sale.parked.content, self.base_of(sale)),
        )

    def base_of(self, sale: Sale) -> Content | None:
        if sale.parked is None or sale.parked.code == "version_ahead":
            return None
        return sale.contents.get(sale.parked.version)

    def _set(self, sale: Sale, content: Content) -> None:
        sale.content, sale.version, sale.words = content, sale.version + 1, None
        sale.contents[sale.version] = content

    def _close(self, sale: Sale, resolution: str, *, words: object) -> None:
        sale.state, sale.parked = "synced", None
        sale.resolution, sale.words = resolution, words

    # Retries

    def retry(self, user: str, local_id: str, *, is_manager: bool) -> tuple[str, int | None]:
        """Return the row's status and attempt."""
        sale = self.sales.get(local_id)
        if sale is None or (sale.owner != user and not is_manager):
            return "not_found", None
        if not sale.is_held:
            return ("conflict" if sale.state == "conflict" else "already_synced"), None
        if sale.state == "error":
            sale.state, sale.errors = "pending", ()
            sale.attempts += 1
            sale.automatic, sale.due, sale.cause, sale.dead = 0, self.now, "request", False
        return "queued", sale.attempts

    def step(self) -> None:
        """The worker's turn: what is due, until nothing is."""
        while due := [s for s in self.sales.values() if s.due is not None and s.due <= self.now]:
            for sale in due:
                self._judge(sale, sale.content, sale.raw, cause=sale.cause)

    def bring(self, kind: str, row_id: int, *, is_active: bool) -> None:
        """An import of one row."""
        catalogue = self.customers if kind == "customers" else self.products
        if not is_active:
            catalogue.discard(row_id)
            return
        catalogue.add(row_id)
        for sale in self.sales.values():
            if sale.state == "error" and (kind, row_id) in sale.waits:
                sale.due, sale.cause = self.now, "import"
                sale.automatic, sale.dead = 0, False

    # Resolutions and edits

    def resolve(
        self,
        user: str,
        local_id: str,
        resolution: str,
        said: Said | None,
        expected: int | None,
        *,
        is_manager: bool,
    ) -> str:
        """Return "not_found", "invalid", the 409's code, or "done"."""
        sale = self.sales.get(local_id)
        if sale is None or (sale.owner != user and not is_manager):
            return "not_found"
        words = (user, resolution, None if said is None else tuple(sorted(said.items())))
        if sale.words == words:
            return "done"
        if sale.parked is None:
            return "not_in_conflict"
        if expected not in {None, sale.version}:
            return "stale_version"
        if resolution == "server_wins":
            self._close(sale, "server_wins", words=words)
            return "done"
        if said is None and resolution == "manual":
            sale.resolution, sale.words = "manual", words
            return "done"
        base = sale.parked.content if resolution == "client_wins" else sale.content
        content = base.with_said(said or {})
        if self._errors_in(content, None if resolution == "client_wins" else said):
            return "invalid"
        if not is_manager and sale.content.status in LOCKED:
            return "locked"
        if not is_manager and is_behind(content.status, sale.content.status):
            return "status_regression"
        self._set(sale, content)
        if resolution == "client_wins":
            sale.accepted.add(content)
            sale.sent.add(content)
        self._close(sale, resolution, words=words)
        return "done"

    def _errors_in(self, content: Content, said: Said | None) -> bool:
        """Whether something is wrong with the content, or with what was said of it."""
        if said is None:
            return bool(self.errors_of(content))
        is_item_said = bool({"product", "quantity"} & set(said))
        return ("customer" in said and content.customer not in self.customers) or (
            is_item_said and (content.product not in self.products or content.quantity == "0")
        )

    def edit(self, local_id: str, said: Said, payment: str | None, version: int) -> str:
        """A manager's PATCH: return "not_found", "stale_version", "invalid" or "done"."""
        sale = self.sales.get(local_id)
        if sale is None:
            return "not_found"
        if version != sale.version:
            return "stale_version"
        content = sale.content.with_said(said)
        if sale.is_held:
            raw = {**sale.raw, **body_of(said, sale.content)}
            is_item_said = bool({"product", "quantity"} & set(said))
            if raw != sale.raw and is_item_said and content.quantity == "0":
                return "invalid"
            sale.payment = payment or sale.payment
            if raw != sale.raw:
                self._judge(sale, content, raw, cause="upload")
            return "done"
        if self._errors_in(content, said):
            return "invalid"
        if content != sale.content or payment not in {None, sale.payment}:
            sale.payment = payment or sale.payment
            self._set(sale, content)
        return "done"


def copy_of(sale: Sale) -> Sale:
    """Return the sale as it is now, to be compared with later."""
    return replace(sale)
