"""The sweeper against everything that names blobs: no object ever loses a byte, and nothing stays that nobody wants."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from picloud.store import blob as blobs
from picloud.store.db import Database
from picloud.store.index import move, tree
from picloud.store.index import object as store
from picloud.wire.error import CloudException, NotFound
from picloud.wire.object import Extent, New

ANN, KEPT, DEADLINE = 1, 100, 30
"""Account; time for which what nobody names is kept, and then once more."""
KEYS = st.sampled_from(["a", "b", "f/a", "f/b", "g/a"])
NAMES = st.sampled_from(["a", "b", "f", "g", "f/a", "g/a"])


class Sweeping(RuleBasedStateMachine):
    """Acts on one bucket, and readers who hold versions that may be gone; ``files`` are the bytes."""

    db: Database

    @initialize()
    def begin(self) -> None:
        self.now, self.files = 10**6, set[str]()
        self.tree = self.act(tree.bucket, ANN, self.now)
        self.act(store.remove_below, ANN, self.tree, "")
        self.held: list[tuple[str, int]] = []  # blobs that somebody has at hand, and when they were touched last

    def act(self, act: Any, *args: Any) -> Any:
        return self.db.write(act, *args).result(DEADLINE)

    def tried(self, act: Any, *args: Any) -> None:
        """An act that may be refused: then it must not have done anything."""
        try:
            self.act(act, *args)
        except CloudException:
            return

    def made(self) -> str:
        (name,) = self.act(blobs.new, ANN, [10], self.now)
        self.files.add(name)
        self.act(blobs.arrived, name, 10, self.now)
        return str(name)

    def extents(self) -> list[Extent]:
        found = self.act(store.below, self.tree, "")
        contents = self.act(store.contents, [one.id for one in found])
        return [piece for held in contents.values() if not isinstance(held, bytes) for piece in held]

    @rule(key=KEYS)
    def put(self, key: str) -> None:
        self.tried(store.put, ANN, self.tree, [New(key, 10, extents=[Extent(self.made(), 0, 10)])], self.now)

    @rule()
    def upload_and_wait(self) -> None:
        self.held.append((self.made(), self.now))

    @rule(name=NAMES, to=NAMES)
    def copy(self, name: str, to: str) -> None:
        self.tried(move.copy, ANN, self.tree, name, self.tree, to, self.now)

    @rule(name=NAMES, to=NAMES)
    def rename(self, name: str, to: str) -> None:
        self.tried(move.rename, ANN, self.tree, name, to, True)

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        self.act(store.remove, ANN, self.tree, [name])
        self.act(store.remove_below, ANN, self.tree, name)

    @rule()
    def look(self) -> None:
        """A reader learns where the bytes are."""
        self.held += [(piece.blob, self.now) for piece in self.extents()]

    @rule()
    def hold(self) -> None:
        """Readers, open files and who asks whether a blob is there still: within their time all of them find it."""
        names = {name for name, touched in self.held if touched > self.now - KEPT}
        assert self.act(blobs.touch, ANN, names, self.now) == names
        self.held = [(name, self.now) for name in names]

    @rule(key=KEYS)
    def put_what_is_held(self, key: str) -> None:
        for name, _ in [one for one in self.held if one[1] > self.now - KEPT][:1]:
            self.tried(store.put, ANN, self.tree, [New(key, 10, extents=[Extent(name, 0, 10)])], self.now)

    @rule(time=st.sampled_from([1, KEPT // 3, KEPT + 1]))
    def wait(self, time: int) -> None:
        self.now += time

    @rule(dies=st.integers(0, 2))
    def sweep(self, dies: int) -> None:
        """Who sweeps may die before or after he deletes the bytes; the next one goes on."""
        _, gone = self.act(blobs.sweep, self.now - KEPT, self.now)
        if dies > 0:
            self.files -= set(gone)
        if dies > 1:
            self.act(blobs.forget, gone)

    @invariant()
    def every_byte_is_there(self) -> None:
        if hasattr(self, "files"):
            named = {piece.blob for piece in self.extents()}
            assert named <= self.files
            if named:
                self.act(blobs.owned, ANN, sorted(named))
            assert {name for name, touched in self.held if touched > self.now - KEPT} <= self.files

    def teardown(self) -> None:
        if hasattr(self, "files"):
            for _ in range(3):
                self.now += KEPT + 1
                self.sweep(2)
            assert self.files == {piece.blob for piece in self.extents()}


def test_no_order_of_acts_loses_a_byte(db: Database) -> None:
    class Machine(Sweeping):
        pass

    Machine.db = db
    few = settings(max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Machine, settings=few)


class Crowd:
    """Threads on two connections that put, copy, rename, remove, touch, and a sweeper that waits for nobody."""

    def __init__(self, stores: list[Database]) -> None:
        self.stores, self.made, self.gone, self.lock = stores, set[str](), set[str](), threading.Lock()
        self.tree = stores[0].write(tree.bucket, ANN, 0).result(DEADLINE)
        self.ended, self.failed = threading.Event(), list[BaseException]()
        self.clock = 0

    def now(self) -> int:
        with self.lock:
            self.clock += 1
            return self.clock

    def run(self, work: Any, seed: int) -> threading.Thread:
        def guarded() -> None:
            try:
                work(random.Random(seed), self.stores[seed % len(self.stores)])
            except BaseException as error:  # noqa: BLE001 - shown by the test
                self.failed.append(error)

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    def write(self, dice: random.Random, db: Database) -> None:
        for _ in range(60):
            key, other = f"{dice.randrange(4)}", f"{dice.randrange(4)}"
            try:
                choice = dice.randrange(6)
                if choice < 2:
                    db.write(store.put, ANN, self.tree, [New(key, 10, extents=[self.piece(db)])], self.now()).result(DEADLINE)
                elif choice == 2:
                    db.write(move.copy, ANN, self.tree, key, self.tree, other, self.now()).result(DEADLINE)
                elif choice == 3:
                    db.write(move.rename, ANN, self.tree, key, other, True).result(DEADLINE)
                elif choice == 4:
                    self.again(dice, db, key)
                else:
                    db.write(store.remove, ANN, self.tree, [key]).result(DEADLINE)
            except CloudException:
                continue  # refused: the object, or the blob, was not there any more; that is told, and nothing is stored

    def piece(self, db: Database) -> Extent:
        (name,) = db.write(blobs.new, ANN, [10], self.now()).result(DEADLINE)
        with self.lock:
            self.made.add(name)
        db.write(blobs.arrived, name, 10, self.now()).result(DEADLINE)
        return Extent(name, 0, 10)

    def again(self, dice: random.Random, db: Database, key: str) -> None:
        """A mount's way: look where the bytes are, and put them in other pieces a moment later."""
        one = db.read(store.get, self.tree, key).result(DEADLINE)
        held = db.read(store.contents, [one.id]).result(DEADLINE)[one.id]
        pieces = [Extent(piece.blob, 0, 5) for piece in held] + [self.piece(db)]
        made = New(key, sum(piece.length for piece in pieces), extents=pieces[-3:])
        made.size = sum(piece.length for piece in made.extents)
        db.write(store.put, ANN, self.tree, [made], self.now()).result(DEADLINE)

    def sweep(self, dice: random.Random, db: Database) -> None:
        while not self.ended.is_set():
            _, gone = db.write(blobs.sweep, self.now(), self.now()).result(DEADLINE)
            with self.lock:
                self.gone |= set(gone)
            db.write(blobs.forget, gone).result(DEADLINE)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_sweeper_that_waits_for_nobody(db: Database, other: Database, seed: int) -> None:
    crowd = Crowd([db, other])
    sweepers = [crowd.run(crowd.sweep, n) for n in (0, 1)]
    writers = [crowd.run(crowd.write, 10 * seed + n) for n in range(4)]
    for thread in writers:
        thread.join(4 * DEADLINE)
    crowd.ended.set()
    for thread in sweepers:
        thread.join(DEADLINE)
    assert not crowd.failed, crowd.failed
    found = db.read(store.below, crowd.tree, "").result(DEADLINE)
    held = db.read(store.contents, [one.id for one in found]).result(DEADLINE)
    named = {piece.blob for pieces in held.values() for piece in pieces}
    assert not named & crowd.gone
    db.read(blobs.owned, ANN, sorted(named)).result(DEADLINE)
    for _ in range(3):
        crowd.gone |= set(db.write(blobs.sweep, crowd.now() + 1, crowd.now()).result(DEADLINE)[1])
    assert crowd.made - crowd.gone == named
    with pytest.raises(NotFound):
        db.write(blobs.refer, ANN, ["f" * 32], crowd.now()).result(DEADLINE)
