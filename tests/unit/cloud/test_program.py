"""The job behind ``cloud.shell``, run here."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from cloud._program import STDERR_KEPT, Command, File, Program
from picloud.wire import describe, payload
from picloud.wire.error import CloudException


def _run(template: str, **more: object) -> bytes:
    return Program("test")(Command(template, **more))  # type: ignore[arg-type]


def test_what_travels_is_small_and_loads_by_name() -> None:
    data = pickle.dumps(Program("echo"), 5)
    assert len(data) < 100
    assert pickle.loads(data).__qualname__ == "echo"


def test_files_travel_without_a_copy_and_with_old_protocols() -> None:
    file = File("a.bin", b"x" * 100_000)
    parts = payload.dumps(file, pickle.dumps)
    assert [memoryview(part).nbytes for part in parts][2:] == [100_000]
    for found in (payload.loads(b"".join(parts)), pickle.loads(pickle.dumps(file, 2))):
        assert (found.name, bytes(found.data)) == ("a.bin", file.data)


def test_people_see_the_command() -> None:
    command = Command("sum {a} {b} {c}", {"a": "1"}, {"b": File("b.txt", b"")})
    assert describe.arguments((command,), {}) == "sum 1 @b.txt {c}"


def test_a_command_left_in_the_background_does_not_hold_the_job() -> None:
    assert _run("sleep 600 & echo begun; kill $!") == b"begun\n"


def test_an_interactive_bash_without_its_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".bashrc").write_text("case $- in *i*) alias greet='echo hello'; export MINE=1;; esac\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _run("greet $MINE $0 $#; echo error >&2; exit 0") == b"hello 1 bash 0\n"
    assert capfd.readouterr() == ("hello 1 bash 0\n", "error\n")


def test_several_lines_quotes_and_here_documents() -> None:
    assert _run("cat <<X\n'\"$((1+1))\nX\nexit 0 # done") == b"'\"2\n"


@pytest.mark.parametrize(
    ("line", "said", "code"), [("exit 7", "exit code 7", 7), ("kill -9 $$", "signal 9", -9), ("echo 'x", "exit code", None)]
)
def test_how_a_command_failed(line: str, said: str, code: int | None) -> None:
    with pytest.raises(CloudException, match=said) as caught:
        _run(line)
    assert code in (None, caught.value.facts["exit_code"])
    pickle.loads(pickle.dumps(caught.value))


def test_the_last_of_a_long_stderr_is_kept() -> None:
    with pytest.raises(CloudException) as caught:
        _run("head -c 3000000 /dev/zero | tr '\\0' 'ä' >&2; echo the end >&2; exit 1")
    stderr = caught.value.facts["stderr"]
    assert stderr.endswith("the end\n")
    assert STDERR_KEPT - 10 <= len(stderr.encode()) <= STDERR_KEPT
    assert len(str(caught.value)) < 2200


def test_files_can_be_imported() -> None:
    files = {"module": File("my_module.py", b"x = 5\n"), "main": File("main.py", b"import my_module; print(my_module.x)\n")}
    assert _run("python3 {main}; test {module} = my_module.py", files=files) == b"5\n"


def test_large_output() -> None:
    assert len(_run("head -c 5000000 /dev/zero")) == 5_000_000
