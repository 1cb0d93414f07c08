"""The foundation: accounts, catalogue, sales with their copies and events."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from bulonera_sync.store import types

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", types.BigId, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "customers",
        sa.Column("id", types.BigId, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tax_id", sa.Text(), nullable=False),
        sa.Column("is_active", types.Flag(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
    )
    op.create_table(
        "products",
        sa.Column("id", types.BigId, autoincrement=False, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("price", types.Scaled(4), nullable=True),
        sa.Column("tax_percentage", types.Scaled(2), nullable=True),
        sa.Column("is_active", types.Flag(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
    )
    op.create_table(
        "users",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("is_active", types.Flag(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("last_upload_at", types.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "allowances",
        sa.Column("user_id", types.BigId, autoincrement=False, nullable=False),
        sa.Column("full_at", types.UtcTime(), nullable=False),
        sa.Column("seen_at", types.UtcTime(), nullable=True),
        sa.Column("reset_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_allowances_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_allowances")),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", types.BigId, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("problems", sa.Text(), nullable=False),
        sa.Column("received_at", types.UtcTime(), nullable=False),
        sa.Column("last_received_at", types.UtcTime(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_quarantine_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("user_id", "digest", name=op.f("uq_quarantine_user_id_digest")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sales",
        sa.Column("id", types.BigId, autoincrement=False, nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("local_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", types.BigId, nullable=False),
        sa.Column("sync_status", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("said_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("is_content_uploaded", types.Flag(), nullable=False),
        sa.Column("customer_id", types.BigId, nullable=True),
        sa.Column("customer_said", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("total", types.Amount(), nullable=False),
        sa.Column("payment_status", sa.String(length=16), nullable=False),
        sa.Column("fiscal_status", sa.String(length=16), nullable=False),
        sa.Column("tax_defaults", sa.Text(), nullable=False),
        sa.Column("sold_at", types.UtcTime(), nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.Column("sync_succeeded_at", types.UtcTime(), nullable=True),
        sa.Column("sync_last_attempt", types.UtcTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("automatic_attempts", sa.Integer(), nullable=False),
        sa.Column("retry_cause", sa.String(length=16), nullable=True),
        sa.Column("next_attempt_at", types.UtcTime(), nullable=True),
        sa.Column("is_dead", types.Flag(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("problems", sa.Text(), nullable=True),
        sa.Column("parked", sa.Text(), nullable=True),
        sa.Column("conflict_resolution", sa.String(length=16), nullable=True),
        sa.Column("resolution_words", sa.String(length=64), nullable=True),
        sa.Column("warnings", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_sales_customer_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sales_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sales")),
        sa.UniqueConstraint("local_id", name=op.f("uq_sales_local_id")),
        sa.UniqueConstraint("number", name=op.f("uq_sales_number")),
    )
    op.create_index(
        "ix_sales_due",
        "sales",
        ["next_attempt_at"],
        unique=False,
        sqlite_where=sa.text("next_attempt_at IS NOT NULL"),
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.create_index(
        "ix_sales_queued",
        "sales",
        ["next_attempt_at"],
        unique=False,
        sqlite_where=sa.text("sync_status = 'pending'"),
        postgresql_where=sa.text("sync_status = 'pending'"),
    )
    op.create_index(
        "ix_sales_unsynced",
        "sales",
        ["id"],
        unique=False,
        sqlite_where=sa.text("sync_status <> 'synced'"),
        postgresql_where=sa.text("sync_status <> 'synced'"),
    )
    op.create_index(
        "ix_sales_user_unsynced",
        "sales",
        ["user_id", "id"],
        unique=False,
        sqlite_where=sa.text("sync_status <> 'synced'"),
        postgresql_where=sa.text("sync_status <> 'synced'"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", types.BigId, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("revoked_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tokens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tokens_user_id"), "tokens", ["user_id"], unique=False)
    op.create_table(
        "copies",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("sale_id", types.BigId, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("said_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["sale_id"], ["sales.id"], name=op.f("fk_copies_sale_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_copies")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_copies_sale_id_fingerprint", "copies", ["sale_id", "fingerprint"], unique=False
    )
    op.create_index(
        "ix_copies_sale_id_kind_version", "copies", ["sale_id", "kind", "version"], unique=False
    )
    op.create_index(
        "ix_copies_sale_id_said_fingerprint",
        "copies",
        ["sale_id", "said_fingerprint"],
        unique=False,
    )
    op.create_table(
        "events",
        sa.Column("id", types.BigId, autoincrement=True, nullable=False),
        sa.Column("sale_id", types.BigId, nullable=False),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=16), nullable=False),
        sa.Column("user_id", types.BigId, nullable=True),
        sa.Column("from_version", sa.Integer(), nullable=True),
        sa.Column("to_version", sa.Integer(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["sale_id"], ["sales.id"], name=op.f("fk_events_sale_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_events_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_sale_id_id", "events", ["sale_id", "id"], unique=False)
    op.create_table(
        "sale_items",
        sa.Column("sale_id", types.BigId, autoincrement=False, nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("product_id", types.BigId, nullable=False),
        sa.Column("quantity", types.Scaled(3), nullable=False),
        sa.Column("unit_price", types.Scaled(4), nullable=False),
        sa.Column("discount_type", sa.String(length=16), nullable=False),
        sa.Column("discount_value", types.Scaled(2), nullable=False),
        sa.Column("tax_percentage", types.Scaled(2), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_sale_items_product_id")
        ),
        sa.ForeignKeyConstraint(["sale_id"], ["sales.id"], name=op.f("fk_sale_items_sale_id")),
        sa.PrimaryKeyConstraint("sale_id", "line", name=op.f("pk_sale_items")),
    )
    op.create_table(
        "waits",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("missing_id", types.BigId, autoincrement=False, nullable=False),
        sa.Column("sale_id", types.BigId, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["sale_id"], ["sales.id"], name=op.f("fk_waits_sale_id")),
        sa.PrimaryKeyConstraint("kind", "missing_id", "sale_id", name=op.f("pk_waits")),
    )
    op.create_index("ix_waits_sale_id", "waits", ["sale_id"], unique=False)
