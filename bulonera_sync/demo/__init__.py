"""A hardware shop to try the gateway with: its customers and products, as a shop would import."""

from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal


def catalogue(kind: Literal["customers", "products"]) -> AbstractContextManager[Path]:
    """Return a context that yields the path of the kind's CSV file."""
    return as_file(files(__name__) / f"{kind}.csv")
