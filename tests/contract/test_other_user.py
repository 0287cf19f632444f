"""The contract of the verbs once more: from another user's account, over TLS, out of a network of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PICLOUD, Server, server_home, start_server, stop_server

ROOT = Path(__file__).resolve().parents[2]
UID = 54321
PATIENCE = 170
"""Seconds for one command of theirs."""
SUITES = ["test_verbs.py", "test_info.py", "test_programs.py"]

pytestmark = [pytest.mark.slow, pytest.mark.live, pytest.mark.root]


def _ip(*words: str, inside: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_inside(inside), "ip", *words], capture_output=True, text=True, check=False)


def _inside(network: str) -> list[str]:
    """Enters the network alone; ``ip netns exec`` also mounts, which fails where / is no mount point (a chroot)."""
    return ["nsenter", f"--net=/var/run/netns/{network}"] if network else []


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[str, str]]:
    """A network namespace and the address at which this machine is reached from it."""
    pid = os.getpid()
    name, inner, outer = f"picloud-{pid}", f"pi{pid % 10**7}i", f"pi{pid % 10**7}o"
    host, guest = (f"10.{200 + pid % 50}.{pid // 50 % 250}.{last}" for last in (1, 2))
    lacking = "only root can make a network namespace" if os.geteuid() else None
    lacking = lacking or ("there is no command `ip` (package iproute2)" if not shutil.which("ip") else None)
    made = _ip("netns", "add", name) if not lacking else None
    if made is not None and made.returncode:
        lacking = f"this machine allows no network namespace: {made.stderr.strip()}"
    if lacking:
        pytest.skip(lacking)  # in CI the root conftest makes this a failure
    try:
        for words in (
            ("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name),
            ("addr", "add", f"{host}/30", "dev", outer),
            ("link", "set", outer, "up"),
        ):
            done = _ip(*words)
            assert done.returncode == 0, done.stderr
        for words in (
            ("addr", "add", f"{guest}/30", "dev", inner),
            ("link", "set", inner, "up"),
            ("link", "set", "lo", "up"),
        ):
            done = _ip(*words, inside=name)
            assert done.returncode == 0, done.stderr
        yield name, host
    finally:
        _ip("link", "del", outer)
        _ip("netns", "del", name)


@pytest.fixture(scope="module")
def remote(network: tuple[str, str]) -> Iterator[Server]:
    """A server that listens on the network, with TLS."""
    started = start_server(server_home(), "--host", network[1])
    try:
        yield started
    finally:
        stop_server(started)


@pytest.fixture
def their_home() -> Iterator[Path]:
    """The other user's home."""
    home = Path(tempfile.mkdtemp(prefix="picloud-other-"))
    home.chmod(0o755)
    os.chown(home, UID, UID)
    try:
        yield home
    finally:
        shutil.rmtree(home)


def _as_them(network: str, home: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    folders = [str(ROOT), sys.prefix, sys.base_prefix]
    script = str(Path(__file__).with_name("other_user.py"))
    apart = ["unshare", "--mount", "--propagation", "unchanged"]
    enter = [*_inside(network), *apart, sys.executable, script, str(UID), str(home), *folders, "--"]
    plain = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
    words = [*enter, *command]
    try:
        return subprocess.run(words, env=plain | env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as late:
        said = [(part or b"").decode(errors="replace") for part in (late.stdout, late.stderr)]
        return subprocess.CompletedProcess(words, -1, *said)


def test_the_contract_holds_for_another_user_over_tls(network: tuple[str, str], remote: Server, their_home: Path) -> None:
    assert remote.remote.startswith(f"https://{network[1]}:")
    setup = ["setup", remote.remote, "--fingerprint", remote.fingerprint, "-a", remote.key]
    done = _as_them(network[0], their_home, *PICLOUD, *setup, PICLOUD_API_SECRETKEY=remote.secret)
    assert "Setup successful!" in done.stdout, done.stdout + done.stderr
    assert (their_home / ".picloud").stat().st_uid == UID

    suites = [str(ROOT / "tests" / "contract" / name) for name in SUITES]
    pytest_words = ["-q", "-x", "-p", "no:cacheprovider", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")]
    words = [sys.executable, "-m", "pytest", *pytest_words, "--basetemp", str(their_home / "tmp"), *suites]
    done = _as_them(network[0], their_home, *words, CONTRACT_PLACES="configured", PYTHONPATH=f"{ROOT / 'src'}:{ROOT}")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    assert " passed" in done.stdout
    assert not {word for word in ("failed", "skipped", "error") if f" {word}" in done.stdout.splitlines()[-1]}


def test_a_wrong_fingerprint_is_refused(network: tuple[str, str], remote: Server, their_home: Path) -> None:
    setup = ["setup", remote.remote, "--fingerprint", "0" * 64, "-a", remote.key]
    done = _as_them(network[0], their_home, *PICLOUD, *setup, PICLOUD_API_SECRETKEY=remote.secret)
    assert done.returncode == 3, done.stdout + done.stderr
    assert not (their_home / ".picloud").exists()
