"""What a service changes on the machine: a unit's file, a user, whose the store's files are."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bulonera_sync.cli.sentences import reason
from bulonera_sync.cli.units import UNIT, USER, Stored
from bulonera_sync.cli.words import phrase
from bulonera_sync.errors import RefusedError

# What `systemctl show` is asked for.
PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "MainPID",
    "StatusText",
    "ActiveEnterTimestamp",
    "NRestarts",
    "Result",
)

# Nobody's to give away; the homes of users are not either.
SYSTEM_FOLDERS = (
    *map(Path, ("/", "/etc", "/etc/ssl", "/home", "/media", "/mnt", "/opt", "/srv")),
    *map(Path, ("/usr", "/usr/local", "/var", "/var/lib", "/var/log")),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that systemd runs: where its units are, and which user a service gets."""

    units: Path = Path("/etc/systemd/system")
    # It is there while systemd runs the machine (sd_booted(3)).
    booted: Path = Path("/run/systemd/system")
    user: str = USER
    # Emptied by the system: no place for sales.
    fleeting: Sequence[Path] = (Path("/tmp"), Path("/var/tmp"), Path("/run"))  # noqa: S108

    @property
    def unit(self) -> Path:
        """The unit's file."""
        return self.units / UNIT

    def check(self, *, as_root: bool = True) -> None:
        """Raise `RefusedError` unless there is a systemd that this process may tell."""
        if not self.booted.is_dir() or shutil.which("systemctl") is None:
            text = phrase("systemd does not run this machine; service install --print shows a unit")
            raise RefusedError(text)
        if as_root and os.geteuid() != 0:
            raise RefusedError(phrase("only root can do that; put sudo before the command"))

    def hand_over(self, stored: Stored, config: Path) -> None:
        """Make the service's user where it is missing, and give it what the store keeps."""
        for path in (*stored.folders, stored.tls, config):
            self._check_place(path)
        account = self._account()
        try:
            for folder in (*stored.folders, stored.log.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in owned(stored):
                os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
            # It may read it, not change it: a password of a database may stand in it.
            os.chown(config, 0, account.pw_gid)
            config.chmod(0o640)
        except OSError as error:
            where = error.filename
            text = phrase("{file} can't be given to {user}: {why}",
                          file=where, user=self.user, why=reason(error))  # fmt: skip
            raise RefusedError(text) from error

    def _check_place(self, path: Path) -> None:
        for place in self.fleeting:
            if path.is_relative_to(place):
                text = phrase("{file} is no place for sales: the system empties {place}",
                              file=path, place=place)  # fmt: skip
                raise RefusedError(text)

        if path in {*SYSTEM_FOLDERS, *(Path(each.pw_dir) for each in pwd.getpwall())}:
            text = phrase("{file} is the system's own; the store needs a folder of its own",
                          file=path)  # fmt: skip
            raise RefusedError(text)

    def _account(self) -> pwd.struct_passwd:
        """Return the service's user, made now where it is missing."""
        try:
            return pwd.getpwnam(self.user)
        except KeyError:
            words = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
            _run(["useradd", *words, "--shell", "/usr/sbin/nologin", self.user])
        return pwd.getpwnam(self.user)

    def try_as_user(self, command: Sequence[str]) -> None:
        """Run a command as the service's user; raises `RefusedError` when that can't be done."""
        account = self._account()
        try:
            done = subprocess.run(  # noqa: S603 - our own program
                command,
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=[],
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
            )
            said = done.stderr if done.returncode else ""
        except OSError as error:
            said = f"{error.filename}: {reason(error)}"
        if said:
            text = phrase("{user} can't run the daemon: {why}",
                          user=self.user, why=_last_line(said))  # fmt: skip
            raise RefusedError(text)

    def start(self, unit: str) -> None:
        """Write the unit and start it, at every boot too; one that runs starts anew."""
        was_there = self.unit.exists()
        try:
            self.unit.write_text(unit, "utf-8")
            self.unit.chmod(0o644)
        except OSError as error:
            text = phrase("{file} can't be written: {why}", file=self.unit, why=reason(error))
            raise RefusedError(text) from error
        systemctl("daemon-reload")
        systemctl("enable", "--now", UNIT)
        if was_there:
            systemctl("restart", UNIT)

    def stop(self) -> str:
        """Stop the service for good and remove its unit; return what that said."""
        try:
            unit = self.unit.read_text("utf-8")
        except FileNotFoundError as error:
            text = phrase("{file} is not there: no service is installed", file=self.unit)
            raise RefusedError(text) from error
        systemctl("disable", "--now", UNIT)
        self.unit.unlink()
        systemctl("daemon-reload")
        return unit


def owned(stored: Stored) -> Iterator[Path]:
    """Yield the folders and files that a daemon must own, and no other file in those folders."""
    for file in (stored.database, stored.log):
        if file is not None:
            yield file.parent
            # Beside a database are its -wal, -shm and .lock, beside a log the former ones.
            yield from (each for each in file.parent.iterdir() if each.name.startswith(file.name))
    yield from _certificates(stored.tls)


def _certificates(path: Path) -> Iterator[Path]:
    from bulonera_sync.tls.files import Folder

    folder = Folder(path)
    if folder.authority_file.exists():
        yield path
        files = (folder.authority_file, folder.key_file, folder.leaf_file)
        yield from (file for file in files if file.exists())


def shown() -> Mapping[str, str]:
    """Return what systemd says of the service, by property."""
    said = systemctl("show", UNIT, "--timestamp=unix", f"--property={','.join(PROPERTIES)}")
    pairs = (line.partition("=") for line in said.splitlines())
    return {name: value for name, _, value in pairs}


def systemctl(*words: str) -> str:
    """Tell systemd something; raises `RefusedError` with its own words where it refuses."""
    return _run(["systemctl", *words])


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        text = phrase("{command} can't be run: {why}", command=command[0], why=reason(error))
        raise RefusedError(text) from error
    if done.returncode:
        text = phrase("{command} failed: {why}", command=" ".join(command[:2]),
                      why=" ".join(done.stderr.split()))  # fmt: skip
        raise RefusedError(text)
    return done.stdout


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1]
