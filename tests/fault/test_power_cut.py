"""The power is cut at any moment: what was acknowledged is there, each object is whole, and nothing is half there."""

from __future__ import annotations

import hashlib
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from picloud.store.files import Folder
from picloud.wire.object import Append, Extent, New
from tests.conftest import Server, picloud, server_home, start_server, stop_server
from tests.fault.disk import Disk
from tests.fault.drive import plugged
from tests.flow.mounts import Api, mounted

DEADLINE = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.live]


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Work:
    """Acts on one bucket, and what of them was begun and acknowledged: for each key its states, as the md5 of its bytes."""

    def __init__(self, server: Server, mount: Path) -> None:
        self.server, self.mount, self.lock = server, mount, threading.Condition()
        self.begun: dict[str, list[str]] = {}
        self.acked: dict[str, int] = {}
        self.count, self.renamed, self.ended, self.failed = 0, 0, False, list[BaseException]()
        self.dice = random.Random(7)
        self.threads = [threading.Thread(target=self._run, args=(act,)) for act in (self.put, self.send, self.close, self.append,
                                                                                   self.replace, self.rename)]  # fmt: skip

    def __enter__(self) -> Work:
        api = Api(self.server.url, self.server.key, self.server.secret)
        for name in "xyz":
            self.state(f"kept/{name}", name.encode(), lambda data, name=name: api.put(f"moves/0/{name}", data))
        api.close()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = True
        for thread in self.threads:
            thread.join(2 * DEADLINE)
        assert not self.failed, self.failed

    def _run(self, act: Callable[[Api, int], None]) -> None:
        api, n = Api(self.server.url, self.server.key, self.server.secret), 0
        try:
            while not self.ended:
                act(api, n)
                n += 1
        except BaseException as error:  # noqa: BLE001 - shown at the end
            self.failed.append(error)
        finally:
            api.close()

    def state(self, key: str, data: bytes, store: Callable[[bytes], object], whole: bytes | None = None) -> None:
        """Give a key another state; ``whole``: that it has then, if these are not all of its bytes."""
        self.begun.setdefault(key, []).append(md5(data if whole is None else whole))
        store(data)
        with self.lock:
            self.acked[key] = len(self.begun[key]) - 1
            self.count += 1
            self.lock.notify_all()

    def bytes(self, size: int) -> bytes:
        with self.lock:
            return self.dice.randbytes(size)

    def put(self, api: Api, n: int) -> None:
        """A small one, which lies in the index."""
        self.state(f"small/{n}", self.bytes(200), lambda data: api.put(f"small/{n}", data))

    def send(self, api: Api, n: int) -> None:
        """A large one: a blob by way of the edge, then its name."""

        def store(data: bytes) -> None:
            (blob,) = api.remote.send([len(data)], lambda _: data)
            api.remote.put(New(f"large/{n}", len(data), md5=md5(data), extents=[Extent(blob, 0, len(data))]))

        self.state(f"large/{n}", self.bytes(300_000), store)

    def close(self, api: Api, n: int) -> None:
        """A file of a mount, written and closed; some travel in the put itself, some before it."""
        path = self.mount / f"closed-{n}"
        self.state(path.name, self.bytes((50, 40_000, 600_000)[n % 3]), path.write_bytes)

    def append(self, api: Api, n: int) -> None:
        """Lines behind lines, in the index at first, then in blobs."""
        self.log = (self.log if n else b"") + (line := b"%06d " % n * 400)
        self.state("log", line, lambda data: api.remote.append(Append("log", len(data), data=data)), self.log)

    def replace(self, api: Api, n: int) -> None:
        self.state("replaced", self.bytes((100, 50_000)[n % 2]), lambda data: api.put("replaced", data))

    def rename(self, api: Api, n: int) -> None:
        api.remote.rename(f"moves/{n}", f"moves/{n + 1}", True)
        self.renamed = n + 1

    def done(self, count: int) -> None:
        """Wait until so many acts were acknowledged."""
        with self.lock:
            assert self.lock.wait_for(lambda: self.count >= count or self.failed, 2 * DEADLINE) and not self.failed, self.failed


class Cut:
    """What the power left, and what had been acknowledged a moment before."""

    def __init__(self, disk: Disk, work: Work, folder: Path, dice: random.Random | None) -> None:
        self.work, self.home = work, folder / "home"
        with work.lock:
            self.acked, self.renamed = dict(work.acked), work.renamed
        disk.cut(folder, dice)

    def check(self) -> None:
        """Start a server on it, and look at everything."""
        server = start_server(self.home)
        try:
            api = Api(server.url, server.key, server.secret)
            found = {key: api.get(key) or b"" for key in self.names(api)}
            api.close()
        finally:
            stop_server(server)
        (at,) = {key.split("/")[1] for key in found if key.startswith("moves/")}
        assert self.renamed <= int(at) <= self.renamed + 1
        found = {key.replace(f"moves/{at}", "kept"): data for key, data in found.items()}
        lost = self.acked.keys() - found.keys()
        assert not lost, f"acknowledged and lost: {sorted(lost)}"
        for key, data in found.items():
            assert md5(data) in self.work.begun[key], f"{key!r} is half there"
            assert self.work.begun[key].index(md5(data)) >= self.acked.get(key, 0), f"{key!r} is as it was before"

    @staticmethod
    def names(api: Api) -> Iterator[str]:
        waiting = [""]
        while waiting:
            for name in api.names(waiting.pop()):
                if name.endswith("/"):
                    waiting.append(name[:-1])
                else:
                    yield name


@pytest.fixture
def place() -> Iterator[Path]:
    made = server_home()
    (made / "plug").mkdir()
    yield made
    shutil.rmtree(made)


def test_what_was_acknowledged_survives_a_power_cut(place: Path, tmp_path: Path) -> None:
    disk, cuts, home = Disk(), list[Cut](), place / "plug" / "home"
    with plugged(disk, place / "plug"):
        server = start_server(home)
        api = Api(server.url, server.key, server.secret)
        with mounted(api, tmp_path) as mount, Work(server, mount.folder) as work:
            for n, dice in enumerate((None, random.Random(1), None)):
                work.done((n + 1) * 30)
                cuts.append(Cut(disk, work, place / f"cut-{n}", dice))
                if n == 1:
                    picloud(home, "restart")  # the database's log is another one from here on
        api.close()
        stop_server(server)
    for cut in cuts:
        cut.check()


def test_a_folder_that_another_made_may_not_be_at_rest(place: Path) -> None:
    """One of two who store their first blob below it makes it; the other one may be acknowledged before that one is."""
    disk, name = Disk(), "ab" * 16
    with plugged(disk, place / "plug"):
        files = Folder(place / "plug" / "blob")
        (place / "plug" / "blob" / "ab" / "ab").mkdir(parents=True)
        with files.create(name) as sink:
            sink.write(b"acknowledged")
        disk.cut(place / "cut")
    assert b"".join(Folder(place / "cut" / "blob").read(name)) == b"acknowledged"
