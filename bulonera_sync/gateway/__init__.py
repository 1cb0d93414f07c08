"""The one door: what the store, the HTTP side and the command line ask of the gateway."""

from bulonera_sync.gateway.accounts import IssuedToken
from bulonera_sync.gateway.doors import nobody_listens
from bulonera_sync.gateway.edits import Moved, Settled
from bulonera_sync.gateway.gateway import FoundSale, Gateway, open_gateway
from bulonera_sync.gateway.imports import CatalogImport
from bulonera_sync.gateway.openings import prepare_store
from bulonera_sync.gateway.retries import RetryResult
from bulonera_sync.store.audits import Finding
from bulonera_sync.store.catalog import CatalogCustomer, CatalogKind, CatalogProduct, CatalogRow
from bulonera_sync.store.events import HistoryEntry
from bulonera_sync.store.listings import PendingSale
from bulonera_sync.store.quarantines import QuarantinedSale
from bulonera_sync.store.statistics import Standing
from bulonera_sync.store.users import Account, TokenEntry

__all__ = [
    "Account",
    "CatalogCustomer",
    "CatalogImport",
    "CatalogKind",
    "CatalogProduct",
    "CatalogRow",
    "Finding",
    "FoundSale",
    "Gateway",
    "HistoryEntry",
    "IssuedToken",
    "Moved",
    "PendingSale",
    "QuarantinedSale",
    "RetryResult",
    "Settled",
    "Standing",
    "TokenEntry",
    "nobody_listens",
    "open_gateway",
    "prepare_store",
]
