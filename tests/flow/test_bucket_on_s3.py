"""A whole server whose bytes rest in S3: the bucket, jobs, mounts and volumes on it, and what happens when S3 fails."""

from __future__ import annotations

import contextlib
import filecmp
import io
import json
import os
import random
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cloud
from bench.processes import installation
from cloud import _objects, bucket, volume
from picloud.store.blob import CONDEMNED
from picloud.store.files.remote import PART
from picloud.wire.error import Unavailable
from picloud.wire.object import INLINE
from tests.conftest import PICLOUD, Server, server_home, start_server, stop_server
from tests.s3 import CUT, HALF, S3, Bucket, Rule, new_bucket, pass_all

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("empty_bucket", "works_again")]

LARGE = random.Random(3).randbytes(20_000_000)
"""Three parts in S3."""


@pytest.fixture(scope="module")
def store(s3: S3) -> Iterator[Bucket]:
    """Where the bytes rest; the environment leads there."""
    with new_bucket(s3) as made, pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        yield made


@pytest.fixture(scope="module")
def server(store: Bucket) -> Iterator[Server]:
    """A server with its bytes there; ``cloud`` is its owner's client."""
    home = server_home()
    (home / "settings.toml").write_text(f'blobs = "{store.url}"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PICLOUD_HOME", str(home))
        started = start_server(home)
        started.use()
        try:
            yield started
        finally:
            cloud.close()
            stop_server(started)


@pytest.fixture
def works_again(store: Bucket) -> Iterator[None]:
    """Whatever a test does to S3, the next one finds it well, and nothing half there."""
    yield
    store.door.rule = pass_all
    store.expire()


@pytest.fixture
def impatient(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that soon gives up."""
    monkeypatch.setattr(_objects.link(), "patience", 1.0)


def part_of(number: int) -> Callable[[str, str], bool]:
    return lambda method, path: method == "PUT" and f"partNumber={number}&" in path


def down_for(requests: int, begin: Callable[[str, str], bool]) -> Rule:
    """From the first request of a kind on, so many connections break off."""
    left, lock = [0], threading.Lock()

    def rule(method: str, path: str) -> int | None:
        with lock:
            if not left[0] and begin(method, path):
                left[0] = requests
            if left[0] > 1:
                left[0] -= 1
                return CUT
        return None

    return rule


@pytest.mark.parametrize("size", [0, 10_000, 100_000, 20_000_000])
def test_there_and_back(store: Bucket, size: int, tmp_path: Path) -> None:
    path = tmp_path / "points"
    path.write_bytes(LARGE[:size])
    before = sum(store.sizes().values())
    bucket.put(str(path), "points")
    assert sum(store.sizes().values()) - before == (size if size > INLINE else 0)  # small ones lie in the database
    bucket.get("points", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == LARGE[:size]
    with bucket.getf("points") as file:
        file.seek(size // 2)
        assert file.read(1000) == LARGE[:size][size // 2 : size // 2 + 1000]
    assert bucket.getf("points", start_byte=size // 3, end_byte=size // 2).read() == LARGE[size // 3 : size // 2]
    assert not store.unfinished()


def test_a_public_object_in_ranges() -> None:
    bucket.putf(io.BytesIO(LARGE), "public")
    url = bucket.make_public("public")

    def curl(*words: str) -> bytes:
        return subprocess.run(["curl", "-sS", *words, url], capture_output=True, check=True, timeout=60).stdout

    assert curl("-r", "0-9") == LARGE[:10]
    assert curl("-r", f"{PART - 5}-{PART + 4}") == LARGE[PART - 5 : PART + 5]
    assert curl("-r", "-7") == LARGE[-7:]
    assert curl() == LARGE
    bucket.make_private("public")
    assert curl("-o", os.devnull, "-w", "%{http_code}") == b"404"


def test_jobs_read_and_write_the_bucket() -> None:
    bucket.putf(io.BytesIO(LARGE), "in")

    def work() -> int:
        data = Path("/bucket/in").read_bytes()
        Path("/bucket/out").write_bytes(data[::-1])
        with open("/bucket/in", "ab") as file:
            file.write(b"more")
        return len(data)

    assert cloud.result(cloud.call(work), timeout=60) == len(LARGE)
    with bucket.getf("out") as out, bucket.getf("in") as changed:
        assert out.read() == LARGE[::-1] and changed.read() == LARGE + b"more"


def test_large_arguments_and_results(store: Bucket) -> None:
    jids = cloud.map(lambda n, data: data + bytes([n]), range(2), [LARGE] * 2)
    assert [one == LARGE + bytes([n]) for n, one in enumerate(cloud.result(jids, timeout=120))] == [True] * 2
    assert sum(size > len(LARGE) for size in store.sizes().values()) >= 2


def test_jobs_have_no_keys_to_it(store: Bucket) -> None:
    told = cloud.result(cloud.call(lambda: dict(os.environ)), timeout=60)
    assert not [name for name in told if name.startswith("AWS")] and store.s3.secret not in str(told)


def test_a_volume_there_and_back(tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.mkdir()
    for name, size in (("small", 10), ("middle", 400_000), ("large", 9_000_000)):
        (there / name).write_bytes(LARGE[:size])
    volume.create("data", "/data")
    try:
        volume.sync(f"{there}/", "data:")
        jid = cloud.call(lambda: os.system("cat /data/small /data/large > /data/both"), _vol="data")
        assert cloud.result(jid, timeout=60) == 0
        volume.sync("data:", str(back))
        assert (back / "both").read_bytes() == LARGE[:10] + LARGE[:9_000_000]
        assert all((back / one.name).read_bytes() == one.read_bytes() for one in there.iterdir())
    finally:
        volume.delete("data")


def test_s3_goes_in_the_middle_of_an_upload_and_comes_back(store: Bucket) -> None:
    bucket.putf(io.BytesIO(LARGE), "key")
    before = set(store.sizes())
    store.door.rule = down_for(30, part_of(2))
    bucket.putf(io.BytesIO(LARGE[::-1]), "key")
    with bucket.getf("key") as file:
        assert file.read() == LARGE[::-1]
    assert [store.sizes()[name] for name in store.sizes().keys() - before] == [len(LARGE)]


@pytest.mark.parametrize("first", [pytest.param(CUT, marks=pytest.mark.full), HALF])
def test_s3_goes_during_a_download_and_comes_back(store: Bucket, first: int, tmp_path: Path) -> None:
    bucket.putf(io.BytesIO(LARGE), "key")
    left = [CUT] * 29 + [first]
    store.door.rule = lambda method, path: left.pop() if left and method == "GET" else None
    bucket.get("key", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == LARGE and not left


@pytest.mark.usefixtures("impatient")
def test_s3_stays_away_longer_than_the_client_waits(store: Bucket) -> None:
    bucket.putf(io.BytesIO(LARGE), "key")
    url = bucket.make_public("key")
    before = set(store.sizes())

    def close(method: str, path: str) -> int | None:
        if part_of(2)(method, path):
            store.door.rule = pass_all
            store.door.close()
        return None

    store.door.rule = close
    with pytest.raises(Unavailable, match="the store of blobs fails") as told:
        bucket.putf(io.BytesIO(LARGE[::-1]), "key")
    assert "picloud doctor" in str(told.value)
    with pytest.raises(Unavailable, match="the store of blobs fails"):
        bucket.getf("key").read()
    asked = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", url], capture_output=True, text=True, check=True, timeout=60)
    body, _, status = asked.stdout.rpartition("\n")
    assert status == "503" and "the store of blobs fails" in json.loads(body)["error"]["message"]
    bucket.putf(b"small ones need it not", "small")
    assert cloud.result(cloud.call(lambda: 1), timeout=60) == 1
    store.door.open()
    with bucket.getf("key") as file:
        assert file.read() == LARGE
    assert set(store.sizes()) == before
    bucket.putf(io.BytesIO(LARGE[::-1]), "key")
    with bucket.getf("key") as file:
        assert file.read() == LARGE[::-1]


def test_the_edge_dies_in_the_middle_of_an_upload(server: Server, store: Bucket) -> None:
    bucket.putf(io.BytesIO(LARGE), "key")
    (edge,) = installation(server.home).edge

    def kill(method: str, path: str) -> int | None:
        if part_of(2)(method, path):
            store.door.rule = pass_all
            edge.kill()
        return None

    store.door.rule = kill
    bucket.putf(io.BytesIO(LARGE[::-1]), "key")
    with bucket.getf("key") as file:
        assert file.read() == LARGE[::-1]
    assert store.expire() == 1  # what nobody could take back is for the bucket's own rule


@pytest.mark.full
def test_the_result_of_a_job_waits_for_s3(store: Bucket) -> None:
    store.door.rule = down_for(30, part_of(2))
    assert cloud.result(cloud.call(lambda data: data * 2, LARGE), timeout=120) == LARGE * 2


@pytest.mark.full
def test_memory_stays_flat_at_any_size(server: Server, tmp_path: Path) -> None:
    path, copy = tmp_path / "large", tmp_path / "copy"
    with path.open("wb") as file:
        for _ in range(256):
            file.write(LARGE[: 1 << 20])
    (edge,) = [Path("/proc", str(one.pid)) for one in installation(server.home).edge]
    for move in (lambda: bucket.put(str(path), "large"), lambda: bucket.get("large", str(copy))):
        (edge / "clear_refs").write_text("5")  # the highest so far is what it is now
        before = kibibytes(edge, "VmRSS")
        move()
        assert kibibytes(edge, "VmHWM") - before < 64 << 10
    assert filecmp.cmp(path, copy, shallow=False)


def kibibytes(process: Path, what: str) -> int:
    (line,) = [line for line in (process / "status").read_text().splitlines() if line.startswith(what)]
    return int(line.split()[1])


@pytest.mark.full
def test_what_nothing_names_goes(server: Server, store: Bucket) -> None:
    bucket.putf(io.BytesIO(LARGE), "kept")
    kept = set(store.sizes())
    bucket.putf(io.BytesIO(LARGE[1:]), "gone")
    (gone,) = set(store.sizes()) - kept
    bucket.remove("gone")
    a_day_later(server, gone)
    until(lambda: sql(server, "SELECT state FROM blob WHERE id = ?", gone) == [(CONDEMNED,)])
    assert gone in store.sizes()
    a_day_later(server, gone)
    until(lambda: not sql(server, "SELECT state FROM blob WHERE id = ?", gone))
    assert gone not in store.sizes()
    with bucket.getf("kept") as file:
        assert file.read() == LARGE


def a_day_later(server: Server, blob: str) -> None:
    """Start the server anew, which sweeps then, when nobody has touched a blob for long."""
    server.picloud("down")
    sql(server, "UPDATE blob SET touched = 1 WHERE id = ?", blob)
    server.pid = server.picloud("up", "--port", server.url.rpartition(":")[2])["pid"]


def sql(server: Server, statement: str, *values: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(server.home / "picloud.sqlite")) as db, db:
        return db.execute(statement, values).fetchall()


def until(so: Callable[[], bool]) -> None:
    """Wait for what the server does by itself."""
    deadline = time.monotonic() + 60
    while not so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_restart_with_wrong_keys_stops_nothing(server: Server) -> None:
    given = {**os.environ, "AWS_SECRET_ACCESS_KEY": "that of another shell"}
    done = subprocess.run([*PICLOUD, "restart"], env=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode and "SignatureDoesNotMatch" in done.stderr
    bucket.putf(io.BytesIO(LARGE), "key")
    assert json.loads((server.home / "server.json").read_text())["pid"] == server.pid


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        pytest.param("PICLOUD_BLOBS", "s3://nobodys-bucket/blobs", "NoSuchBucket", marks=pytest.mark.full),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "SignatureDoesNotMatch"),
        ("AWS_ENDPOINT", "http://127.0.0.1:9", "127.0.0.1:9"),
    ],
)
def test_up_says_what_is_wrong(store: Bucket, variable: str, value: str, said: str) -> None:
    home = server_home()
    given = {**os.environ, "PICLOUD_HOME": str(home), "PICLOUD_BLOBS": store.url, variable: value}
    for command in (["up", "--port", "0"], ["doctor"]):
        done: Any = subprocess.run([*PICLOUD, *command], env=given, capture_output=True, text=True, timeout=60, check=False)
        told = " ".join((done.stdout + done.stderr).split())
        assert done.returncode and "for blobs: " in told and said in told and "AWS_ACCESS_KEY_ID" in told, told
    assert not (home / "server.json").exists()
