"""Environments on a Debian root file system: made from the mirrors, filled with apt, and jobs that run in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud import environment

pytestmark = [pytest.mark.slow, pytest.mark.live, pytest.mark.full, pytest.mark.usefixtures("no_environments")]


@pytest.fixture(scope="module")
def debian(server: Any) -> str:
    """The base's name; making one takes a minute."""
    environment.add_base("bookworm", "debian", "bookworm")
    return "base/bookworm"


def hello(env: str) -> Any:
    return cloud.result(cloud.shell.execute("hello", {}, _env=env), timeout=60)


def test_apt_in_a_setup_job_and_a_job_that_runs_what_it_has_installed(debian: str, tmp_path: Path) -> None:
    environment.create("by-hand", debian)
    assert environment.ssh("by-hand", "id -u") == "0\n"
    environment.ssh("by-hand", "apt-get -q update && apt-get -q -y install hello")
    environment.save_shutdown("by-hand")
    assert hello("by-hand") == b"Hello, world!\n"
    with pytest.raises(cloud.CloudException, match="127"):
        hello("base/host")


def test_a_build_with_apt_and_pip(debian: str) -> None:
    environment.build("built", debian, requirements="cowsay", apt=["hello"])
    assert hello("built") == b"Hello, world!\n"
    kinds = {(one["kind"], one["name"]) for one in environment.packages("built")}
    assert {("debian", "hello"), ("python", "cowsay")} <= kinds
    jid = cloud.shell.execute("python3 -c 'import cowsay; print(cowsay.__name__)'", {}, _env="built")
    assert cloud.result(jid, timeout=60) == b"cowsay\n"
