"""Where a server listens, by its settings."""

import socket
from pathlib import Path

import pytest

from picloud.server.sockets import Doors, bind
from picloud.settings import Settings


def names(doors: Doors) -> tuple[list[str], list[str]]:
    """Of the TCP sockets."""
    tcp = [s for s in doors.plain if s.family != socket.AF_UNIX]
    return [s.getsockname()[0] for s in tcp], [s.getsockname()[0] for s in doors.tls]


@pytest.mark.parametrize(
    ("host", "plain"),
    [("", ["127.0.0.1"]), ("localhost", ["127.0.0.1"]), ("127.0.0.1", ["127.0.0.1"]), ("127.0.0.2", ["127.0.0.1", "127.0.0.2"])],
)
def test_another_loopback_address_needs_no_tls(tmp_path: Path, host: str, plain: list[str]) -> None:
    made = bind(Settings(home=str(tmp_path), host=host, port=0), None)
    try:
        assert names(made.control) == (plain, [])
        assert names(made.edge) == (plain, [])
        assert [bound.getsockname()[0] for bound in made.ssh] == plain
        assert len({bound.getsockname()[1] for bound in made.ssh}) == 1
        assert (made.remote, made.tls) == (None, None)
        with socket.create_connection((plain[-1], Doors.port(made.control.plain))):
            pass
    finally:
        made.close()
