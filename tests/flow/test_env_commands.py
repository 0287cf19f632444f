"""``picloud env`` over a real server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud import environment
from tests.conftest import PICLOUD

pytestmark = pytest.mark.usefixtures("no_environments")


def typed(server: Any, *words: str) -> tuple[int, str, str]:
    """A command as it is typed: exit code, and what it printed."""
    env = {**os.environ, "PICLOUD_HOME": str(server.home)}
    done = subprocess.run([*PICLOUD, *words], env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_way_of_an_environment(server: Any, tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text("echo here > /opt/picloud/venv/mark; echo done")
    code, printed, _ = typed(server, "env", "create", "sci", "-d", "text")
    hostname = environment.get_setup_hostname("sci")
    assert (code, printed) == (0, f"{hostname}\n")
    assert typed(server, "env", "get-hostname", "sci")[1] == hostname
    assert typed(server, "env", "run-script", "sci", str(script))[1] == "done\n"
    assert server.picloud("env", "save-shutdown", "sci") == {"saved": "sci"}
    jid = int(typed(server, "exec", "-e", "sci", "cat", "/opt/picloud/venv/mark")[1])
    assert cloud.result(jid, timeout=60) == b"here\n"
    again = server.picloud("rerun", str(jid))
    assert again
    (row,) = server.picloud("env", "list", "-n", "sci")
    assert (row["name"], row["status"], row["action"], row["description"]) == ("sci", "ready", "idle", "text")
    assert typed(server, "env", "list")[1].split()[:4] == ["name", "status", "action", "created"]
    assert [found["number"] for found in server.picloud("env", "versions", "sci")] == [1]
    assert any(found["name"] == "msgspec" for found in server.picloud("env", "packages", "sci"))
    server.picloud("env", "clone", "sci")
    server.picloud("env", "edit-info", "sci_clone", "-n", "other")
    server.picloud("env", "publish", "other")
    assert [found["name"] for found in server.picloud("env", "list", "--public")] == [f"/{server.account()}/other"]
    server.picloud("env", "unpublish", "other")
    server.picloud("env", "delete", "other")
    assert [found["name"] for found in server.picloud("env", "list")] == ["sci"]
    server.picloud("env", "modify", "sci")
    server.picloud("env", "save", "sci")
    server.picloud("env", "shutdown", "sci")


def test_builds(server: Any, tmp_path: Path) -> None:
    code, printed, told = typed(server, "env", "build", "one", "--run", "echo building; echo a > /opt/picloud/a")
    assert code == 0 and "building" in told and printed.startswith("one version 1, ")
    lock = tmp_path / "lock"
    lock.write_text(typed(server, "env", "packages", "one", "--lock")[1])
    made = server.picloud("env", "build", "two", "--lock", str(lock))
    assert made["digest"] == environment.versions("one")[0]["digest"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("create", "x" * 31), 3, "1 to 30"),
        (("create", "new", "precise"), 3, "no base"),
        (("modify", "nothing"), 3, "no environment"),
        (("build", "new"), 2, "nothing to build"),
        (("edit-info", "sci"), 2, "give -n or -d"),
        (("rsync", "a"), 2, "a source and a destination"),
        (("run-script", "sci", "/no/such/file"), 2, "does not exist"),
        (("add-base", "b", "--debian", "x", "--image", "/"), 2, "contradict"),
    ],
)
def test_wrong_words(server: Any, words: tuple[str, ...], code: int, says: str) -> None:
    found, _, told = typed(server, "env", *words)
    assert found == code and says in " ".join(told.split())
    assert environment.list_envs() == []
