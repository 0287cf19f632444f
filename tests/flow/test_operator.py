"""What an operator sees of the room that an installation takes, and how it is freed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

import cloud
from tests.conftest import Server, serving

pytestmark = [pytest.mark.slow, pytest.mark.live]

BIG = 300_000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One that keeps nothing for long, if it is asked to sweep."""
    with serving("keep_payloads = 0\nkeep_jobs = 0\nwarn_disk = 0.000001\n") as started:
        yield started


def kept(server: Server) -> dict[str, tuple[int, int]]:
    found: Any = server.picloud("du")
    assert {one["account"] for one in found["accounts"]} <= {server.account()}
    return {one["kind"]: (one["count"], one["bytes"]) for one in found["accounts"]}


def test_room_is_told_by_kind_and_freed(server: Server) -> None:
    cloud.bucket.putf(b"o" * BIG, "object")
    cloud.volume.create("vol", "data")
    cloud.queue.get("q").push(["short", b"x" * BIG])
    jids = list(cloud.map(lambda i: (print("said"), bytes(BIG))[1], range(3)))
    assert [len(one) for one in cloud.result(jids)] == [BIG] * 3
    found = kept(server)
    assert found["arguments"][0] == found["results"][0] == 3 and found["results"][1] >= 3 * BIG
    assert found["bucket"] == (1, BIG) and found["messages"][0] == 2 and found["messages"][1] >= BIG
    assert found["logs"][1] == 3 * len("said\n") and found["code"][0] >= 1

    dry = server.picloud("gc", "--dry-run")
    assert dry["dry_run"] and (dry["payloads"], dry["jobs"]) == (3, 3) and dry["large_bytes"] >= 3 * BIG
    assert kept(server) == found

    done = server.picloud("gc")
    assert not done["dry_run"] and (done["payloads"], done["jobs"], done["bytes"]) == (3, 3, dry["bytes"])
    left = kept(server)
    assert not {"arguments", "results", "logs"} & left.keys()
    assert left["bucket"] == found["bucket"] and left["messages"] == found["messages"]
    assert left["unused"][0] == 3 and left["unused"][1] >= 3 * BIG  # for a day, and another one
    assert server.picloud("jobs") == []
    again = server.picloud("gc", "--dry-run")
    assert (again["payloads"], again["jobs"], again["condemned"], again["blobs"]) == (0, 0, 0, 0)


def test_the_installations_own_room_is_told(server: Server) -> None:
    found = server.picloud("du", "--account", "nobody")
    assert found["accounts"] == []
    places = {one["what"]: one for one in found["places"]}
    assert places["database"]["bytes"] > 4096 and places["database"]["place"] == str(server.home / "picloud.sqlite")
    assert "large values" in places and found["disks"][0]["folder"] == str(server.home)


def test_a_full_disk_is_told_by_status_and_log(server: Server) -> None:
    said = server.picloud("status")
    assert len(said["warnings"]) == 1 and str(server.home) in said["warnings"][0]
    deadline = time.monotonic() + 30
    while "picloud du tells what takes room" not in (server.home / "server.log").read_text():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
