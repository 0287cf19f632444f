"""``cloud.shell``: what becomes of a command and its arguments; the verbs are a stand-in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cloud import shell
from cloud._program import Command, Program


class Verbs:
    """Keeps what is submitted."""

    def __init__(self) -> None:
        self.program = Program("")
        self.commands: list[Command] = []
        self.options: dict[str, Any] = {}

    def call(self, program: Program, command: Command, **options: Any) -> int:
        self.program, self.commands, self.options = program, [command], options
        return 1

    def map(self, program: Program, commands: Iterable[Command], **options: Any) -> list[int]:
        self.program, self.commands, self.options = program, list(commands), options
        return [*range(len(self.commands))]


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> Verbs:
    made = Verbs()
    monkeypatch.setattr(shell, "verbs", made)
    return made


def test_values_become_text(verbs: Verbs) -> None:
    shell.execute("x {a} {b} {c} {d}", {"a": 1, "b": 2.5, "c": "t", "d": Path("/p")}, _label="l", ignore_exit_status=True)
    (command,) = verbs.commands
    assert command.values == {"a": "1", "b": "2.5", "c": "t", "d": "/p"}
    assert command.ignore_exit_status is True
    assert verbs.options == {"_label": "l"}


@pytest.mark.parametrize(
    ("command", "name"),
    [("echo hi", "echo"), ("A=1 B=2 /usr/bin/env x", "env"), ("  \n./run.sh x", "run.sh"), ("A=1", "bash"), ("x" * 99, "x" * 60)],
)
def test_people_see_the_program(verbs: Verbs, command: str, name: str) -> None:
    shell.execute(command, {})
    assert verbs.program.__qualname__ == name


def test_names_of_files_are_plain_and_unique(verbs: Verbs, tmp_path: Path) -> None:
    paths = {}
    for at, name in enumerate(("a b.txt", "a$b.txt", "-rf", "a_b.txt", "x.tar.gz", "sub/x.tar.gz")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
        paths[f"p{at}"] = f"@{path}"
    paths["again"] = paths["p0"]
    shell.execute(" ".join(f"{{{name}}}" for name in paths), paths)
    names = [file.name for file in verbs.commands[0].files.values()]
    assert names == ["a_b.txt", "a_b-2.txt", "_rf", "a_b-3.txt", "x.tar.gz", "x-2.tar.gz", "a_b.txt"]


def test_files_of_all_jobs_travel_once(verbs: Verbs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    common, lists = {"one": f"@{tmp_path}/a/f"}, {"two": [f"@{tmp_path}/b/f", "text"]}
    shell.execute_map("{one} {two}", common, lists)
    assert [file.name for file in verbs.program.common.values()] == ["f"]
    assert [[file.name for file in command.files.values()] for command in verbs.commands] == [["f-2"], []]
    assert verbs.commands[1].values == {"two": "text"}
    monkeypatch.setattr(shell, "COMMON_LIMIT", 0)
    shell.execute_map("{one} {two}", common, lists)
    assert verbs.program.common == {}
    assert [[file.name for file in command.files.values()] for command in verbs.commands] == [["f", "f-2"], ["f"]]


def test_a_file_that_cannot_be_read(verbs: Verbs, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\{f\} is .* is a folder: send an archive of it"):
        shell.execute("{f}", {"f": f"@{tmp_path}"})


def test_arguments_that_are_no_dict_and_keywords_that_do_not_exist(verbs: Verbs) -> None:
    with pytest.raises(TypeError, match="argdict must be a dict of parameters and values, not None"):
        shell.execute("true", None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="map_argdict must be a dict"):
        shell.execute_map("true", {}, [1])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"execute\(\) got an unexpected keyword argument 'word'"):
        shell.execute("echo {word}", {"word": 1}, word=2)


def test_a_line_longer_than_the_system_takes_is_refused_before_anything_is_sent(verbs: Verbs) -> None:
    long = "a" * shell.LINE_LIMIT
    with pytest.raises(ValueError, match="the system takes 130816: send a file"):
        shell.execute("echo {text}", {"text": long})
    with pytest.raises(ValueError, match="send a file"):
        shell.execute_map("echo {text}", {}, {"text": ["short", long]})
