"""The local engine, with a stand-in for the worker program."""

import asyncio
import json
import os
import secrets
import signal
import stat
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from picloud.engine import process
from picloud.engine.base import Order, Placement
from picloud.engine.local import LocalEngine
from picloud.settings import Settings
from picloud.wire.error import Unavailable
from picloud.worker.order import CONTROL

STAND_IN = [sys.executable, str(Path(__file__).with_name("stand_in.py"))]


class Bench:
    """An engine and what it reported."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ends: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.engine = self.another()

    def another(self) -> LocalEngine:
        settings = Settings(home=str(self.home))
        return LocalEngine(settings, lambda *end: self.ends.put_nowait(end), command=STAND_IN)

    async def start(self, core_type: str = "stays") -> Placement:
        name = secrets.token_hex(8)
        return await self.engine.start(order(self.home, name, core_type))

    async def ended(self) -> tuple[str, str]:
        return await asyncio.wait_for(self.ends.get(), 5)

    def folder(self, placement: Placement) -> Path:
        return self.home / "work" / placement.incarnation

    async def ready(self, placement: Placement) -> None:
        await until(lambda: (self.folder(placement) / "ready").exists())

    def close(self) -> None:
        process.kill_marked(process.of_home(self.home))


def order(home: Path, name: str, core_type: str) -> Order:
    return Order(
        url="http://127.0.0.1:7421", incarnation=name, secret="5ec2e7", folder=str(home / "work" / name), core_type=core_type,
        cores=1, memory_limit=0, reconnect=600, log_head=1, log_tail=1, slots=1,
    )  # fmt: skip


def seen_by_all(pid: int) -> bytes:
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


def collect(pid: int) -> None:
    """The zombie of a worker whose parent, were this another server's process, would be init."""
    os.waitpid(pid, 0)


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "waited 5 s in vain"
        await asyncio.sleep(0.01)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Callable[[Bench], Awaitable[None]]], None]:
    def run(story: Callable[[Bench], Awaitable[None]]) -> None:
        async def whole() -> None:
            bench = Bench(tmp_path)
            try:
                await story(bench)
                await bench.engine.close()
            finally:
                bench.close()

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(whole())

    return run


Run = Callable[[Callable[[Bench], Awaitable[None]]], None]


def test_a_worker_gets_its_order_on_stdin_and_nowhere_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICLOUD_API_SECRETKEY", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the server's")

    async def story(bench: Bench) -> None:
        placed = await bench.start()
        await bench.ready(placed)
        folder = bench.folder(placed)
        told = json.loads((folder / "order.json").read_text())
        assert told["secret"] == "5ec2e7"
        environment = json.loads((folder / "environment.json").read_text())
        assert environment["PICLOUD_WORKER"] == placed.incarnation
        assert environment["PICLOUD_INSTANCE"] == process.instance(bench.home)
        assert not {"PICLOUD_API_SECRETKEY", "AWS_SECRET_ACCESS_KEY"} & environment.keys()
        assert b"5ec2e7" not in seen_by_all(placed.pid)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "worker.log").stat().st_mode) == 0o600
        assert os.getsid(placed.pid) == placed.pid
        assert process.alive(placed.pid, placed.started)

    run(story)


def test_a_killed_worker_is_reported_with_its_signal_and_its_folder_goes(run: Run) -> None:
    async def story(bench: Bench) -> None:
        placed = await bench.start()
        await bench.ready(placed)
        os.kill(placed.pid, signal.SIGKILL)
        incarnation, evidence = await bench.ended()
        assert incarnation == placed.incarnation
        assert evidence == "killed by SIGKILL"
        await until(lambda: not bench.folder(placed).exists())
        assert process.started(placed.pid) is None

    run(story)


def test_an_exit_is_reported_with_its_code_and_the_last_line(run: Run) -> None:
    async def story(bench: Bench) -> None:
        placed = await bench.start("exits")
        assert await bench.ended() == (placed.incarnation, "exited with 3; its last line: no such core type")

    run(story)


def test_what_a_worker_leaves_is_killed_and_removed(run: Run) -> None:
    async def story(bench: Bench) -> None:
        placed = await bench.start("litters")
        await bench.ready(placed)
        child = int((bench.folder(placed) / "child").read_text())
        os.kill(placed.pid, signal.SIGKILL)
        await bench.ended()
        await until(lambda: process.started(child) is None and not bench.folder(placed).exists())

    run(story)


def test_stop_returns_when_nothing_is_left(run: Run) -> None:
    async def story(bench: Bench) -> None:
        placed = await bench.start("litters")
        await bench.ready(placed)
        child = int((bench.folder(placed) / "child").read_text())
        await bench.engine.stop(placed, grace=5)
        assert process.started(placed.pid) is None
        assert process.started(child) is None
        assert not bench.folder(placed).exists()
        assert (await bench.ended())[1].startswith("killed by SIGTERM")

    run(story)


def test_stop_lets_a_worker_end_by_itself_while_it_drains(run: Run) -> None:
    async def story(bench: Bench) -> None:
        placed = await bench.start("drains")
        await bench.ready(placed)
        stopping = asyncio.ensure_future(bench.engine.stop(placed, grace=5, drain=5))
        await asyncio.sleep(0)
        (bench.folder(placed) / "drained").touch()
        await stopping
        assert (await bench.ended())[1] == "exited with 0; its last line: drained"

    run(story)


def test_stop_kills_a_worker_that_does_not_listen(run: Run) -> None:
    async def story(bench: Bench) -> None:
        placed = await bench.start("deaf")
        await bench.ready(placed)
        await bench.engine.stop(placed, grace=0.05)
        assert process.started(placed.pid) is None
        assert (await bench.ended())[1].startswith("killed by SIGKILL")

    run(story)


def test_the_next_server_adopts_a_worker_and_sees_its_end(run: Run) -> None:
    async def story(bench: Bench) -> None:
        placed = await bench.start()
        await bench.ready(placed)
        await bench.engine.close()
        assert process.alive(placed.pid, placed.started)
        bench.engine = bench.another()
        assert await bench.engine.adopt(placed)
        await bench.engine.point(placed, "http://127.0.0.1:9")
        assert (bench.folder(placed) / CONTROL).read_text() == "http://127.0.0.1:9"
        os.kill(placed.pid, signal.SIGKILL)
        incarnation, evidence = await bench.ended()
        assert incarnation == placed.incarnation
        assert evidence == "gone"
        await until(lambda: not bench.folder(placed).exists())
        collect(placed.pid)

    run(story)


def test_adopt_refuses_another_process_of_the_same_pid(run: Run) -> None:
    async def story(bench: Bench) -> None:
        placed = await bench.start()
        await bench.engine.close()
        other = bench.another()
        strangers = [
            Placement(placed.incarnation, placed.pid, placed.started + 1, placed.host),
            Placement("0" * 16, placed.pid, placed.started, placed.host),
            Placement(placed.incarnation, placed.pid, placed.started, "another boot"),
            Placement(placed.incarnation, 2**22 - 1, placed.started, placed.host),
        ]
        assert [await other.adopt(stranger) for stranger in strangers] == [False] * 4
        assert bench.ends.empty()

    run(story)


def test_stop_of_a_worker_that_has_gone_clears_its_folder(run: Run) -> None:
    async def story(bench: Bench) -> None:
        gone = Placement("feed", 2**22 - 1, 1, bench.engine._boot)
        bench.folder(gone).mkdir(parents=True)
        await bench.engine.stop(gone, grace=1)
        assert not bench.folder(gone).exists()

    run(story)


@pytest.mark.parametrize("long", [False, True], ids=["", "path too long for a socket"])
def test_sweep_ends_what_runs_in_slots_of_workers_that_have_gone(run: Run, long: bool) -> None:
    async def story(bench: Bench) -> None:
        folder = process.shelter(bench.home, "beef") if long else bench.home / "work" / "beef"
        door = folder / "slot-1" / "door.sock"
        door.parent.mkdir(parents=True)
        left = await asyncio.create_subprocess_exec("sleep", "300", env={process.DOOR: str(door)})
        await bench.engine.sweep()
        assert await asyncio.wait_for(left.wait(), 5) == -signal.SIGKILL
        assert not folder.exists()

    run(story)


def test_sweep_spares_only_adopted_workers(run: Run) -> None:
    async def story(bench: Bench) -> None:
        kept, lost = await bench.start(), await bench.start()
        await bench.ready(kept)
        await bench.ready(lost)
        await bench.engine.close()
        stale = bench.home / "work" / "beef"
        stale.mkdir()
        bench.engine = bench.another()
        assert await bench.engine.adopt(kept)
        await bench.engine.sweep()
        assert process.alive(kept.pid, kept.started)
        assert process.started(lost.pid) is None
        assert os.listdir(bench.home / "work") == [kept.incarnation]
        collect(lost.pid)

    run(story)


def test_a_worker_that_cannot_be_started_is_an_error_with_the_reason(run: Run) -> None:
    async def story(bench: Bench) -> None:
        bench.engine._command = ["/nowhere/python"]
        with pytest.raises(Unavailable, match="cannot start a worker: .*nowhere"):
            await bench.start()

    run(story)


def test_capacity_is_the_machine_less_the_reserve(run: Run) -> None:
    async def story(bench: Bench) -> None:
        found = bench.engine.capacity()
        assert found.cores == len(os.sched_getaffinity(0)) or found.cores >= 1
        assert found.units == found.cores * 8000
        assert 0 < found.memory < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    run(story)
