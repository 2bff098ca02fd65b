"""Real PostgreSQL servers for the tests, by the programs of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from tests.redis_server import HOST, find_free_port

DEBIAN = Path("/usr/lib/postgresql")
START_SECONDS = 30  # recovery after a crash included
POLL_SECONDS = 0.05
USER = "diator"

NO_POSTGRESQL = """\
The integration tests need the programs of PostgreSQL, and this machine has none: \
install postgresql, and leave its service alone."""


class NoPostgreSQLError(Exception):
    """Tells that the machine offers no PostgreSQL."""


class PostgreSQLServer:
    """
    A PostgreSQL server that a test may do everything to.

    What it has committed survives `kill`, and its URL stays the same.
    """

    def __init__(self) -> None:
        self._programs = find_programs()
        self.port = find_free_port()
        # PostgreSQL refuses to run as root.
        self._user = "nobody" if os.getuid() == 0 else None
        self._folder = tempfile.TemporaryDirectory(prefix="diator-postgresql-")
        self._process: subprocess.Popen[bytes] | None = None
        self._data = Path(self._folder.name, "data")
        self._data.mkdir()
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            for path in (self._folder.name, self._data):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        self._run("initdb", "--auth=trust", f"--username={USER}", "--encoding=UTF8")

    @property
    def url(self) -> str:
        """The URL for SQLAlchemy."""
        return f"postgresql+psycopg://{USER}@{HOST}:{self.port}/postgres"

    def start(self) -> None:
        """Start it, for the first time or after `kill`, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                str(self._programs / "postgres"),
                *("-D", str(self._data)),
                *("-h", HOST),
                *("-p", str(self.port)),
                *("-k", self._folder.name),
            ],
            user=self._user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                self.ask("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(POLL_SECONDS)
            else:
                return

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """Run a statement, and give the rows."""
        address = f"host={HOST} port={self.port} user={USER} dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """End it at once, and all sessions with it, as a crash does."""
        assert self._process is not None, "start() comes first"
        # Its children notice, and end before another can be started.
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def close(self) -> None:
        """End it for good and remove what it leaves."""
        if self._process is not None:
            self.kill()
        self._folder.cleanup()

    def describe(self) -> str:
        """Return its version."""
        [[version]] = self.ask("SHOW server_version")
        return f"PostgreSQL {version}"

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), "-D", str(self._data), *arguments],
            user=self._user,
            cwd=self._folder.name,
            check=True,
            capture_output=True,
        )


def find_programs() -> Path:
    """Return the folder of the newest programs, on PATH or where Debian has them."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).parent
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        raise NoPostgreSQLError(NO_POSTGRESQL)
    return versions[-1].parent
