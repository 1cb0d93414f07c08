"""The one door: what the store, the HTTP side and the command line ask of the gateway."""

from bulonera_sync.gateway.gateway import Gateway, open_gateway

__all__ = ["Gateway", "open_gateway"]
