"""What a till knows for itself: a line on disk before it sends, a line after it was answered."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.factories import Json


def bytes_of(sale: Json) -> bytes:
    """Return the bytes that a till sends of one sale."""
    return json.dumps(sale).encode()


def hash_of(sale: Json) -> str:
    return hashlib.sha256(bytes_of(sale)).hexdigest()


@dataclass(frozen=True, slots=True)
class Sent:
    local_id: str
    hash: str


@dataclass(frozen=True, slots=True)
class Told:
    """An answer for one sale; `reason` is an error's text or a conflict's code."""

    local_id: str
    hash: str
    status: str
    sale_id: int | None
    number: str | None
    reason: str | None = None


class Ledger:
    """One till's file; what is in it outlives everything that a test does to the gateway."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note_sent(self, sales: Sequence[Json]) -> None:
        self._write({"sent": asdict(Sent(sale["local_id"], hash_of(sale)))} for sale in sales)

    def note_told(self, told: Iterable[Told]) -> None:
        self._write({"told": asdict(each)} for each in told)

    def _write(self, lines: Iterable[object]) -> None:
        os.write(self._file, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
        os.fsync(self._file)

    def read(self) -> Iterator[Sent | Told]:
        with self._path.open() as file:
            for line in file:
                document = json.loads(line)
                if "sent" in document:
                    yield Sent(**document["sent"])
                else:
                    yield Told(**document["told"])

    def close(self) -> None:
        os.close(self._file)
