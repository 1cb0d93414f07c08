"""The documents say what is true now."""

import re
from pathlib import Path

import pytest

from bulonera_sync.cli.main import app as command_line
from bulonera_sync.server.app import OPEN_ROUTES, SYNC_ROUTES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PACKAGE = ROOT / "bulonera_sync"


def words_in_code(text: str) -> set[str]:
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"[\w/]+", code)}


def test_the_readme_names_every_route() -> None:
    paths = {
        re.sub(r"\{file.*", "", re.sub(r"\{sale.*", "{", path)).rstrip("/")
        for path in (*SYNC_ROUTES, *OPEN_ROUTES)
    }

    missing = {path for path in paths if path not in README}

    assert not missing


def test_the_readme_names_every_command() -> None:
    commands = {
        info.name or info.callback.__name__
        for info in command_line.registered_commands
        if info.callback
    }
    groups = {info.name for info in command_line.registered_groups if info.name}

    missing = {name for name in commands | groups if f"`{name}" not in README}

    assert not missing


def test_the_architecture_names_every_room() -> None:
    rooms = {
        path.stem if path.suffix else f"{path.name}/"
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or path.is_dir()
    } - {"__init__", "__main__", "__pycache__/"}

    missing = rooms - words_in_code(ARCHITECTURE)

    assert not missing


@pytest.mark.parametrize(
    "page", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], ids=lambda p: p.name
)
def test_a_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))

    missing = {link for link in links if not (page.parent / link).exists()}

    assert not missing


def test_the_readme_starts_with_two_commands() -> None:
    [first, *_] = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)

    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make run", "make test"]
