"""A small file system of its own in a file: it can be full, read-only, or lose its power."""

import fcntl
import os
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SHUTDOWN = 0x8004587D
# Neither the log nor anything else reaches the disk: as when the power goes.
_NO_FLUSH = 2


class Disk:
    """An ext4 on a loop device, mounted on `folder`."""

    def __init__(self, home: Path, megabytes: int) -> None:
        self._image = home / "disk.img"
        self.folder = home / "disk"
        self.folder.mkdir()
        with self._image.open("wb") as file:
            file.truncate(megabytes << 20)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
        self._mount()
        self.folder.chmod(0o755)

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.folder))

    def cut_power(self) -> None:
        """From now on nothing more gets to the disk, and what was not synced never did."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_FLUSH))
        finally:
            os.close(descriptor)

    def mount_again(self) -> None:
        """Switch the machine on again: whoever used the disk has ended."""
        self.unmount()
        self._mount()

    def turn_read_only(self) -> None:
        """Have ext4 give up writing, as after an error of the disk, under whoever uses it."""
        _run("mount", "-o", "remount,abort", str(self.folder))

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave no byte free while the block runs."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file:
            free = os.statvfs(self.folder)
            size = free.f_bavail * free.f_frsize
            while size:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
                except OSError:
                    size //= 2
        try:
            yield
        finally:
            filler.unlink()

    def unmount(self) -> None:
        _run("umount", str(self.folder))


@contextmanager
def disk(megabytes: int = 64) -> Iterator[Disk]:
    """A disk that is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="faults-", dir="/tmp") as home:
        Path(home).chmod(0o755)
        made = Disk(Path(home), megabytes)
        try:
            yield made
        finally:
            made.unmount()


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
