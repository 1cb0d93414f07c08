"""What a container is made from and asked with."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.processes import run, serving_process

ROOT = Path(__file__).parent.parent
HEALTH = ROOT / "docker" / "health.py"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
IGNORE = (ROOT / ".dockerignore").read_text("utf-8").splitlines()


def health(folder: Path, port: int) -> int:
    """Ask as Docker does; return the exit code."""
    environment = {**os.environ, "BULONERA_SERVER__PORT": str(port)}
    return subprocess.run(
        [sys.executable, HEALTH], cwd=folder, env=environment, check=False
    ).returncode


@pytest.mark.parametrize("commands", [["init"], ["init", "tls init"]], ids=["plain", "tls"])
async def test_a_ready_gateway_is_healthy(tmp_path: Path, commands: list[str]) -> None:
    for command in commands:
        code, _, err = await run(tmp_path, *command.split())
        assert code == 0, err
    page = {"BULONERA_SERVER__TLS_PAGE_PORT": "0"}
    async with serving_process(tmp_path, "--port", "0", **page) as daemon:
        running = health(tmp_path, daemon.port)
        await daemon.end()

    assert running == 0
    assert health(tmp_path, daemon.port) == 1


def test_what_is_copied_is_there_and_not_ignored() -> None:
    copied = [
        name.rstrip("/") for name in re.findall(r"^COPY (?!--from)(\S+)", DOCKERFILE, re.MULTILINE)
    ]

    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in IGNORE, name


def test_a_signal_reaches_the_daemon() -> None:
    # A shell in between would keep SIGTERM to itself: both forms must be lists.
    assert re.findall(r"^(?:ENTRYPOINT|CMD) (.)", DOCKERFILE, re.MULTILINE) == ["[", "["]
    assert re.findall(r"^ +CMD (.)", DOCKERFILE, re.MULTILINE) == ["["]


def test_nothing_runs_as_root() -> None:
    [user] = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)

    assert f"--shell /usr/sbin/nologin {user}" in DOCKERFILE


def test_a_container_has_all_that_a_gateway_needs() -> None:
    runtime, container = _pins("runtime"), _pins("container")

    assert runtime
    assert runtime <= container, "make lock writes them anew"


def _pins(name: str) -> set[str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    return set(re.findall(r"^[a-z0-9-]+==[^ ]+", text, re.MULTILINE))
