"""`service`: the unit, and what installing it does to a machine."""

import os
import pwd
import re
import stat
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from bulonera_sync.cli import machines
from bulonera_sync.cli.machines import Machine, owned
from bulonera_sync.cli.service import program
from bulonera_sync.cli.units import UNIT, Stored, folders_of, stored_by, unit_text
from bulonera_sync.config import LogSettings, ServerSettings, Settings, StoreSettings
from bulonera_sync.errors import RefusedError
from tests.cli.conftest import Run
from tests.needs import need_program, need_root

CONFIG = Path("/srv/bulonera/config.toml")
# What systemd would split, expand or end a text at.
ODD = '/srv/a b/50%/"q"/$HOME/back\\slash'
# The least that a hardened service of the network can come to is about 1.
MOST_EXPOSURE = 1.5


@pytest.fixture
def as_root() -> None:
    """Only root gives files away."""
    need_root()


def on_folder(folder: str = "/srv/bulonera", /, **server: object) -> Settings:
    """Return the settings of a store in this folder."""
    return Settings(
        server=ServerSettings.model_validate({"tls_folder": f"{folder}/tls", **server}),
        store=StoreSettings(url=f"sqlite:///{folder}/sales.db"),
        log=LogSettings(file=Path(folder, "logs/sync.log")),
    )


def directives(unit: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)


@pytest.fixture
def analyze() -> str:
    return str(need_program("systemd-analyze", package="systemd"))


@pytest.mark.parametrize(
    "settings",
    [on_folder(), on_folder(ODD), on_folder(port=443)],
    ids=["plain", "odd path", "low port"],
)
def test_systemd_finds_nothing_wrong_with_the_unit(
    analyze: str, tmp_path: Path, settings: Settings
) -> None:
    file = tmp_path / UNIT
    file.write_text(unit_text(settings, CONFIG, program()))

    done = subprocess.run(
        [analyze, "verify", "--man=no", file], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_calls_the_unit_hardly_exposed(analyze: str, tmp_path: Path) -> None:
    file = tmp_path / UNIT
    file.write_text(unit_text(on_folder(), CONFIG, program()))

    done = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", file],
        capture_output=True,
        text=True,
        check=False,
    )

    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done
    assert float(found[1]) <= MOST_EXPOSURE


def test_a_folder_with_an_odd_name_is_found_in_the_unit_again() -> None:
    unit = unit_text(on_folder(ODD), CONFIG, program())

    assert folders_of(unit) == [Path(ODD)]


def test_a_tls_folder_elsewhere_is_written_once_it_is_there() -> None:
    unit = unit_text(on_folder(tls_folder="/srv/tls"), CONFIG, program())

    assert directives(unit, "ReadWritePaths") == ['"/srv/bulonera"', '-"/srv/tls"']


def test_a_database_on_postgres_is_no_folder() -> None:
    settings = on_folder().model_copy(
        update={"store": StoreSettings(url="postgresql://shop@db/shop")}
    )

    unit = unit_text(settings, CONFIG, program())

    assert directives(unit, "ReadWritePaths") == ['"/srv/bulonera/logs"', '-"/srv/bulonera/tls"']


@pytest.mark.parametrize(
    ("server", "capability", "has_own_users"),
    [
        ({"port": 8000}, "", "yes"),
        ({"port": 0, "tls_page_port": 0}, "", "yes"),
        ({"port": 443}, "CAP_NET_BIND_SERVICE", "no"),
        ({"tls_page_port": 80}, "CAP_NET_BIND_SERVICE", "no"),
    ],
)
def test_only_a_low_port_brings_a_capability(
    server: dict[str, object], capability: str, has_own_users: str
) -> None:
    unit = unit_text(on_folder("/srv/bulonera", **server), CONFIG, program())

    assert directives(unit, "CapabilityBoundingSet") == [capability]
    assert directives(unit, "AmbientCapabilities") == [capability]
    assert directives(unit, "PrivateUsers") == [has_own_users]


@pytest.mark.parametrize(
    ("folder", "python", "home"),
    [
        ("/srv/bulonera", "/opt/bulonera/bin/python", "yes"),
        ("/home/ana/shop", "/opt/bulonera/bin/python", "read-only"),
        ("/srv/bulonera", "/home/ana/.venv/bin/python", "read-only"),
    ],
)
def test_homes_are_hidden_where_nothing_lies_there(folder: str, python: str, home: str) -> None:
    unit = unit_text(on_folder(folder), CONFIG, [Path(python)])

    assert directives(unit, "ProtectHome") == [home]


@dataclass(frozen=True)
class Systemd:
    """A machine of the test's own, whose `systemctl` notes what it is told."""

    folder: Path

    @property
    def machine(self) -> Machine:
        return Machine(
            units=self.folder / "units",
            booted=self.folder / "units",
            user=pwd.getpwuid(os.geteuid()).pw_name,
            # Where tests keep their files.
            fleeting=(),
        )

    @property
    def told(self) -> list[str]:
        file = self.folder / "told"
        return file.read_text().splitlines() if file.exists() else []

    def answers(self, properties: str) -> None:
        (self.folder / "answer").write_text(properties)

    def refuses(self, why: str) -> None:
        (self.folder / "refusal").write_text(why)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    place = tmp_path / "systemd"
    (place / "units").mkdir(parents=True)
    program = place / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncd {place}\necho "$@" >> told\n'
        "[ ! -f refusal ] || { cat refusal >&2; exit 1; }\n[ ! -f answer ] || cat answer\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return Systemd(place)


@pytest.fixture
def on_machine(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    """The commands' machine is the test's."""
    own = systemd.machine
    chosen = partial(
        Machine, units=own.units, booted=own.booted, user=own.user, fleeting=own.fleeting
    )
    monkeypatch.setattr(machines, "Machine", chosen)
    return systemd


def test_a_start_enables_the_unit(systemd: Systemd) -> None:
    systemd.machine.start("[Unit]\n")

    assert systemd.machine.unit.read_text() == "[Unit]\n"
    assert stat.S_IMODE(systemd.machine.unit.stat().st_mode) == 0o644
    assert systemd.told == ["daemon-reload", f"enable --now {UNIT}"]


def test_a_second_start_runs_what_is_new(systemd: Systemd) -> None:
    systemd.machine.start("[Unit]\n")

    systemd.machine.start("[Unit]\nDescription=new\n")

    assert systemd.told[2:] == ["daemon-reload", f"enable --now {UNIT}", f"restart {UNIT}"]


def test_systemd_s_own_words_are_told(systemd: Systemd) -> None:
    systemd.refuses("Job for bulonera-sync.service failed.\nSee journalctl.\n")

    with pytest.raises(RefusedError, match=r"systemctl daemon-reload failed: Job .* See journal"):
        systemd.machine.start("[Unit]\n")


def test_a_service_that_is_not_there_is_not_stopped(systemd: Systemd) -> None:
    with pytest.raises(RefusedError, match="no service is installed"):
        systemd.machine.stop()

    assert systemd.told == []


def test_no_systemd_is_told_plainly(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="systemd does not run this machine"):
        Machine(booted=tmp_path / "missing").check()


def test_who_is_not_root_is_told_plainly(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(RefusedError, match="only root can do that"):
        systemd.machine.check()
    systemd.machine.check(as_root=False)


def test_only_the_store_s_own_files_change_hands(tmp_path: Path) -> None:
    own = {"sales.db", "sales.db-wal", "sales.db.lock", "logs/sync.log", "logs/sync.log.1"}
    own |= {"tls/ca.crt", "tls/ca.key", "tls/gateway.pem"}
    others = {"photo.jpg", "logs/other.log", "config.toml", "tls/other.pem"}
    for name in ("logs", "tls"):
        (tmp_path / name).mkdir()
    for name in own | others:
        (tmp_path / name).write_text("")
    stored = Stored(tmp_path / "sales.db", tmp_path / "logs/sync.log", tmp_path / "tls")

    found = {str(path.relative_to(tmp_path)) for path in owned(stored)}

    assert found == own | {".", "logs", "tls"}


def test_a_folder_without_the_gateway_s_certificates_keeps_its_owner(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "other.pem").write_text("")
    stored = Stored(tmp_path / "sales.db", tmp_path / "sync.log", tmp_path / "shared")

    assert set(owned(stored)) == {tmp_path}


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("/tmp/shop", "the system empties /tmp"),  # noqa: S108 - not written
        ("/srv", "is the system's own"),
        ("/root", "is the system's own"),
    ],
)
def test_a_place_that_is_not_the_store_s_is_refused(folder: str, why: str) -> None:
    stored = stored_by(on_folder(folder))

    with pytest.raises(RefusedError, match=why):
        Machine().hand_over(stored, CONFIG)


@pytest.mark.usefixtures("as_root")
def test_a_user_who_can_t_run_the_daemon_is_told_why(systemd: Systemd) -> None:
    with pytest.raises(RefusedError, match=r"can't run the daemon: .*no such file"):
        systemd.machine.try_as_user(
            [*map(str, program()), "--config", "/missing.toml", "config", "check"]
        )


@pytest.mark.usefixtures("as_root")
def test_install_status_uninstall(run_anywhere: Run, folder: Path, on_machine: Systemd) -> None:
    run_anywhere("init")
    on_machine.answers("LoadState=loaded\nActiveState=active\nSubState=running\nMainPID=7\n")

    installed = run_anywhere("service", "install")
    is_there = on_machine.machine.unit.exists()
    stands = run_anywhere("service", "status")
    uninstalled = run_anywhere("service", "uninstall")

    assert (installed.code, stands.code, uninstalled.code) == (0, 0, 0), (installed, stands)
    assert is_there
    assert stat.S_IMODE((folder / "config.toml").stat().st_mode) == 0o640
    assert re.search(r"^state +active$", stands.out, re.MULTILINE)
    assert not on_machine.machine.unit.exists()
    assert str(folder) in uninstalled.out
    assert (folder / "bulonera-sync.db").exists()
    assert on_machine.told[-2:] == [f"disable --now {UNIT}", "daemon-reload"]


def test_a_status_is_one_document(run_anywhere: Run, folder: Path, on_machine: Systemd) -> None:
    on_machine.answers(
        "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n"
        "MainPID=812\nStatusText=http://192.168.0.10:8000\nActiveEnterTimestamp=@1771243200\n"
        "NRestarts=2\nResult=success\n"
    )

    ran = run_anywhere("service", "status", "--json")

    assert ran.code == 0
    assert ran.json == {
        "installed": True,
        "state": "active",
        "detail": "running",
        "at_boot": True,
        "process": 812,
        "address": "http://192.168.0.10:8000",
        "since": "2026-02-16T12:00:00Z",
        "restarts": 2,
        "result": "success",
    }


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ("LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=watchdog\n", "watchdog"),
        ("LoadState=not-found\nActiveState=inactive\nSubState=dead\n", "No service is installed"),
        ("", "No service is installed"),
    ],
)
def test_a_service_that_does_not_run_exits_with_1(
    run_anywhere: Run, on_machine: Systemd, properties: str, said: str
) -> None:
    on_machine.answers(properties)

    ran = run_anywhere("service", "status")

    assert ran.code == 1
    assert said in ran.out


def test_print_shows_the_unit_and_needs_nothing(run_anywhere: Run, folder: Path) -> None:
    run_anywhere("init")

    ran = run_anywhere("service", "install", "--print")

    assert ran.code == 0
    assert directives(ran.out, "ReadWritePaths") == [f'"{folder}"']
    assert f'"{sys.executable}"' in ran.out
    assert f'"{folder / "config.toml"}"' in ran.out


def test_a_service_without_a_file_is_refused(run_anywhere: Run) -> None:
    assert "there is no config.toml here" in run_anywhere("service", "install", "--print").error


def test_a_setting_that_the_service_would_not_see_is_refused(
    run_anywhere: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_anywhere("init")
    monkeypatch.setenv("BULONERA_SERVER__PORT", "9000")

    ran = run_anywhere("service", "install", "--print")

    assert ran.code == 1
    assert "the service won't see BULONERA_SERVER__PORT" in ran.error


def test_nothing_is_given_to_a_user_who_can_t_come_to_the_program(
    run_anywhere: Run, folder: Path, on_machine: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    run_anywhere("init")
    monkeypatch.setattr(sys, "executable", str(folder / "missing" / "python"))

    ran = run_anywhere("service", "install")

    assert "can't run the daemon" in ran.error
    assert stat.S_IMODE((folder / "config.toml").stat().st_mode) == 0o600
    assert on_machine.told == []
