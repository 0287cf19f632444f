"""What doctor finds."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from picloud.cli import doctor, packages
from picloud.server import fullness
from picloud.server.address import listen
from picloud.store.db import Database

Picloud = Callable[..., Any]


def finding(picloud: Picloud, name: str) -> dict[str, str]:
    [found] = [one for one in picloud("doctor", "--json").json if one["check"] == name]
    return dict(found)


def test_a_fit_machine(picloud: Picloud, home: Path) -> None:
    said = picloud("doctor")
    assert said.code == 0, said.out
    for name in ("python", "packages", "settings", *doctor.CHECKS):
        assert f" {name}: " in said.out
    assert os.listdir(home) == []


def test_it_makes_nothing(picloud: Picloud, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICLOUD_HOME", str(home / "not" / "yet"))
    assert picloud("doctor").code == 0
    assert os.listdir(home) == []


def test_a_running_server_is_named(picloud: Picloud) -> None:
    address = picloud("up", "--json").json["address"]
    assert address in finding(picloud, "server")["text"]


def test_a_port_in_use_fails(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with listen("127.0.0.1", 0) as taken:
        monkeypatch.setenv("PICLOUD_PORT", str(taken.getsockname()[1]))
        assert picloud("doctor").code == 3
        found = finding(picloud, "server")
    assert found["state"] == "fail"
    assert f"pid {os.getpid()}" in found["text"]
    assert "--port 0" in found["remedy"]


def test_wrong_settings_fail_and_end_the_checks(picloud: Picloud, home: Path) -> None:
    (home / "settings.toml").write_text("drain = 'x'")
    said = picloud("doctor", "--json")
    assert said.code == 3
    assert said.json[-1]["check"] == "settings"
    assert said.json[-1]["state"] == "fail"


def test_an_unfit_file_system_fails(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picloud.server.home.file_system", lambda *_: "nfs4")
    assert finding(picloud, "home")["state"] == "fail"


def test_memory_is_warned_of(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picloud.server.home.file_system", lambda *_: "tmpfs")
    assert finding(picloud, "home")["state"] == "warn"
    assert picloud("doctor").code == 0


def test_a_damaged_database_fails(picloud: Picloud, home: Path) -> None:
    (home / "picloud.sqlite").write_bytes(b"SQLite format 3\0" + bytes(5000))
    assert finding(picloud, "database")["state"] == "fail"


def test_a_disk_that_fills_up_is_warned_of(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICLOUD_MIN_FREE_DISK", "0")
    monkeypatch.setenv("PICLOUD_WARN_DISK", "0")
    assert finding(picloud, "disk")["state"] == "ok"
    monkeypatch.setattr(fullness.shutil, "disk_usage", lambda _: fullness.shutil._ntuple_diskusage(100 << 30, 92 << 30, 8 << 30))
    assert finding(picloud, "disk")["state"] == "ok"
    monkeypatch.setenv("PICLOUD_WARN_DISK", "0.9")
    found = finding(picloud, "disk")
    assert found["state"] == "warn" and "92% of the disk of" in found["text"] and "8.0 GiB are free" in found["text"]
    assert "picloud gc" in found["remedy"]
    monkeypatch.setenv("PICLOUD_WARN_DISK", "0.93")
    assert finding(picloud, "disk")["state"] == "ok"


def test_a_missing_package_fails(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PACKAGES", ("no_such_package",))
    found = finding(picloud, "packages")
    assert (found["state"], found["remedy"]) == ("fail", "pip install 'picloud[server]'")


def test_changed_settings_are_shown(picloud: Picloud, home: Path) -> None:
    (home / "settings.toml").write_text("drain = 3.0")
    assert "drain=3.0" in finding(picloud, "settings")["text"]


def test_the_database_is_looked_at_and_a_newer_one_fails(picloud: Picloud, home: Path) -> None:
    file = home / "picloud.sqlite"
    Database.open(f"sqlite:///{file}").close()
    before = file.read_bytes()
    assert finding(picloud, "database")["state"] == "ok"
    assert file.read_bytes() == before
    with sqlite3.connect(file) as changed:
        changed.execute("UPDATE alembic_version SET version_num = '9999'")
    changed.close()
    found = finding(picloud, "database")
    assert found["state"] == "fail"
    assert "from a newer version" in found["text"]
