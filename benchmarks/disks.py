"""A slow disk: a library that makes every fsync of a program take longer, built when it is needed.

SQLite is linked into its Python module, but it calls the C library's fsync as Postgres does.
"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "SLOW_DISK_MICROSECONDS"

_SOURCE = f"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_more(void) {{
    static long more = -1;
    if (more < 0) {{
        const char *said = getenv("{VARIABLE}");
        more = said ? atol(said) : 0;
    }}
    if (more > 0) usleep(more);
}}

#define SLOW(name) \\
    int name(int descriptor) {{ \\
        static int (*real)(int) = NULL; \\
        if (!real) real = (int (*)(int)) dlsym(RTLD_NEXT, #name); \\
        wait_more(); \\
        return real(descriptor); \\
    }}

SLOW(fsync)
SLOW(fdatasync)
"""


def slow_disk(folder: Path, *, milliseconds: int) -> Mapping[str, str] | None:
    """Return the environment of a program on such a disk; None without a C compiler.

    `folder` takes the library; whoever the program runs as must be able to read it.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    library = folder / "slow_disk.so"
    if not library.exists():
        source = folder / "slow_disk.c"
        source.write_text(_SOURCE)
        made = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"]
        subprocess.run(made, check=True)
        library.chmod(0o755)
    return {"LD_PRELOAD": str(library), VARIABLE: str(milliseconds * 1000)}
