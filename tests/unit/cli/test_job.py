"""The commands about jobs, over the simulator of this process."""

import datetime
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import cloud
from picloud.cli.client import JIDS, each, spelled
from picloud.cli.job import moment
from picloud.cli.words import line

Picloud = Callable[..., Any]


@pytest.fixture(autouse=True)
def simulated(home: Path) -> Iterator[None]:
    cloud.config.commit()
    cloud.start_simulator()
    yield
    cloud.config.commit()


@pytest.mark.parametrize(("text", "jids"), [("5", 5), ("1,2,7", [1, 2, 7]), ("1-4", [range(1, 5)]), ("3-3,9", [range(3, 4), 9])])
def test_jids(text: str, jids: Any) -> None:
    assert JIDS.convert(text, None, None) == jids


@pytest.mark.parametrize("text", ["", "x", "-1", "4-1", "1-", "1.5", "1 2"])
def test_what_names_no_jobs_is_wrong_usage(text: str) -> None:
    if text:
        with pytest.raises(click.BadParameter):
            JIDS.convert(text, None, None)
    else:
        assert JIDS.convert(text, None, None) == []


def test_jids_are_spelled_as_they_are_read() -> None:
    assert spelled(5) == "5"
    assert spelled([1, 2, 3, 7, 9, 10]) == "1-3,7,9-10"
    assert each([range(1, 3), 9]) == [1, 2, 9]


def test_a_result_of_one_job(picloud: Picloud) -> None:
    assert picloud("-s", "result", str(cloud.call(lambda: b"raw\xff"))).out.encode(errors="surrogateescape") == b"raw\xff"
    assert picloud("-s", "result", str(cloud.call(lambda: "text"))).out == "text\n"
    jid = str(cloud.call(lambda: {"a": [1, None]}))
    assert picloud("-s", "result", jid).json == {"a": [1, None]}
    assert picloud("result", "-s", jid, "--json").json == {"a": [1, None]}


def test_results_of_several_jobs_are_blocks(picloud: Picloud) -> None:
    first, second = cloud.call(lambda: "one"), cloud.call(lambda: b"two")
    said = picloud("-s", "result", f"{first},{second}")
    assert said.out == f"Result for jid {first}:\none\nResult for jid {second}:\ntwo\n"
    said = picloud("-s", "--json", "result", f"{first}-{second}")
    assert said.json == [{"jid": first, "result": "one"}, {"jid": second, "result": "two"}]


def test_a_failed_job_is_exit_code_3_unless_ignored(picloud: Picloud) -> None:
    good, bad = cloud.call(lambda: 1), cloud.call(lambda: 1 / 0)
    for verb in ("result", "join"):
        said = picloud("-s", verb, str(bad))
        assert said.code == 3
        assert "division by zero" in said.err
        assert picloud("-s", verb, "--json", str(bad)).error["jid"] == bad
        assert picloud("-s", verb, "-i", f"{good},{bad}").code == 0
        assert "division by zero" in picloud("-s", "result", "-i", str(bad)).out
    said = picloud("-s", "result", "--json", "-i", f"{good},{bad}")
    assert said.json[1]["result"]["error"]["status"] == "error"


def test_join_prints_nothing(picloud: Picloud) -> None:
    jid = cloud.call(lambda: 1)
    assert picloud("-s", "join", str(jid))[:2] == (0, "")
    assert picloud("-s", "join", str(jid), "--json").json == {"joined": str(jid)}


def test_a_timeout_is_exit_code_3(picloud: Picloud) -> None:
    import time

    jid = cloud.call(lambda: time.sleep(60))
    assert picloud("-s", "join", "-t", "0.05", str(jid), "--json").error["code"] == "timeout"
    assert picloud("-s", "kill", str(jid))[:2] == (0, "")
    assert picloud("-s", "status", str(jid), "-o", "no-header").out.split() == [str(jid), "killed"]


def test_status_of_jobs_is_a_table(picloud: Picloud) -> None:
    jids = [cloud.call(lambda: 1), cloud.call(lambda: 2)]
    cloud.join(jids)
    said = picloud("-s", "status", f"{jids[0]},{jids[1]}")
    assert [row.split() for row in said.out.splitlines()] == [["jid", "status"], [str(jids[0]), "done"], [str(jids[1]), "done"]]
    assert picloud("-s", "status", str(jids[0]), "--json").json == [{"jid": jids[0], "status": "done"}]


def test_an_unknown_jid_is_exit_code_3(picloud: Picloud) -> None:
    assert picloud("-s", "status", "999999", "--json").error["code"] == "not_found"


@pytest.mark.parametrize("verb", ["status", "join", "result", "kill", "delete", "rerun"])
def test_an_unknown_jid_among_very_many_is_told_at_once(picloud: Picloud, verb: str) -> None:
    first = cloud.call(lambda: 1)
    cloud.join(first)
    error = picloud("-s", verb, f"{first}-99999999999", "--json").error
    assert (error["code"], error["jid"]) == ("not_found", first + 1)


def test_kill_ends_all_only_when_told_so(picloud: Picloud) -> None:
    import time

    jid = cloud.call(lambda: time.sleep(60))
    for words in (("kill",), ("kill", str(jid), "--all")):
        said = picloud("-s", *words)
        assert said.code == 2
        assert "--all for every unfinished job" in said.err
    assert picloud("-s", "kill", "--all", "--json").json == {"killed": "all"}
    assert cloud.status(jid) == "killed"


def test_info_prints_output_on_lines_of_its_own(picloud: Picloud) -> None:
    jid = cloud.call(lambda: print("one\ntwo"))
    cloud.join(jid)
    out = picloud("-s", "info", str(jid)).out.splitlines()
    assert out[0] == f"Info for jid {jid}"
    assert out[out.index("stdout:") + 1 :][:2] == ["one", "two"]
    assert "status: done" in out
    assert picloud("-s", "info", str(jid), "-o", "status").out == f"Info for jid {jid}\nstatus: done\n"


def test_info_takes_o_json_as_everywhere_else(picloud: Picloud) -> None:
    jid = cloud.call(lambda: 1)
    cloud.join(jid)
    for words in (("-o", "json"), ("--json", "-o", "status,runtime,stdout,stderr")):
        [found] = picloud("-s", "info", str(jid), *words).json
        assert (found["jid"], found["status"]) == (jid, "done")
    assert set(picloud("-s", "info", str(jid), "--json", "-o", "all").json[0]) > {"created", "function"}
    assert picloud("-s", "info", str(jid), "-o", "colour").code == 2


def test_delete_and_rerun(picloud: Picloud) -> None:
    jid = cloud.call(lambda: 7)
    cloud.join(jid)
    again = int(picloud("-s", "rerun", str(jid)).out)
    assert cloud.result(again) == 7
    assert picloud("-s", "rerun", "--failed", str(jid), "--json").json == {"jids": []}
    assert picloud("-s", "delete", str(jid)).code == 0
    assert picloud("-s", "result", str(jid)).code == 3


def test_jobs_newest_first(picloud: Picloud) -> None:
    jids = [cloud.call(lambda: 1, _label="mine"), cloud.call(lambda: 1, _label="mine"), cloud.call(lambda: 1)]
    cloud.join(jids)
    rows = picloud("-s", "jobs", "--label", "mine", "--json").json
    assert [row["jid"] for row in rows] == [jids[1], jids[0]]
    head, first, _ = picloud("-s", "jobs", "--label", "mine", "--since", "1h").out.splitlines()
    assert head.split()[:4] == ["jid", "status", "function", "label"]
    assert first.split()[:2] == [str(jids[1]), "done"]
    assert picloud("-s", "jobs", "--since", "soon").code == 2


def test_the_list_of_jobs_fits_a_terminal(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.join(cloud.call(lambda: 1, _label="narrow"))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    head, row = picloud("-s", "jobs", "--label", "narrow").out.splitlines()
    assert "type" in head and "core_type" not in head
    assert "<lambda>  narrow" in row


def test_ctrl_c_tells_what_to_type_at_the_shell(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    jid = cloud.call(lambda: 1)
    monkeypatch.setattr("cloud._results.wait", interrupted)
    said = picloud("-s", "join", str(jid))
    assert said.code == 130
    assert f"`picloud join {jid}` waits for them again, `picloud kill {jid}` ends them" in said.err


def test_moments() -> None:
    now = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
    assert moment("90m", now).isoformat() == "2026-11-22T10:30:00+00:00"
    assert moment("999999999999d", now).year == 1
    assert moment("2026-11-20").isoformat() == "2026-11-20T00:00:00+00:00"
    assert moment("2026-11-20T10:00+02:00").isoformat() == "2026-11-20T10:00:00+02:00"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("echo $HOME | wc",), "echo $HOME | wc"),
        (("echo", "a b"), "echo 'a b'"),
        (("python", "-c", "print(1)"), "python -c 'print(1)'"),
        (("grep", "{word}", "--in={file}"), "grep {word} --in={file}"),
        (("echo", ""), "echo ''"),
    ],
)
def test_words_run_as_typed(words: tuple[str, ...], text: str) -> None:
    assert line(words) == text


def test_exec(picloud: Picloud, tmp_path: Path) -> None:
    (tmp_path / "names").write_text("bob\nann\n")
    assert picloud("-s", "exec", "echo", "hello").out == picloud("exec", "echo", "hello").out == "hello\n"
    assert picloud("exec", "-s", "--json", "echo", "hello").json == "hello\n"
    assert picloud("-s", "exec", "-d", f"f=@{tmp_path / 'names'}", "sort", "{f}").out == "ann\nbob\n"
    assert picloud("-s", "exec", "echo", "-v", "--json").out == "-v --json\n"
    assert picloud("-s", "exec", "-r", "out", "-i", "echo made > out; exit 4").out == "made\n"


@pytest.mark.parametrize(
    "words", [("echo {x}",), ("-d", "x=1", "echo"), ("-d", "x", "echo"), ("-d", "f=@/no/such", "cat {f}"), ("-m", "-1", "echo")]
)
def test_what_the_client_refuses_is_wrong_usage(picloud: Picloud, words: tuple[str, ...]) -> None:
    said = picloud("-s", "exec", *words)
    assert said.code == 2
    assert said.err.splitlines()[-1].startswith("Error: ")


def test_what_the_client_refuses_is_told_by_the_name_of_the_flag(picloud: Picloud) -> None:
    assert picloud("-s", "exec", "-m", "-1", "echo").err.splitlines()[-1].startswith("Error: --max-runtime must be")
    assert "cannot read /no/such: No such file" in picloud("-s", "mapexec", "-N", "f=/no/such", "cat {f}").err


def test_a_failed_program_tells_its_exit_code(picloud: Picloud) -> None:
    said = picloud("-s", "exec", "echo why >&2; exit 7")
    assert said.code == 3
    assert "7" in said.err
    assert "why" in said.err


def test_mapexec(picloud: Picloud, tmp_path: Path) -> None:
    assert picloud("-s", "mapexec", "-n", r"x=1,2\,5", "-d", "y=z", "echo", "{x}{y}").out == "1z\n2,5z\n"
    assert picloud("-s", "mapexec", "-k", "2", "--json", "echo", "hi").json == ["hi\n", "hi\n"]
    assert picloud("-s", "mapexec", "-k", "2", "-n", "x=a,b", "echo", "{x}").out == "a\na\nb\nb\n"
    (tmp_path / "list").write_text("@one\n\n@two\n")
    (tmp_path / "one").write_text("1\n")
    (tmp_path / "two").write_text("2\n")
    assert picloud("-s", "mapexec", "-N", f"f={tmp_path / 'list'}", "cat", "{f}").out == "1\n2\n"


@pytest.mark.parametrize("words", [("echo",), ("-n", "x=1,2", "-n", "y=1", "echo {x}{y}"), ("-N", "f=/no/such", "cat {f}")])
def test_mapexec_refuses(picloud: Picloud, words: tuple[str, ...]) -> None:
    assert picloud("-s", "mapexec", *words).code == 2


def test_jids_of_a_map_are_first_last(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def execute_map(command: str, common: Any, columns: Any, **flags: Any) -> range:
        seen.update(flags, command=command)
        return range(8, 11)

    monkeypatch.setattr(cloud.shell, "execute_map", execute_map)
    monkeypatch.setattr(cloud, "is_simulated", lambda: False)
    flags = ["-t", "c2", "-c", "2", "-m", "1.5", "-x", "1-2", "--not-restartable", "--priority", "3", "-l", "me", "-w", "/tmp"]
    said = picloud("mapexec", *flags, "--depends-on-errors", "ignore", "-n", "x=1,2,3", "echo {x}")
    assert said.out == "8-10\n"
    assert seen == {
        "command": "echo {x}", "_type": "c2", "_cores": 2, "_max_runtime": 1.5, "_depends_on": [range(1, 3)],
        "_restartable": False, "_priority": 3, "_label": "me", "cwd": "/tmp", "_depends_on_errors": "ignore",
    }  # fmt: skip
    assert json.loads(picloud("mapexec", "--json", "-k", "3", "true").out) == {"jids": [8, 9, 10]}
