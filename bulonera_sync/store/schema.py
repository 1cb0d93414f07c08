"""The tables, once for both engines. Migrations build them; a test holds the two equal."""

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from bulonera_sync.store.types import Amount, BigId, Flag, Scaled, UtcTime

# The revision of `migrations` that these tables are; a test holds it.
SCHEMA_REVISION = "0001"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("username", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("is_active", Flag, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("last_upload_at", UtcTime),
    sqlite_autoincrement=True,
)

# A token is known by its SHA-256 alone: whoever reads the database can't use it.
tokens = Table(
    "tokens",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("user_id", BigId, ForeignKey("users.id"), nullable=False, index=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("label", String(100), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
    sqlite_autoincrement=True,
)

# Where a user's allowance is full again; see `throttle`.
allowances = Table(
    "allowances",
    metadata,
    Column("user_id", BigId, ForeignKey("users.id"), primary_key=True, autoincrement=False),
    Column("full_at", UtcTime, nullable=False),
    # The latest request's time: one that comes to the row with an earlier clock counts as of then.
    Column("seen_at", UtcTime),
    # When somebody gave the whole allowance back: a gateway that keeps it in memory looks here.
    Column("reset_at", UtcTime),
)

customers = Table(
    "customers",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("tax_id", Text, nullable=False),
    Column("is_active", Flag, nullable=False),
)

products = Table(
    "products",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("price", Scaled(4)),
    Column("tax_percentage", Scaled(2)),
    Column("is_active", Flag, nullable=False),
)

# The last id and the last number of each year, taken inside the sale's own transaction: no gap
# and no double through any kill.
counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigId, nullable=False),
)

sales = Table(
    "sales",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    Column("number", String(40), nullable=False, unique=True),
    Column("local_id", String(36), nullable=False, unique=True),
    Column("user_id", BigId, ForeignKey("users.id"), nullable=False),
    Column("sync_status", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("fingerprint", String(64)),
    Column("said_fingerprint", String(64), nullable=False),
    Column("is_content_uploaded", Flag, nullable=False),
    Column("customer_id", BigId, ForeignKey("customers.id")),
    Column("customer_said", Text),
    Column("notes", Text, nullable=False),
    Column("total", Amount, nullable=False),
    Column("payment_status", String(16), nullable=False),
    Column("fiscal_status", String(16), nullable=False),
    Column("tax_defaults", Text, nullable=False),
    Column("sold_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("sync_succeeded_at", UtcTime),
    Column("sync_last_attempt", UtcTime),
    Column("attempts", Integer, nullable=False),
    Column("automatic_attempts", Integer, nullable=False),
    Column("retry_cause", String(16)),
    Column("next_attempt_at", UtcTime),
    Column("is_dead", Flag, nullable=False),
    Column("payload", Text),
    Column("problems", Text),
    Column("parked", Text),
    Column("conflict_resolution", String(16)),
    Column("resolution_words", String(64)),
    Column("warnings", Text),
)

UNSYNCED = "sync_status <> 'synced'"
_UNSYNCED = text(UNSYNCED)
DUE = "next_attempt_at IS NOT NULL"
_DUE = text(DUE)
QUEUED = "sync_status = 'pending'"
_QUEUED = text(QUEUED)

# What is pending is few among many: partial, so that the listing costs what it lists.
Index("ix_sales_unsynced", sales.c.id, sqlite_where=_UNSYNCED, postgresql_where=_UNSYNCED)
Index(
    "ix_sales_user_unsynced",
    sales.c.user_id,
    sales.c.id,
    sqlite_where=_UNSYNCED,
    postgresql_where=_UNSYNCED,
)
Index("ix_sales_queued", sales.c.next_attempt_at, sqlite_where=_QUEUED, postgresql_where=_QUEUED)
Index("ix_sales_due", sales.c.next_attempt_at, sqlite_where=_DUE, postgresql_where=_DUE)

sale_items = Table(
    "sale_items",
    metadata,
    Column("sale_id", BigId, ForeignKey("sales.id"), primary_key=True, autoincrement=False),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("product_id", BigId, ForeignKey("products.id"), nullable=False),
    Column("quantity", Scaled(3), nullable=False),
    Column("unit_price", Scaled(4), nullable=False),
    Column("discount_type", String(16), nullable=False),
    Column("discount_value", Scaled(2), nullable=False),
    Column("tax_percentage", Scaled(2), nullable=False),
)

# Former and refused contents of a sale: to know an upload again, to show what a conflict is
# based on. Nothing is written here for a sale that was uploaded once.
copies = Table(
    "copies",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("sale_id", BigId, ForeignKey("sales.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("fingerprint", String(64)),
    Column("said_fingerprint", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index("ix_copies_sale_id_fingerprint", "sale_id", "fingerprint"),
    Index("ix_copies_sale_id_said_fingerprint", "sale_id", "said_fingerprint"),
    Index("ix_copies_sale_id_kind_version", "sale_id", "kind", "version"),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("sale_id", BigId, ForeignKey("sales.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("actor", String(16), nullable=False),
    Column("user_id", BigId, ForeignKey("users.id")),
    Column("from_version", Integer),
    Column("to_version", Integer),
    Column("detail", Text, nullable=False),
    Index("ix_events_sale_id_id", "sale_id", "id"),
    sqlite_autoincrement=True,
)

# What each held sale waits for: an import finds by it the sales that it heals.
waits = Table(
    "waits",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("missing_id", BigId, primary_key=True, autoincrement=False),
    Column("sale_id", BigId, ForeignKey("sales.id"), primary_key=True, autoincrement=False),
    Index("ix_waits_sale_id", "sale_id"),
)

# Sales that no local_id names. The same words of the same user are kept once and counted.
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("user_id", BigId, ForeignKey("users.id"), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("payload", Text, nullable=False),
    Column("problems", Text, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("last_received_at", UtcTime, nullable=False),
    Column("times", Integer, nullable=False),
    UniqueConstraint("user_id", "digest"),
    sqlite_autoincrement=True,
)
