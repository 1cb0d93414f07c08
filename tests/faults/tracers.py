"""strace on a running daemon: it is killed at the Nth write, or its fsync fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

WRITES = "write,pwrite64,writev,pwritev,sendto,sendmsg,fsync,fdatasync,ftruncate"
SYNCS = "fsync,fdatasync"


@asynccontextmanager
async def injected(pid: int, calls: str, fault: str) -> AsyncIterator[asyncio.StreamReader]:
    """Have the kernel do `fault` to the process's calls while the block runs.

    `when=N` counts each thread's calls for itself. Yields what strace says, call by call.
    """
    tracer = await asyncio.create_subprocess_exec(
        "strace",
        "-f",
        "-p",
        str(pid),
        "-e",
        f"trace={calls}",
        "-e",
        f"inject={calls}:{fault}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    assert tracer.stderr is not None
    # "strace: Process N attached", or "... attached with M threads".
    attached = await tracer.stderr.readline()
    assert b"attached" in attached, attached
    try:
        yield tracer.stderr
    finally:
        with suppress(ProcessLookupError):
            tracer.terminate()
        await tracer.stderr.read()
        await tracer.wait()
