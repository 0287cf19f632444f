"""What is told about jobs, the same on a server, in the simulator and in ``cloud.mp``."""

from __future__ import annotations

import os
from datetime import datetime

import pytest

import cloud
from tests.contract.conftest import DEADLINE, Place, until


def test_output_and_runtime(place: Place) -> None:
    def noisy() -> None:
        import sys

        print("to stdout")
        os.system("echo from below")
        print("to stderr", file=sys.stderr)

    jid = place.verbs.call(noisy)
    place.verbs.join(jid, timeout=DEADLINE)
    until(lambda: "from below" in place.verbs.info(jid)[jid]["stdout"])
    info = place.verbs.info(jid)
    assert list(info) == [jid]
    assert info[jid] | {"runtime": 0} == {
        "stdout": "to stdout\nfrom below\n",
        "stderr": "to stderr\n",
        "status": "done",
        "runtime": 0,
    }
    assert 0 <= info[jid]["runtime"] < DEADLINE


def test_info_of_all_kinds(place: Place) -> None:
    jid = place.verbs.call(lambda x, y: x, 1, y=2, _label="contract info")
    place.verbs.join(jid, timeout=DEADLINE)
    info = place.verbs.info(jid, "all")[jid]
    assert (info["args"], info["kwargs"], info["label"], info["exception"]) == ((1,), {"y": 2}, "contract info", None)
    assert info["func_object"](3, y=0) == 3
    with pytest.raises(ValueError, match="nonsense"):
        place.verbs.info(jid, ["nonsense"])


def test_every_failed_attempt_tells_its_message(place: Place) -> None:
    def fails() -> None:
        raise KeyError("which")

    jid = place.verbs.call(fails, _retries=1)
    place.verbs.join(jid, timeout=DEADLINE, ignore_errors=True)
    attempts = place.verbs.info(jid, "attempts")[jid]["attempts"]
    assert [(one["n"], one["cause"], one["message"]) for one in attempts] == [
        (1, "exception", "KeyError: 'which'"),
        (2, "exception", "KeyError: 'which'"),
    ]
    assert all(isinstance(one[moment], datetime) for one in attempts for moment in ("started", "ended"))


def test_a_failure_gives_advice_and_no_pickle(place: Place) -> None:
    jid = place.verbs.call(os._exit, 3)
    place.verbs.join(jid, timeout=DEADLINE, ignore_errors=True)
    found = place.verbs.info(jid, ["_hint", "failure"])[jid]
    assert found["_hint"] == found["failure"]["advice"] != ""
    assert not found["failure"].get("exception")
    assert place.verbs.info(jid, "_hint") == {jid: {"_hint": found["_hint"]}}


def test_a_profile(place: Place) -> None:
    jid = place.verbs.call(sorted, [3, 1, 2], _profile=True)
    assert place.verbs.result(jid, timeout=DEADLINE) == [1, 2, 3]
    until(lambda: "sorted" in (place.verbs.info(jid, "profile")[jid]["profile"] or ""))


def test_jobs_are_listed_newest_first(place: Place) -> None:
    label = f"listing {os.urandom(4).hex()}"
    good = place.verbs.map(abs, [1, 2], _label=label)
    bad = place.verbs.call(lambda: 1 // 0, _label=label)
    place.verbs.join([good, bad], timeout=DEADLINE, ignore_errors=True)
    assert [row["jid"] for row in place.verbs.jobs(label=label)] == [bad, good[1], good[0]]
    assert [row["jid"] for row in place.verbs.jobs(label=label, state="error")] == [bad]
    assert [row["jid"] for row in place.verbs.jobs(label=label, func="abs", limit=1)] == [good[1]]


def test_environment_variables(place: Place) -> None:
    def told() -> str | None:
        return os.environ.get("CONTRACT_VARIABLE")

    assert place.returns(told, _os_env_vars={"CONTRACT_VARIABLE": "not for all"}) == "not for all"
    jid = place.verbs.call(told)
    assert place.verbs.result(jid, timeout=DEADLINE) is None
    jid = place.verbs.call(told, _os_env_vars={"CONTRACT_VARIABLE": "not for all"})
    assert "not for all" not in repr(place.verbs.info(jid, ["attributes"]))


def test_where_jobs_go(place: Place) -> None:
    kinds = {"server": "HTTP", "configured": "HTTPS", "simulator": "simulation", "mp": "multiprocessing"}
    assert place.verbs.connection_info()["connection_type"] == kinds[place.name]
    if place.name != "mp":
        assert cloud.is_simulated() == (place.name == "simulator")
        assert cloud.running_on_cloud() is False
