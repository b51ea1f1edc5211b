"""A private PostgreSQL for tests: a throwaway cluster where the server's programs are installed, nothing otherwise.

The cluster listens on a Unix socket in its own folder only, writes without fsync, and is removed when the tests end,
also when they are killed: its supervisor waits on a pipe of ours. `initdb` refuses to run as root; root hands it to
the user postgres, else nobody.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

START_S = 30.0
MEMORY, MEMORY_BYTES = "/dev/shm", 2**30  # noqa: S108 - the folder made in it is private and random

# Ends with the pipe on its standard input, whoever closes it: stops the server at once and removes the folder.
_SUPERVISOR = '"$@" >>"$0/log" 2>&1 & server=$!; read -r _; kill -QUIT "$server"; wait "$server"; rm -rf "$0"'

_FAST = {
    "listen_addresses": "", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    "autovacuum": "off", "wal_level": "minimal", "max_wal_senders": "0", "max_connections": "60",
    "shared_buffers": "32MB", "jit": "off", "timezone": "UTC",
}  # fmt: skip


def postgresql_programs() -> Path | None:
    """The folder with `initdb` and `postgres`, the newest version first; None when PostgreSQL is not installed."""

    def version(folder: Path) -> int:
        return int(folder.parent.name) if folder.parent.name.isdecimal() else 0

    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=version, reverse=True)
    if on_path := shutil.which("postgres"):
        found.append(Path(on_path).resolve().parent)
    return next((p for p in found if (p / "initdb").exists() and (p / "postgres").exists()), None)


class PostgresCluster:
    """A running server of one's own: `with PostgresCluster() as cluster: cluster.url("postgres")`.

    Raises RuntimeError, with the end of the server's log, when it does not come up.
    """

    def __init__(self, programs: Path | None = None) -> None:
        found = programs or postgresql_programs()
        if found is None:
            raise RuntimeError("PostgreSQL's server programs are not installed")
        self._programs = found
        self._as_user = _unprivileged()
        self.folder = Path(tempfile.mkdtemp(prefix="hub-pg-", dir=_short_temp()))
        self._supervisor: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "PostgresCluster":
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of one database of the cluster."""
        return f"postgresql+psycopg://hub@/{database}?host={quote(str(self.folder), safe='/')}"

    def sql(self, statement: str, database: str = "postgres") -> None:
        """Run one statement outside any transaction, such as CREATE DATABASE."""
        import psycopg

        with psycopg.connect(host=str(self.folder), user="hub", dbname=database, autocommit=True) as c:
            c.execute(statement.encode())

    def stop(self) -> None:
        """Stop the server and remove everything it wrote."""
        if self._supervisor is not None:
            if self._supervisor.stdin:
                self._supervisor.stdin.close()
            self._supervisor.wait(timeout=START_S)
            self._supervisor = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        if self._as_user:
            os.chown(self.folder, self._as_user["user"], self._as_user["group"])
        data = self.folder / "data"
        for letters in (
            "C.UTF-8",
            "C",
        ):  # as a real database, one that knows letters beyond ASCII, where the system does
            initdb = [
                str(self._programs / "initdb"), "-D", str(data), "-U", "hub", "-A", "trust", "-E", "UTF8",
                "--locale", "C", "--lc-ctype", letters, "--no-sync", "--no-instructions",
            ]  # fmt: skip
            made = subprocess.run(initdb, capture_output=True, cwd=self.folder, check=False, **self._as_user)  # noqa: S603
            if made.returncode == 0:
                break
        else:
            raise RuntimeError(f"initdb failed: {made.stderr.decode(errors='replace')[-2000:]}")
        server = [str(self._programs / "postgres"), "-D", str(data), "-k", str(self.folder)]
        server += [word for name, value in _FAST.items() for word in ("-c", f"{name}={value}")]
        self._supervisor = subprocess.Popen(  # noqa: S603 - our own words
            ["/bin/sh", "-c", _SUPERVISOR, str(self.folder), *server], stdin=subprocess.PIPE, cwd=self.folder,
            start_new_session=True, **self._as_user,
        )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        import psycopg

        until = time.monotonic() + START_S
        while True:
            try:
                self.sql("select 1")
            except psycopg.OperationalError as exc:
                if time.monotonic() > until:
                    log = self.folder / "log"
                    said = log.read_text(errors="replace")[-2000:] if log.exists() else "no log"
                    raise RuntimeError(f"PostgreSQL did not come up in {START_S:g} s: {said}") from exc
                time.sleep(0.02)
            else:
                return


def _unprivileged() -> dict[str, Any]:
    """Arguments for subprocess that give root's rights away; {} where there are none to give."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")


def _short_temp() -> str:
    """A folder for the cluster that other users can reach: a socket's path may not exceed 107 bytes.

    In memory where there is plenty: even without fsync, handing pages to a disk is a good part of what a test costs.
    """
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
        return MEMORY
    default = tempfile.gettempdir()
    return default if len(default) < 60 else "/tmp"  # noqa: S108 - the folder made in it is private and random
