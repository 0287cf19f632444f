"""The launcher of a sandbox, in the moments where something beside it dies."""

import os

import pytest

from picloud.sandbox.holder import Launcher


def test_an_orphan_moves_no_stranger_into_the_control_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has died has another parent: pid 1, which must not come to share the fate of a job."""
    heard, group = os.pipe()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    launcher = Launcher.__new__(Launcher)
    launcher._groups = [group]
    moving = launcher._enter_groups()
    os.close(group)
    try:
        assert os.waitpid(moving, 0)[1] == 0
        assert os.read(heard, 100) == str(os.getpid()).encode()
    finally:
        os.close(heard)
