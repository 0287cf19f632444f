"""An account that makes environments, for the store's tests of them."""

from __future__ import annotations

from typing import Any

import pytest

from picloud.store import blob, environment
from picloud.store.act import setup
from picloud.store.db import Database
from picloud.store.environment import Environment, New
from picloud.wire.message import Saved
from tests.contract.store.storekeeper import Keeper, submission

A, B, C = (letter * 64 for letter in "abc")


class Owner(Keeper):
    """An account that makes environments."""

    def token(self) -> bytes:
        return self.tick().to_bytes(16, "big")

    def create(self, name: str = "sci", of: str = "base/host", token: bytes = b"", **more: Any) -> Environment:
        made = New(self.account, name, more.get("description", ""), of, 0, more.get("interpreter", ""), token or self.token())
        started: setup.Started = self.write(setup.create, self.account, made, submission(1), self.tick())
        return started.environment

    def modify(self, name: str = "sci", **more: Any) -> Environment:
        def act(tx: Any) -> setup.Started:
            return setup.modify(tx, self.account, name, submission(1), self.token(), self.tick(), **more)

        started: setup.Started = self.write(act)
        return started.environment

    def get(self, name: str = "sci") -> Environment:
        found: Environment = self.read(environment.mine, self.account, name)
        return found

    def blob(self, size: int = 5) -> str:
        (name,) = self.write(blob.new, self.account, [size], self.tick())
        self.write(blob.arrived, name, size, self.tick())
        return str(name)

    def runs(self, one: Environment) -> bool:
        return bool(self.write(setup.running, one.setup_jid, self.tick()))

    def save(self, name: str = "sci", digest: str = A, leave: bool = False, **more: Any) -> Environment | None:
        token, more = self.token(), {"python": "/usr/bin/python3", "python_version": "3.11"} | more
        one = self.write(setup.save, self.account, name, token, leave)
        told = Saved(one.setup_jid, 1, token, digest=digest, blob=self.blob() if digest else "", size=5, **more)
        before: Environment | None = self.write(setup.saved, told, self.tick())
        return before

    def saved(self, name: str = "sci", digest: str = A, python: str = "3.11", **more: Any) -> None:
        """A whole round."""
        self.runs(self.create(name, **more))
        self.save(name, digest, leave=True, python="/usr/bin/python3" if python else "", python_version=python)


@pytest.fixture
def ann(db: Database) -> Owner:
    return Owner(db)


@pytest.fixture
def bob(db: Database) -> Owner:
    return Owner(db, "bob")
