"""Mounting where something lacks: which package, which remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from picloud.mount import device
from picloud.wire.error import SetupError


def test_without_a_kernel_that_has_fuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "DEVICE", str(tmp_path / "none"))
    with pytest.raises(SetupError, match="no FUSE") as refused:
        device.mount(str(tmp_path))
    assert "modprobe fuse" in str(refused.value)


def test_a_user_without_the_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for act in (lambda: device.mount(str(tmp_path)), lambda: device.unmount(str(tmp_path))):
        with pytest.raises(SetupError, match="fusermount3") as refused:
            act()
        assert "apt-get install fuse3" in str(refused.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot mount"):
        device.mount(str(tmp_path / "none"))


def test_what_is_not_mounted_is_not_unmounted(tmp_path: Path) -> None:
    assert not device.is_mounted(str(tmp_path))
    with pytest.raises(SetupError, match="cannot unmount"):
        device.unmount(str(tmp_path))
    device.detach(str(tmp_path))


@pytest.mark.parametrize("user", ["root", "helper"])
def test_mounted_and_unmounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    found = device._mount_by_helper(str(folder), True, False) if user == "helper" else device.mount(str(folder))
    assert device.is_mounted(str(folder)) and not device.is_mounted(str(tmp_path))
    os.close(found)  # what a daemon that dies leaves
    device.detach(str(folder))
    assert not device.is_mounted(str(folder))
