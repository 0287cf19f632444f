"""``picloud logs`` and the figures of ``picloud info``, over the simulator of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cloud
from picloud.cli import logs as command

Picloud = Callable[..., Any]


@pytest.fixture(autouse=True)
def simulated(home: Path) -> Iterator[None]:
    cloud.config.commit()
    cloud.start_simulator()
    yield
    cloud.config.commit()


@pytest.fixture
def jid() -> int:
    def talk() -> None:
        import sys

        print("one\ntwo")
        print("aside", end="", file=sys.stderr)

    made = cloud.call(talk)
    cloud.join(made)
    return made


def test_all_streams_line_by_line_behind_their_names(picloud: Picloud, jid: int) -> None:
    assert picloud("-s", "logs", "-f", str(jid)).out == "stdout  | one\nstdout  | two\nstderr  | aside\n"


def test_one_stream_as_it_is(picloud: Picloud, jid: int) -> None:
    assert picloud("-s", "logs", str(jid), "--stream", "stderr").out == "aside"
    assert picloud("-s", "logs", str(jid), "--stream", "stdout", "--since", "4").out == "two\n"


def test_pieces_of_lines_are_put_together(capsys: pytest.CaptureFixture[str]) -> None:
    command._by_line([("stdout", "a"), ("stderr", "x\ny"), ("stdout", "b\n\nc")])
    assert capsys.readouterr().out == "stderr  | x\nstdout  | ab\nstdout  | \nstdout  | c\nstderr  | y\n"


def test_as_json(picloud: Picloud, jid: int) -> None:
    assert picloud("-s", "--json", "logs", str(jid), "--stream", "stderr").json == {"stream": "stderr", "text": "aside"}


@pytest.mark.parametrize("words", [("--since", "soon"), ("--since", "5"), ("--since", "-1"), ("--stream", "stdin")])
def test_wrong_words_are_wrong_usage(picloud: Picloud, jid: int, words: tuple[str, ...]) -> None:
    assert picloud("-s", "logs", str(jid), *words).code == 2


def test_figures_are_told_part_by_part_and_what_is_not_known_is_a_dash(picloud: Picloud, jid: int) -> None:
    said = picloud("-s", "info", str(jid), "-o", "memory,cpu_percentage,network").out.splitlines()
    assert "memory.failcnt: -" in said
    assert "cpu_percentage: -" in said
    assert "network.in: -" in said
    (peak,) = [line for line in said if line.startswith("memory.max_usage: ")]
    assert peak.endswith(" MB)")
    assert picloud("-s", "info", str(jid), "-o", "memory.failcnt").out.splitlines()[1] == "memory.failcnt: -"
