"""Programs as jobs, the same on a server and in the simulator."""

from __future__ import annotations

from pathlib import Path

import pytest

import cloud
import cloud.shell
from tests.contract.conftest import DEADLINE, Place


def _output(jid: int) -> bytes:
    found: bytes = cloud.result(jid, timeout=DEADLINE)
    return found


def test_a_command(service: Place) -> None:
    jid = cloud.shell.execute("echo {word} ${HOME:+home} {1..3} $#; cat", {"word": "a  b"}, _label="program")
    assert _output(jid) == b"a b home 1 2 3 0\n"
    assert cloud.info(jid, ["label", "stdout"])[jid]["label"] == "program"


def test_files_travel_and_can_be_run(service: Place, tmp_path: Path) -> None:
    (tmp_path / "my data.txt").write_text("hello\n")
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/sh\necho script $1\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.sh").write_text("#!/bin/sh\necho other\n")
    files = {"data": f"@{tmp_path}/my data.txt", "script": f"@{script}", "other": f"@{tmp_path}/other/run.sh"}
    jid = cloud.shell.execute("cat {data}; {script} x; ./{other}; ls", files)
    assert _output(jid) == b"hello\nscript x\nother\nmy_data.txt\nrun-2.sh\nrun.sh\n"


def test_a_file_as_the_result(service: Place) -> None:
    made = cloud.shell.execute("echo ignored; printf '\\0\\377' > out.bin", {}, return_file="out.bin")
    assert _output(made) == b"\0\xff"
    with pytest.raises(cloud.CloudException, match="left no file .*nothing.txt"):
        _output(cloud.shell.execute("true", {}, return_file="nothing.txt"))


def test_a_command_that_fails_tells_code_and_stderr(service: Place) -> None:
    with pytest.raises(cloud.CloudException, match="exit code 3") as caught:
        _output(cloud.shell.execute("echo to stdout; echo why it failed >&2; exit 3", {}))
    assert "why it failed" in str(caught.value)
    cause = caught.value.__cause__
    assert isinstance(cause, cloud.CloudException)
    assert cause.facts == {"exit_code": 3, "stderr": "why it failed\n"}
    jid = cloud.shell.execute("echo well; exit 3", {}, ignore_exit_status=True)
    assert _output(jid) == b"well\n"


def test_the_folder_to_run_in(service: Place) -> None:
    jid = cloud.shell.execute("pwd; cat {file}", {"file": f"@{__file__}"}, cwd="/usr")
    assert _output(jid).startswith(b'/usr\n"""Programs as jobs')
    with pytest.raises(cloud.CloudException, match="/no/such/folder"):
        _output(cloud.shell.execute("pwd", {}, cwd="/no/such/folder"))


def test_each_command_starts_in_an_empty_folder(service: Place) -> None:
    for _ in range(2):
        assert _output(cloud.shell.execute("ls -A; touch left-behind", {})) == b""


def test_one_command_for_many_values(service: Place, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(f"file {name}\n")
    common = {"word": 1, "first": f"@{tmp_path}/a"}
    jids = cloud.shell.execute_map(
        "echo {word} {n}; cat {first} {file}", common, {"n": ["x", 2.5], "file": [f"@{tmp_path}/{n}" for n in "ba"]}
    )
    assert cloud.result(jids, timeout=DEADLINE) == [b"1 x\nfile a\nfile b\n", b"1 2.5\nfile a\nfile a\n"]


def test_what_is_wrong_is_said_before_anything_runs(service: Place, tmp_path: Path) -> None:
    execute, execute_map = cloud.shell.execute, cloud.shell.execute_map
    for error, act in (
        (ValueError, lambda: execute("echo {a}", {})),
        (ValueError, lambda: execute("echo", {"a": 1})),
        (ValueError, lambda: execute("cat {a}", {"a": "@/no/such/file"})),
        (ValueError, lambda: execute("echo {a}", {"a": "\0"})),
        (TypeError, lambda: execute("echo {a}", {"a": None})),
        (TypeError, lambda: execute(["echo"], {})),  # type: ignore[arg-type]
        (TypeError, lambda: execute("echo", {}, return_file=3)),  # type: ignore[arg-type]
        (TypeError, lambda: execute("echo", {}, _labell="x")),
        (ValueError, lambda: execute_map("echo {a}", {}, {"a": []})),
        (ValueError, lambda: execute_map("echo", {}, {})),
        (ValueError, lambda: execute_map("echo {a} {b}", {}, {"a": [1, 2], "b": [1]})),
        (ValueError, lambda: execute_map("echo {a}", {"a": 1}, {"a": [1]})),
        (TypeError, lambda: execute_map("echo {a}", {}, {"a": "abc"})),
        (ValueError, lambda: execute_map("cat {a}", {}, {"a": ["@/no/such/file"]})),
    ):
        with pytest.raises(error):
            act()
