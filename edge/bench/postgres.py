"""A PostgreSQL of our own: a temporary cluster on a free loopback port, ended with whoever started it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from broker.embedded import ends_with_parent, free_port, stop_child


def bin_folder() -> Path | None:
    """Return the folder of initdb and postgres, the newest there is, None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    path = shutil.which("initdb")
    return Path(path).resolve().parent if path else None


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """Yield the address of an empty database, such as ``postgresql+psycopg://nearmiss@127.0.0.1:5433/postgres``."""
    programs = bin_folder()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="nearmiss-postgres-"))
    user = _unprivileged()
    if user is not None:
        shutil.chown(folder, user)
    store, port = folder / "store", free_port()
    try:
        subprocess.run(
            [str(programs / "initdb"), "-D", str(store), "-U", "nearmiss", "--auth=trust", "--no-sync"],
            check=True,
            capture_output=True,
            user=user,
            cwd=folder,
        )
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", store, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-F"],
                stdout=log,
                stderr=log,
                user=user,
                cwd=folder,
                preexec_fn=ends_with_parent(),
            )
        try:
            ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
            deadline = time.monotonic() + 60
            while subprocess.run(ready, check=False).returncode != 0:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, "PostgreSQL does not answer"
                time.sleep(0.05)
            yield f"postgresql+psycopg://nearmiss@127.0.0.1:{port}/postgres"
        finally:
            stop_child(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> str | None:
    """Return whom to run as: initdb refuses root."""
    if os.geteuid() != 0:
        return None
    for user in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(user)
            return user
    return None
