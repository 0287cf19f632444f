"""Processes told apart, found by their marker, ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from picloud.engine import process

MARK = "PICLOUD_TEST_MARK"
DEAF = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(300)"


@pytest.fixture
def marked(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "300"], env=os.environ | {MARK: str(tmp_path)}) as made:
        yield made
        made.kill()


def test_a_process_is_told_apart_by_its_start_time(marked: subprocess.Popen[bytes]) -> None:
    since = process.started(marked.pid)
    assert since
    assert process.alive(marked.pid, since)
    assert not process.alive(marked.pid, since + 1)
    marked.kill()
    assert process.wait(marked.pid, 5)
    assert process.started(marked.pid) is None, "a zombie does not live"
    marked.wait()
    assert process.wait(marked.pid, 0)


def test_a_name_with_blanks_and_brackets_does_no_harm(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "300"]) as made:
        assert process.started(made.pid)
        made.kill()


def test_marked_processes_are_found_and_killed(marked: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert list(process.marked([process.mark(MARK, str(tmp_path))])) == [marked.pid]
    assert list(process.marked([process.mark(MARK, str(tmp_path)[:-1])])) == []
    assert process.environment(marked.pid)[MARK] == str(tmp_path)
    assert process.kill_marked([process.mark(MARK, str(tmp_path))]) == 1
    assert process.kill_marked([process.mark(MARK, str(tmp_path))]) == 0


def test_what_runs_in_a_slot_is_found_by_its_door(tmp_path: Path) -> None:
    door = tmp_path / "work" / "beef" / "slot-1" / "door.sock"
    with subprocess.Popen(["sleep", "300"], env={process.DOOR: str(door)}) as made:
        assert list(process.marked(process.of_home(tmp_path))) == [made.pid]
        assert list(process.marked(process.of_worker(tmp_path, "bee"))) == []
        assert process.kill_marked(process.of_worker(tmp_path, "beef")) == 1


def test_those_that_fork_on_are_killed_too(tmp_path: Path) -> None:
    script = "while true; do (exec -a forked sleep 300) & sleep 0.01; done"
    with subprocess.Popen(["bash", "-c", script], env=os.environ | {MARK: str(tmp_path)}, start_new_session=True):
        process.kill_marked([process.mark(MARK, str(tmp_path))])
        assert list(process.marked([process.mark(MARK, str(tmp_path))])) == []


def test_the_shell_that_asks_is_spared(tmp_path: Path) -> None:
    script = f"from picloud.engine import process; print(process.kill_marked([process.mark({MARK!r}, {str(tmp_path)!r})]))"
    command = ["bash", "-c", f'sleep 300 & "{sys.executable}" -c "{script}"; echo lived']
    done = subprocess.run(command, env=os.environ | {MARK: str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1", "lived"], done.stderr


def test_terminate_waits_and_then_kills() -> None:
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout
        deaf.stdout.readline()
        since = process.started(deaf.pid)
        assert since
        assert process.terminate(deaf.pid, since + 1, 5), "another process of that pid is not ours to end"
        assert process.alive(deaf.pid, since)
        assert not process.terminate(deaf.pid, since, 0.05)
        assert deaf.wait() == -signal.SIGKILL


def test_terminate_lets_a_process_end_by_itself(marked: subprocess.Popen[bytes]) -> None:
    assert process.terminate(marked.pid, process.started(marked.pid) or 0, 5)
    assert marked.wait() == -signal.SIGTERM


def test_two_paths_to_one_home_are_one_instance(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert process.instance(tmp_path) == process.instance(tmp_path / "link")
