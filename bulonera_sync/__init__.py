"""bulonera-sync: the gateway in the back room that keeps what the tablets sold."""

__version__ = "0.1.0"
