"""The databases that the store's contract holds on: SQLite in a temporary folder, and a PostgreSQL started for the run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from picloud.store.db import Database
from picloud.store.tables import metadata


def postgresql_programs() -> Path:
    """The folder with initdb and postgres."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3].split(".")[0]))
    program = str(found[-1]) if found else shutil.which("initdb")
    assert program, "these tests need PostgreSQL: apt-get install postgresql, or run scripts/system-packages"
    return Path(program).resolve().parent


def _as_user(*command: str) -> list[str]:
    """The command, as user postgres where we are root, whom PostgreSQL refuses."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else list(command)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL that lives as long as the test run, without a database name."""
    programs, port = postgresql_programs(), _free_port()
    folder = Path(tempfile.mkdtemp(prefix="picloud-postgresql-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        data, log = folder / "data", folder / "log"
        subprocess.run(_as_user(str(programs / "initdb"), "-D", str(data), "-U", "picloud", "-A", "trust", "-E", "UTF8",
                                "--no-sync", "--locale=C"), check=True, capture_output=True, cwd="/")  # fmt: skip
        options = f"-p {port} -k '' -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=60"
        control = _as_user(str(programs / "pg_ctl"), "-D", str(data), "-w", "-t", "60")
        subprocess.run([*control, "-l", str(log), "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, cwd="/")
        try:
            yield f"postgresql+psycopg://picloud@127.0.0.1:{port}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL, cwd="/")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_database(server: str) -> str:
    """The URL of a fresh database on that server."""
    name = f"t{uuid.uuid4().hex}"
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return f"{server}/{name}"


@pytest.fixture(scope="session")
def shared_postgresql(postgresql: str) -> str:
    """A database with our tables, emptied for each test: ten times quicker than a new one."""
    made = new_database(postgresql)
    Database.open(made).close()
    return made


def emptied(url: str) -> str:
    """The database as it was when it was new."""
    engine = create_engine(url)
    with engine.begin() as tx:
        tx.exec_driver_sql(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY")
        tx.exec_driver_sql("INSERT INTO counter VALUES ('jid', 0), ('body', 0)")
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each sort without a row."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/picloud.sqlite"
    return emptied(request.getfixturevalue("shared_postgresql"))


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each sort without a table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/picloud.sqlite"
    return new_database(request.getfixturevalue("postgresql"))


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    """An open store."""
    opened = Database.open(url)
    yield opened
    opened.close()


@pytest.fixture
def other(url: str, db: Database) -> Iterator[Database]:
    """The same store from another connection, as another server would have it."""
    opened = Database.open(url)
    yield opened
    opened.close()
