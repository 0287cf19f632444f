from __future__ import annotations

import pytest

from cloud import _options
from picloud.wire.error import BadRequest


def test_all_options_are_understood() -> None:
    chosen = _options.read(
        {"_label": "a", "_priority": 3, "_depends_on": [1, 2, 5], "_depends_on_errors": "ignore", "_max_runtime": 0.5,
         "_kill_process": True, "_restartable": False, "_profile": True, "_fast_serialization": 1, "_type": "c2", "_cores": 2,
         "_retries": 2, "_retry_delay": 1.5, "_retry_on": [KeyError], "_os_env_vars": {"A": "1"}, "_env": None, "_vol": [],
         "x": 1}
    )  # fmt: skip
    options = chosen.options
    assert (options.label, options.priority, options.depends_on, options.ignore_dependency_errors) == (
        "a",
        3,
        [(1, 2), (5, 1)],
        True,
    )
    assert (options.max_runtime_ms, options.retries, options.retry_delay_ms) == (30_000, 2, 1500)
    assert (options.kill_process, options.restartable, options.profile) == (True, False, True)
    assert (options.core_type, options.cores, options.fast_serialization, options.env_names) == ("c2", 2, 1, ["A"])
    assert (chosen.retry_on, chosen.env_values, chosen.arguments) == ((KeyError,), {"A": "1"}, {"x": 1})


@pytest.mark.parametrize(
    ("word", "value"),
    [("_label", 3), ("_priority", "1"), ("_priority", True), ("_cores", 1.0), ("_depends_on", "1"), ("_depends_on", [1.5]),
     ("_depends_on_errors", 1), ("_max_runtime", "1"), ("_max_runtime", True), ("_kill_process", 1), ("_profile", None),
     ("_fast_serialization", True), ("_type", 2), ("_high_cpu", 1), ("_os_env_vars", "A"), ("_os_env_vars", [1]),
     ("_os_env_vars", {"A": 1}), ("_retry_on", "x"), ("_retry_on", [int]), ("_callback", 1), ("_lable", "a")],
)  # fmt: skip
def test_wrong_types(word: str, value: object) -> None:
    with pytest.raises(TypeError, match=word):
        _options.read({word: value})


@pytest.mark.parametrize(
    ("word", "value"),
    [("_label", "é"), ("_label", "a\0b"), ("_label", "x" * 1_000_000), ("_cores", 0), ("_depends_on_errors", "stop"),
     ("_max_runtime", 0), ("_max_runtime", -1), ("_max_runtime", float("nan")), ("_fast_serialization", 3), ("_type", ""),
     ("_os_env_vars", ["NOT_SET_HERE_AT_ALL"]), ("_os_env_vars", {"A=": "1"}), ("_os_env_vars", {"A": "\0"}), ("_retries", -1),
     ("_retry_delay", -0.1)],
)  # fmt: skip
def test_bad_values(word: str, value: object) -> None:
    with pytest.raises(ValueError, match=word):
        _options.read({word: value})


def test_unknown_keyword_names_close_ones() -> None:
    with pytest.raises(TypeError, match="did you mean _max_runtime"):
        _options.read({"_max_runtim": 1})


def test_map_takes_neither_callbacks_nor_keywords_of_the_function() -> None:
    with pytest.raises(TypeError, match="_callback"):
        _options.read({"_callback": print}, many=True)
    with pytest.raises(ValueError, match="'y'"):
        _options.read({"y": 1}, many=True)


def test_volumes_are_a_name_or_several() -> None:
    assert _options.read({"_vol": "mine"}).options.vol == ["mine"]
    assert _options.read({"_vol": ["mine", "data", "mine"]}).options.vol == ["data", "mine"]
    assert _options.read({"_vol": None}).options.vol == []
    for wrong in (5, {"mine": 1}):
        with pytest.raises(TypeError, match="_vol"):
            _options.read({"_vol": wrong})
    with pytest.raises(BadRequest):
        _options.read({"_vol": "a/b"})


def test_environment_variables_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "secret")
    chosen = _options.read({"_os_env_vars": ["MINE"]})
    assert (chosen.env_values, chosen.options.env_names) == ({"MINE": "secret"}, ["MINE"])


def test_core_types_are_checked_against_the_table() -> None:
    server = {"default_type": "c1", "core_types": {"c1": {"units": 1000, "memory": 300 << 20, "multiples": [1]}}}
    _options.check_cores(_options.read({"_type": "c1"}).options, server)
    with pytest.raises(ValueError, match=r"'x9'.*c1: 1 units and 300 MB a core"):
        _options.check_cores(_options.read({"_type": "x9"}).options, server)
    with pytest.raises(ValueError, match="_cores=2"):
        _options.check_cores(_options.read({"_cores": 2}).options, server)


def test_high_cpu_is_c2() -> None:
    assert _options.read({"_high_cpu": True}).options.core_type == "c2"
    with pytest.raises(ValueError, match="contradicts"):
        _options.read({"_type": "m1", "_high_cpu": True})


@pytest.mark.parametrize("name", ["sci", "/ann/sci", "base/host", "base/ubuntu-24.04", "x" * 30])
def test_environments(name: str) -> None:
    assert _options.read({"_env": name}).options.env == name


@pytest.mark.parametrize("name", ["", "x" * 31, "a b", "/sci", "/a/b/c", "base/", "../x", "sci\n"])
def test_what_is_no_environment(name: str) -> None:
    with pytest.raises(ValueError, match="_env"):
        _options.read({"_env": name})


def test_no_environment_is_the_default() -> None:
    assert _options.read({"_env": None}).options.env == ""
    with pytest.raises(TypeError, match="_env"):
        _options.read({"_env": 7})
