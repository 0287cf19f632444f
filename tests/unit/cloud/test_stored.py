"""Crons and addresses on the client: what is refused before a server is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cloud
from picloud.wire.error import BadRequest, SetupError


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No server is configured: whatever gets so far raises SetupError."""
    monkeypatch.setenv("PICLOUD_HOME", str(tmp_path))
    for name in ("PICLOUD_API_KEY", "PICLOUD_API_SECRETKEY", "PICLOUD_URL"):
        monkeypatch.delenv(name, raising=False)
    cloud.config._forget()
    monkeypatch.setattr("cloud._session._current", None)
    monkeypatch.setattr("cloud._session._simulates", None)
    yield
    cloud.config._forget()


def needs(x: int) -> int:
    return x


@pytest.mark.parametrize(
    ("refused", "why", "act"),
    [
        (ValueError, "needs.* needs arguments .*missing", lambda: cloud.cron.register(needs, "a", "@daily")),
        (TypeError, "a cron runs a function, not 'f'", lambda: cloud.cron.register("f", "a", "@daily")),
        (ValueError, "the minute field", lambda: cloud.cron.register(dict, "a", "60 * * * *")),
        (ValueError, "5 fields", lambda: cloud.cron.register(dict, "a", "")),
        (TypeError, "five fields", lambda: cloud.cron.register(dict, "a", None)),
        (TypeError, "timezone is a name", lambda: cloud.cron.register(dict, "a", "@daily", timezone=1)),
        (ValueError, "overlap is 'allow' or 'skip'", lambda: cloud.cron.register(dict, "a", "@daily", overlap="wait")),
        (ValueError, "missed is 'skip' or 'once'", lambda: cloud.cron.register(dict, "a", "@daily", missed=1)),
        (TypeError, "takes no '_label'", lambda: cloud.cron.register(dict, "a", "@daily", _label="b")),
        (TypeError, "takes no '_callback'", lambda: cloud.cron.register(dict, "a", "@daily", _callback=print)),
        (ValueError, "_priority", lambda: cloud.cron.register(dict, "a", "@daily", _priority=1 << 40)),
        (BadRequest, "no label", lambda: cloud.cron.register(dict, "a b", "@daily")),
        (BadRequest, "no label", lambda: cloud.cron.register(dict, "..", "@daily")),
        (BadRequest, "no label", lambda: cloud.cron.deregister("x" * 101)),
        (BadRequest, "no label", lambda: cloud.cron.manual_run("")),
        (ValueError, r"no argument for \{file\}", lambda: cloud.shell.cron_register("cat {file}", "a", "@daily")),
        (ValueError, "the hour field", lambda: cloud.shell.cron_register("true", "a", "0 99 * * *")),
        (TypeError, "unexpected keyword argument 'when'", lambda: cloud.shell.cron_register("true", "a", "@daily", when=1)),
        (TypeError, "a function is published", lambda: cloud.rest.publish(5, "a")),
        (ValueError, "'json' or 'raw'", lambda: cloud.rest.publish(needs, "a", "xml")),
        (ValueError, "cannot be given by name", lambda: cloud.rest.publish(lambda x, /: x, "a")),
        (TypeError, "takes no '_depends_on'", lambda: cloud.rest.publish(needs, "a", _depends_on=5)),
        (BadRequest, "no label", lambda: cloud.rest.publish(needs, "a/b")),
        (BadRequest, "no label", lambda: cloud.rest.remove("ä")),
        (ValueError, "the command is empty", lambda: cloud.shell.rest_publish(" ", "a")),
    ],
)
def test_what_cannot_be_is_refused_at_once(refused: type[Exception], why: str, act: Callable[[], Any]) -> None:
    with pytest.raises(refused, match=why):
        act()


def test_what_can_be_needs_a_server() -> None:
    for act in (
        lambda: cloud.cron.register(dict, "a", ["0", 2, "*", "*", "mon-fri"], timezone="Europe/Vienna", _type="c2"),
        lambda: cloud.rest.publish(needs, "a.b-c_d+e", _max_runtime=5),
        cloud.cron.list,
    ):
        with pytest.raises(SetupError, match="no API key"):
            act()  # type: ignore[operator]


def test_the_simulator_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud._session._simulates", True)
    with pytest.raises(SetupError, match="the simulator has no crons"):
        cloud.cron.list()
    with pytest.raises(SetupError, match="the simulator has no addresses"):
        cloud.rest.publish(needs, "a")
