"""The frame: help, global flags, exit codes."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from picloud import __version__
from picloud.cli import main
from picloud.cli.flags import wants_json
from picloud.wire import link
from picloud.wire.error import JobError, NotFound
from picloud.wire.job import Failure

Picloud = Callable[..., Any]


def commands() -> list[str]:
    return [name for section in main.COMMANDS.values() for name in section]


def test_without_arguments_help_and_exit_code_1(picloud: Picloud) -> None:
    said = picloud()
    assert said.code == 1
    assert said.out.startswith("Usage: picloud")


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", commands())
def test_every_command_has_help_that_begins_as_the_list_says(picloud: Picloud, name: str, flag: str) -> None:
    said = picloud(name, flag)
    assert said.code == 0
    assert said.out.startswith(f"Usage: picloud {name}")
    [line] = [section[name][1] for section in main.COMMANDS.values() if name in section]
    assert f"  {name}" in picloud("--help").out
    assert line in picloud("--help").out


def test_help_loads_neither_a_command_nor_anything_heavy() -> None:
    script = (
        "import sys\nfrom picloud.cli.main import run\nassert run(['--help']) == 0\n"
        "heavy = {'rich', 'cloud', 'asyncio', 'msgspec', 'ssl', 'sqlalchemy', 'http.client', 'picloud.cli.job'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_version(picloud: Picloud) -> None:
    assert picloud("--version").out == f"picloud {__version__}\n"


def test_an_unknown_command_is_wrong_usage_and_a_near_one_is_named(picloud: Picloud) -> None:
    said = picloud("resutl", "5")
    assert said.code == 2
    assert "did you mean result?" in said.err


@pytest.mark.parametrize("words", [("--json", "result", "x"), ("result", "x", "--json"), ("-o", "json", "result", "x")])
def test_wrong_usage_is_json_where_that_was_asked(picloud: Picloud, words: tuple[str, ...]) -> None:
    said = picloud(*words)
    assert said.code == 2
    assert said.error["code"] == "usage"


def test_a_cloud_exception_is_exit_code_3(picloud: Picloud) -> None:
    said = picloud("status", "5")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("no API key is configured")
    said = picloud("status", "5", "--json")
    assert (said.code, said.out) == (3, "")
    assert said.error["code"] == "setup"


def test_a_failed_program_is_told_without_frames_of_ours(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = "picloud.wire.error.CloudException"
    error = JobError(f"{kind}: the command ended with exit code 3\nwhy\n\nTraceback in the job:\n  ..", jid=5, hint="look")

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("picloud.cli.lifecycle.stop", refuse)
    assert "Traceback in the job" in picloud("down").err
    error.failure = Failure("exception", "", type=kind)
    assert picloud("down").err == "Job 5: the command ended with exit code 3\nwhy\n"


def test_a_program_that_was_ended_shows_no_frames_of_ours(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise JobError(f"{text}\n\nTraceback in the job:\n{trace.format(file)}", jid=5, hint="split the job")

    text, trace = (
        "it ran too long",
        'Traceback (most recent call last):\n  File "{}", line 90, in run\n    more\nKeyboardInterrupt',
    )
    monkeypatch.setattr("picloud.cli.lifecycle.stop", refuse)
    file = "/x/cloud/_program.py"
    assert picloud("down").err == "Job 5: it ran too long\nTIP: split the job\n"
    file = "/x/mine.py"
    assert "KeyboardInterrupt" in picloud("down").err


def test_what_nobody_foresaw_is_exit_code_1_with_its_traceback(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picloud.cli.lifecycle.stop", lambda *_, **__: 1 / 0)
    said = picloud("down")
    assert said.code == 1
    assert said.err.startswith("Traceback")
    assert picloud("down", "--json").error["message"] == "ZeroDivisionError: division by zero"


def test_ctrl_c_is_exit_code_130(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("picloud.cli.lifecycle.stop", interrupted)
    assert picloud("down").code == 130


def test_words_that_are_no_text_are_wrong_usage(picloud: Picloud) -> None:
    said = picloud("jobs", "--func", "\udcff", "--json")
    assert (said.code, said.error["code"]) == (2, "usage")


def test_verbose_tells_which_server_and_key(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "FIRST_PATIENCE", 0.0)  # nobody is there
    said = picloud("-v", "-a", "12", "-k", "s3cret", "--json", "jobs")
    assert said.err.startswith("picloud: key 12 at http://127.0.0.1:7421; configuration in ")
    assert "s3cret" not in said.err


def test_facts_of_an_error_that_json_cannot_say_do_no_harm(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotFound("gone", facts={1, 2})

    monkeypatch.setattr("picloud.cli.lifecycle.stop", refuse)
    assert picloud("down", "--json").error["message"] == "gone"


@pytest.mark.parametrize(("stdout", "code", "err"), [("/dev/full", 1, f"{main.FULL}\n"), ("&-", 0, "")])
def test_an_answer_that_cannot_be_written_is_no_traceback(stdout: str, code: int, err: str) -> None:
    script = "from picloud.cli.main import main; main(['--help'])"
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "{script}" >{stdout}'], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (code, err)


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    script = "from picloud.cli.main import main; main(['--help'])"
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "{script}" | true; echo ${{PIPESTATUS[0]}}'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "1")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [(["-o", "json"], True), (["--output=json"], True), (["-ojson"], True), (["-o", "default"], False), (["status"], False)],
)
def test_wants_json(words: list[str], wanted: bool) -> None:
    assert wants_json(words) is wanted


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(picloud: Picloud, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "_PICLOUD_COMPLETE" in picloud("completion", shell).out


def test_completion_knows_the_commands() -> None:
    script = "from picloud.cli.main import picloud; picloud(prog_name='picloud')"
    environment = {"_PICLOUD_COMPLETE": "bash_complete", "COMP_WORDS": "picloud re", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == [
        "restart",
        "restore",
        "resume",
        "result",
        "rerun",
        "realtime",
        "rest",
    ]
