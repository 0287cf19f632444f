"""What jobs cannot do: each thing that an intruder tries, as a function and as a program."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cloud
from picloud.sandbox import platform, routes

sys.path.insert(0, str(Path(__file__).parent))
import intruder

pytestmark = pytest.mark.live

WAYS = ("function", "program")


def sleeps_under_a_name(name: str) -> None:
    """Another job, which carries a word in its command line and its environment."""
    import subprocess

    subprocess.run(["sleep", "600"], env={**os.environ, "WORD": name}, check=False)


@pytest.fixture(scope="module")
def facts(server: Any) -> Iterator[dict[str, Any]]:
    """What an intruder knows about the machine."""
    word = os.urandom(12).hex()
    marker = Path("/tmp") / f"of-the-machine-{word}"
    marker.write_text("x")
    listener, beside = socket.create_server(("", 0)), socket.socket(socket.AF_UNIX)
    beside.bind(f"\0isolation-{word}")
    beside.listen()
    server.use()
    other = cloud.call(sleeps_under_a_name, word)
    port = int(server.url.rpartition(":")[2])
    yield {
        "home": str(server.home),
        "work": str(server.home / "work"),
        "files": [str(path) for path in server.home.iterdir()],
        "words": [word[::-1].hex() for word in (server.secret.encode(), (server.home / "secret").read_bytes())],
        "other": word[::-1],
        "pids": [os.getpid(), server.pid],
        "port": port,
        "ports": [port, listener.getsockname()[1]],
        "abstract": f"isolation-{word}",
        "folders": list(platform.folders()),
        "markers": [str(marker)],
        "addresses": routes.addresses(),
        "hostname": socket.gethostname(),
    }
    cloud.kill(other)
    listener.close()
    beside.close()
    marker.unlink()


@pytest.fixture(scope="module")
def answers(facts: dict[str, Any], tmp_path_factory: Any) -> dict[tuple[str, str], int]:
    """The jids of all attempts, which run at the same time."""
    path = tmp_path_factory.mktemp("facts") / "facts.json"
    path.write_text(json.dumps(facts | {"way": "program"}))
    jids = {}
    for probe in intruder.PROBES:
        jids["function", probe.__name__] = cloud.call(probe, facts | {"way": "function"}, _label=probe.__name__)
        arguments = {"python": sys.executable, "script": f"@{intruder.__file__}", "name": probe.__name__, "facts": f"@{path}"}
        jids["program", probe.__name__] = cloud.shell.execute("{python} {script} {name} {facts}", arguments)
    return jids


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [probe.__name__ for probe in intruder.PROBES])
def test_out_of_reach(name: str, way: str, answers: dict[tuple[str, str], int]) -> None:
    found = cloud.result(answers[way, name], timeout=60)
    assert (json.loads(found) if way == "program" else found) == []
