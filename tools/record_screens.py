"""The screens of docs/screens: `python -m tools.record_screens` records them under tmux.

Each language gets a demo of its own in a temporary folder, the same sales every time. A screen is
what a person sees after a command: no colour, and no path but those inside the demo.
"""

import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[1]
SCREENS = ROOT / "docs" / "screens"
LANGUAGES = ("en", "es")
WIDTHS = (80, 140)
# Enough that nothing scrolls away before it is captured.
HEIGHT = 400
WAIT_SECONDS = 30
PROMPT = "$ "
# Where the dialogue waits for a key, and where the shell waits for a command.
ASKED, DONE = "\n>", "\n$"

# Any id made of a word will do, the same every time.
NAMESPACE = uuid.UUID("b0107e7a-0000-4000-8000-000000000000")
_terminals = count(1)

Json = dict[str, Any]
Record = Callable[["Terminal", "Demo"], None]


@dataclass(frozen=True)
class Demo:
    """A running demo: its folder, its address, and what its users send with a request."""

    folder: Path
    address: str
    tokens: Mapping[str, str]

    def send(self, user: str, method: str, path: str, body: Json | None = None) -> Json:
        request = Request(  # noqa: S310 (our own daemon)
            f"{self.address}/api/v1/sales/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={
                "Authorization": f"Token {self.tokens[user]}",
                "Content-Type": "application/json",
            },
        )
        with urlopen(request, timeout=WAIT_SECONDS) as answer:  # noqa: S310
            answered: Json = json.load(answer)
        return answered

    def upload(self, *sales: Json) -> None:
        self.send("ana", "POST", "sync/upload/", {"sales": sales})

    @property
    def environment(self) -> Mapping[str, str]:
        """What the commands find the demo by; the folder is the current one."""
        return {
            "BULONERA_STORE__URL": "sqlite:///demo.db",
            "BULONERA_LOG__FILE": "logs/sync.log",
            "BULONERA_SERVER__PORT": self.address.rsplit(":", 1)[1],
        }


def sale(name: str, **said: object) -> Json:
    """Return a sale as a till sends it, under a local_id made of its name."""
    return {
        "local_id": _local_id(name),
        "customer_id": 5,
        "status": "draft",
        "items": [item(10, "5"), item(12, "3")],
        "notes": "Retira el martes",
        "version": 1,
        **said,
    }


def _local_id(name: str) -> str:
    # A till's ids are of version 4; a name's own would be of version 5.
    return str(uuid.UUID(bytes=uuid.uuid5(NAMESPACE, name).bytes, version=4))


def item(product_id: int, quantity: str, price: str = "128.00") -> Json:
    return {"product_id": product_id, "quantity": quantity, "unit_price": price}


def fill(demo: Demo) -> None:
    """Upload sales: one that is in, three held, one for quarantine; and a conflict for each way."""
    demo.upload(
        sale("in"),
        sale("customer", customer_id=999),
        sale("product", items=[item(10, "5"), item(9_001, "2")]),
        sale("quantity", items=[item(10, "0")]),
        {"customer_id": 5},
    )


def dispute(demo: Demo, name: str) -> str:
    """Make a sale that a manager changed while its till changed it, too; return its number."""
    before = sale(name)
    demo.upload(before)
    accepted = demo.send("ana", "GET", f"sync/status/{before['local_id']}/")
    edit = {
        "status": "confirmed",
        "items": [item(10, "5"), item(12, "2")],
        "notes": "Retira el martes; pagó la seña",
        "version": 1,
    }
    demo.send("marta", "PATCH", f"{accepted['sale_id']}/", edit)
    more = {"customer_id": 3, "items": [item(10, "8"), item(12, "3"), item(20, "100", "12.50")]}
    demo.upload({**before, **more, "notes": "Agregó tornillos, retira el jueves"})
    return str(accepted["sale_number"])


@contextmanager
def running_demo() -> Iterator[Demo]:
    with TemporaryDirectory(prefix="screens-") as name:
        folder = Path(name)
        with subprocess.Popen(  # noqa: S603 (ours)
            [
                sys.executable,
                "-m",
                "bulonera_sync",
                "serve",
                "--demo",
                "--data",
                name,
                "--port",
                "0",
            ],
            cwd=folder,
            env={**_outer(), "BULONERA_LANG": "en"},
            stdout=subprocess.PIPE,
            text=True,
        ) as daemon:
            try:
                yield _demo(folder, _greeting(daemon))
            finally:
                daemon.terminate()


def _outer() -> Mapping[str, str]:
    """Return this process's variables without what would change the demo."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BULONERA_")}


def _greeting(daemon: subprocess.Popen[str]) -> str:
    assert daemon.stdout is not None
    said = ""
    for line in daemon.stdout:
        said += line
        if line.startswith("Ready at "):
            return said
    sys.exit("the demo did not start")


def _demo(folder: Path, greeting: str) -> Demo:
    tokens = dict(re.findall(r"^Token of \w+ (\w+): (\w+)$", greeting, re.MULTILINE))
    [address] = re.findall(r"^Ready at (\S+)", greeting, re.MULTILINE)
    return Demo(folder, address, tokens)


class Terminal:
    """A shell under a tmux of its own."""

    def __init__(self, demo: Demo, *, language: str, width: int) -> None:
        self.language = language
        # One of its own: a server that is about to end would take the next session with it.
        self._socket = f"screens-{os.getpid()}-{next(_terminals)}"
        variables = {
            **demo.environment,
            "BULONERA_LANG": language,
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PS1": PROMPT,
            "LC_ALL": "C.UTF-8",
            "HOME": str(demo.folder),
            "TZ": "UTC",
        }
        said = [f"{name}={value}" for name, value in variables.items()]
        self._tmux(
            *("-u", "-f", os.devnull, "new-session", "-d", "-x", str(width), "-y", str(HEIGHT)),
            *("-c", str(demo.folder), "env", "-i", "TERM=tmux-256color", *said, "/bin/sh"),
        )

        self.wait_for(PROMPT.strip())

    def close(self) -> None:
        self._tmux("kill-server")

    def type(self, text: str, *, until: str) -> None:
        """Type a line and wait until it is answered."""
        before = len(self.seen())
        self._tmux("send-keys", "-l", text)
        self._tmux("send-keys", "Enter")
        self._wait(until, before)

    def press(self, key: str, *, until: str) -> None:
        before = len(self.seen())
        self._tmux("send-keys", key)
        self._wait(until, before)

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while text not in self.seen():
            if time.monotonic() > end:
                sys.exit(f"waited in vain for {text!r}:\n{self.seen()}")
            time.sleep(0.1)

    def _wait(self, until: str, before: int) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while not (len(seen := self.seen()) > before and seen.endswith(until)):
            if time.monotonic() > end:
                sys.exit(f"waited in vain for {until!r}:\n{seen}")
            time.sleep(0.1)

    def seen(self) -> str:
        """Return all that is on the screen, without what is empty at the ends."""
        text = self._tmux("capture-pane", "-p", "-S", "-")
        return "\n".join(line.rstrip() for line in text.splitlines()).rstrip()

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, *arguments]
        ran = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")  # noqa: S603
        return ran.stdout


@contextmanager
def on_terminal(demo: Demo, *, language: str, width: int) -> Iterator[Terminal]:
    terminal = Terminal(demo, language=language, width=width)
    try:
        yield terminal
    finally:
        terminal.close()


def record_pending(terminal: Terminal, demo: Demo) -> None:
    dispute(demo, "open")
    terminal.type("bulonera-sync pending", until=DONE)


def resolving(name: str, *said: str) -> Record:
    """Return what resolves a conflict by these keys, each answered by a question but the last.

    The till's key is t, and in Spanish the c that the screen then offers.
    """

    def record(terminal: Terminal, demo: Demo) -> None:
        till = "c" if terminal.language == "es" else "t"
        keys = [key.replace("t", till) for key in said]
        terminal.type(f"bulonera-sync resolve {dispute(demo, name)}", until=ASKED)
        for key in keys[:-1]:
            terminal.type(key, until=ASKED)
        terminal.type(keys[-1], until=DONE)

    return record


def record_log(terminal: Terminal, demo: Demo) -> None:
    terminal.type("bulonera-sync log -f -n 4", until="")
    demo.upload(sale("while somebody looks"), sale("this one is held", customer_id=998))
    terminal.wait_for("998")
    terminal.press("C-c", until="$")


# What a screen is called, and how it comes about; an empty key is Enter. In this order.
RECORDS: Mapping[str, Record] = {
    "pending": record_pending,
    "resolve-server-wins": resolving("server", "s", ""),
    "resolve-client-wins": resolving("client", "t", ""),
    "resolve-field-by-field": resolving("fields", "f", "s", "t", "t", "s", "tt", ""),
    "resolve-viewed-and-left": resolving("left", "v", "q"),
    "log-follow": record_log,
}


def main() -> None:
    for language in LANGUAGES:
        for width in WIDTHS:
            with running_demo() as demo:
                fill(demo)
                for name, record in RECORDS.items():
                    with on_terminal(demo, language=language, width=width) as terminal:
                        record(terminal, demo)
                        text = terminal.seen().removesuffix("$").rstrip()
                    file = SCREENS / f"{name}.{width}.{language}.txt"
                    file.write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    main()
