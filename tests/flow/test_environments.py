"""Environments as users have them: made, changed, saved, used, shared, built; and what may go wrong with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import cloud
from cloud import _setup, environment
from picloud.wire.error import BadRequest, Conflict, NotFound

pytestmark = pytest.mark.usefixtures("no_environments")

DEADLINE = 60.0


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "script.sh"
        path.write_text(text)
        return str(path)

    return write


MAKE = """#!/bin/bash
set -e
site=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "VALUE = '$1'" > "$site/only_here.py"
echo made by $(id -un)
"""


def value() -> str:
    import only_here  # type: ignore[import-not-found]

    return str(only_here.VALUE)


def result(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return cloud.result(cloud.call(function, *args, **options), timeout=DEADLINE)


def make(name: str, script: Callable[[str], str], text: str = "one") -> None:
    environment.create(name)
    environment.run_script(name, script(MAKE.replace("$1", text)))
    environment.save_shutdown(name)


def action(name: str) -> str:
    (found,) = environment.list_envs(name)
    return str(found["action"])


def test_what_is_saved_is_seen_by_jobs_with_it_and_no_others(script: Callable[[str], str]) -> None:
    hostname = environment.create("sci", desc="for science")
    assert hostname == environment.get_setup_hostname("sci")
    (one,) = environment.list_envs("sci")
    assert (one["status"], one["action"], one["description"]) == ("new", "edit", "for science")
    with pytest.raises(Conflict, match="never saved"):
        cloud.call(value, _env="sci")
    assert environment.run_script("sci", script(MAKE.replace("$1", "one"))) == "made by picloud\n"
    environment.save("sci")
    assert action("sci") == "edit"
    assert result(value, _env="sci") == "one"
    with pytest.raises(cloud.CloudException, match="only_here"):
        result(value)
    old = cloud.call(value, _env="sci")
    environment.run_script("sci", script(MAKE.replace("$1", "two")))
    environment.save_shutdown("sci")
    assert (action("sci"), result(value, _env="sci"), cloud.result(old, timeout=DEADLINE)) == ("idle", "two", "one")
    again = cloud._session.session().rerun([(old, 1)], failed=False)
    assert cloud.result(again[0][0], timeout=DEADLINE) == "one"
    facts = cloud.info(again[0][0], ["env", "attributes"])[again[0][0]]
    assert (facts["env"], facts["attributes"]["env_version"]) == ("sci", 1)
    assert cloud.map(lambda x: x, range(3), _env="sci")
    assert result(lambda: cloud.result(cloud.call(value)), _env="sci") == "two"  # jobs of a job run where it runs


def test_programs_and_the_host_itself(script: Callable[[str], str]) -> None:
    make("sci", script)
    jid = cloud.shell.execute("python -c 'import only_here; print(only_here.VALUE)'", {}, _env="sci")
    assert cloud.result(jid, timeout=DEADLINE) == b"one\n"
    assert result(lambda: sys.prefix) == sys.prefix
    assert cloud.info(cloud.call(lambda: 1), "env").popitem()[1]["env"] == "base/host"


def test_by_hand_over_ssh(tmp_path: Path) -> None:
    environment.create("sci")
    (tmp_path / "sent").write_text("here")
    environment.rsync(str(tmp_path / "sent"), "sci:/tmp/")
    assert environment.ssh("sci", "cp /tmp/sent /opt/picloud/venv/; cat /tmp/sent") == "here"
    environment.rsync("sci:/tmp/sent", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "here"
    with pytest.raises(cloud.CloudException) as caught:
        environment.ssh("sci", "exit 4")
    assert caught.value.facts["exit_code"] == 4
    environment.save_shutdown("sci")
    assert result(lambda: Path("/opt/picloud/venv/sent").read_text(), _env="sci") == "here"


CALLER = """
import cloud
def seen():
    import only_there, sys
    return only_there.VALUE, sys.prefix
print(*cloud.result(cloud.call(seen), timeout=60))
"""


def test_each_caller_sees_what_its_own_interpreter_has(server: Any, tmp_path: Path) -> None:
    for name in ("one", "two"):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / name)], check=True)
        (site,) = (tmp_path / name).glob("lib/python3*/site-packages")
        (site / "only_there.py").write_text(f"VALUE = {name!r}")
        (site / "chain.pth").write_text(f"import site; site.addsitedir({str(Path(psutil.__file__).parents[1])!r})")
        env = {**os.environ, "PICLOUD_HOME": str(server.home)}
        argv = [tmp_path / name / "bin/python", "-c", CALLER]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=DEADLINE, check=False)
        assert done.stdout.split() == [name, str(tmp_path / name)], done.stderr
    with pytest.raises(cloud.CloudException, match="only_there"):
        result(lambda: __import__("only_there"))


def test_clones_and_public_ones(server: Any, script: Callable[[str], str]) -> None:
    make("sci", script)
    environment.clone("sci")
    environment.set_public("sci", True)
    (public,) = environment.list_envs(public=True)
    assert public["name"] == f"/{server.account()}/sci"
    environment.clone(public["name"], "copy", "mine")
    environment.delete("sci")
    assert result(value, _env="copy") == result(value, _env="sci_clone") == "one"
    environment.edit_info("copy", "other", "text")
    assert [one["description"] for one in environment.list_envs("other")] == ["text"]


def test_a_build_leaves_a_recipe_and_gives_the_same_again() -> None:
    first = environment.build("one", run=["echo built > /opt/picloud/said"])
    again = environment.build("one")
    other = environment.build("two", lock=environment.recipe("one"))
    assert first["digest"] == again["digest"] == other["digest"]
    assert [found["number"] for found in environment.versions("one")] == [2, 1]
    assert result(lambda: Path("/opt/picloud/said").read_text(), _env="two") == "built\n"
    assert "msgspec" in {found["name"] for found in environment.packages("one") if found["kind"] == "python"}


def test_a_build_that_fails_leaves_nothing() -> None:
    said: list[str] = []
    with pytest.raises(cloud.CloudException, match="exit code 7"):
        environment.build("one", run=["echo first", "exit 7"], progress=said.append)
    assert "first" in "".join(said)
    assert environment.list_envs() == []
    with pytest.raises(ValueError, match="nothing to build"):
        environment.build("one")


def test_a_script_that_fails_tells_its_code_and_output(script: Callable[[str], str]) -> None:
    environment.create("sci")
    with pytest.raises(cloud.CloudException) as caught:
        environment.run_script("sci", script("echo so; echo and so >&2; exit 3"))
    assert (caught.value.facts["exit_code"], caught.value.facts["output"]) == (3, "so\nand so\n")


def test_a_killed_worker_is_told_and_another_can_begin(server: Any, script: Callable[[str], str]) -> None:
    make("sci", script)
    environment.modify("sci")
    jid = int(environment.get_setup_hostname("sci").partition("@")[0])
    os.kill(_worker_of(server, jid), signal.SIGKILL)
    with pytest.raises(cloud.CloudException, match=f"setup job {jid} ended"):
        environment.wait_for_idle("sci")
    with pytest.raises(Conflict, match="not being edited"):
        environment.save("sci")
    assert result(value, _env="sci") == "one"
    environment.modify("sci")
    environment.save_shutdown("sci")


def _worker_of(server: Any, jid: int) -> int:
    incarnation = cloud.info(jid, "attempts")[jid]["attempts"][0]["worker"]
    (found,) = [one["pid"] for one in server.picloud("status")["workers"] if one["incarnation"] == incarnation]
    assert psutil.pid_exists(found)
    return int(found)


def test_a_restarted_server_goes_on_with_setup_jobs(server: Any, script: Callable[[str], str]) -> None:
    environment.create("sci")
    environment.run_script("sci", script(MAKE.replace("$1", "one")))
    server.picloud("restart")
    assert action("sci") == "edit"
    environment.save_shutdown("sci")
    assert result(value, _env="sci") == "one"


def test_bad_input_is_refused_before_anything_is_stored(server: Any) -> None:
    environment.create("sci")
    for wrong, error in (
        (lambda: environment.create("x" * 31), BadRequest),
        (lambda: environment.create("a/b"), BadRequest),
        (lambda: environment.create("new", desc="x" * 2001), BadRequest),
        (lambda: environment.create("new", "precise"), NotFound),
        (lambda: environment.create("sci"), Conflict),
        (lambda: environment.modify("sci"), Conflict),
        (lambda: environment.delete("sci"), Conflict),
        (lambda: environment.modify("sce"), NotFound),
        (lambda: environment.clone(f"/{server.account()}/sci"), Conflict),
        (lambda: environment.packages("sci"), BadRequest),
        (lambda: cloud.call(value, _env="base/none"), NotFound),
        (lambda: cloud.call(value, _env="/nobody/sci"), NotFound),
        (lambda: environment.rsync("a", "b"), BadRequest),
    ):
        with pytest.raises(error):
            wrong()
    assert [one["name"] for one in environment.list_envs()] == ["sci"]
    environment.shutdown("sci")
    for late in (environment.save, environment.shutdown, environment.get_setup_hostname):
        with pytest.raises((Conflict, BadRequest)):
            late("sci")


def test_a_recipe_is_run_for_who_has_no_client() -> None:
    environment.create("web")
    for recipe, wrong in (
        ("make coffee", "no line of a recipe"),
        ("base base/host", "no step"),
        ('base base/x\nrun "ls"', "begins with base/x"),
    ):
        with pytest.raises(BadRequest, match=wrong):
            _setup.ask("POST", "/run", {"name": "web", "recipe": recipe} | _setup.token())
    mark = _setup.token()
    _setup.ask("POST", "/run", {"name": "web", "recipe": 'run "echo high > /opt/tide"'} | mark)
    _setup.follow(mark, "the build", None)
    environment.save_shutdown("web")
    (row,) = _setup.ask("GET", "?name=web")["environments"]
    assert (row["versions"], row["size"]) == (1, environment.versions("web")[0]["size"])
    assert 'run "echo high > /opt/tide"' in environment.recipe("web")
