"""The one door: what the store, the HTTP side and the command line ask of the gateway."""

from bulonera_sync.gateway.gateway import FoundSale, Gateway, open_gateway
from bulonera_sync.gateway.openings import prepare_store
from bulonera_sync.store.listings import PendingSale

__all__ = ["FoundSale", "Gateway", "PendingSale", "open_gateway", "prepare_store"]
