"""Secrets in a worker: as long as attempts with them are in hand, and masked for all values that these may have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from picloud.wire.job import Options
from picloud.wire.mask import Mask
from picloud.wire.message import Spec
from picloud.worker.control import Control
from picloud.worker.kit import Kit
from picloud.worker.logs import JobLog
from picloud.worker.loop import Loop
from picloud.worker.order import Order


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(Loop(), Control(Order("http://127.0.0.1:1", "a", "b", str(tmp_path))), tmp_path)


def spec(submission: int, refused: str = "", **secrets: str) -> Spec:
    options = Options(secrets=["db"] if secrets or refused else [], env_names=["PLAIN"])
    return Spec(submission, 1, "f" * 64, [], "f", options, {"PLAIN": "p"}, secrets=secrets, refused=refused)


def told(kit: Kit, submission: int) -> Any:
    return json.loads((kit.spec_folder / f"{kit.keys[submission]}.json").read_text())


def test_values_go_with_the_last_attempt_that_has_them(kit: Kit) -> None:
    assert kit.learn_all([spec(1, PASSWORD="first one"), spec(2)]) == {}
    assert told(kit, 1)["env"] == {"PLAIN": "p", "PASSWORD": "first one"} and told(kit, 1)["hidden"] == ["first one"]
    assert "hidden" not in told(kit, 2) and 2 not in kit.masks
    kit.forget_secrets([1, 2])
    assert told(kit, 1)["hidden"] == ["first one"]
    kit.forget_secrets([2])
    assert 1 not in kit.specs and 1 not in kit.masks
    assert "first one" not in "".join(path.read_text() for path in kit.spec_folder.iterdir())
    assert told(kit, 2)["env"] == {"PLAIN": "p"}


def test_rotated_while_attempts_are_in_hand(kit: Kit) -> None:
    kit.learn_all([spec(1, PASSWORD="first one")])
    before = kit.keys[1]
    kit.learn_all([spec(1, PASSWORD="second one")])
    kit.learn_all([spec(1, PASSWORD="second one")])
    assert told(kit, 1)["hidden"] == ["second one"]
    assert (kit.spec_folder / f"{before}.json").exists(), "an attempt that lies in the socket names it"
    assert kit.masks[1].text("first one, second one") == "***, ***"
    kit.learn_all([spec(1, PASSWORD="first one")])
    assert kit.keys[1] == before
    kit.forget([])
    assert [*kit.spec_folder.iterdir()] == [] and not kit.specs


def test_a_spec_that_is_refused_takes_nothing_from_those_in_hand(kit: Kit) -> None:
    kit.learn_all([spec(1, PASSWORD="first one")])
    assert kit.learn_all([spec(1, "the secret db is not there any more"), spec(3, "no")]) == {
        1: "the secret db is not there any more", 3: "no",
    }  # fmt: skip
    assert told(kit, 1)["hidden"] == ["first one"] and 3 not in kit.specs


def shown(log: JobLog, stream: str, now: float | None = None) -> str:
    return b"".join(chunk.data for chunk in log.take(now) if chunk.stream == stream).decode()


def test_output_is_masked_across_writes_and_live() -> None:
    log = JobLog(1, 1, 1000, 1000, Mask(["hunter22"]))
    log.add("stdout", b"pw: hun")
    log.add("stderr", b"ter22 hun")
    assert shown(log, "stdout", 1.0) == "pw: "
    log.add("stdout", b"ter22\nhunt")
    assert shown(log, "stdout", 2.0) == "***\n"
    assert log.last() == "pw: ***\nhuntter22 hun"
    assert shown(log, "stdout") == "hunt"


def test_lines_with_times_are_masked_before_they_are_cut() -> None:
    log = JobLog(1, 1, 1000, 1000, Mask(["first line\nsecond line"]))
    log.hear("syslog", b"app: first line\nsecond line!\n")
    log.tell("pilog", "it said first line")
    log.hear("logging", b"second line\n")
    everything = "".join(shown_all(log))
    assert "line" not in everything and everything.count("***") == 3


def shown_all(log: JobLog) -> list[str]:
    return [chunk.data.decode() for chunk in log.take()]
