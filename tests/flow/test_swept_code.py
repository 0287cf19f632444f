"""A client takes code for sent that the server has swept since."""

from __future__ import annotations

import sqlite3

import pytest

import cloud
from tests.conftest import Server

pytestmark = pytest.mark.live


def test_a_client_sends_again_what_was_swept(server: Server) -> None:
    def more(number: int) -> int:
        return number + 1

    assert cloud.result(cloud.call(more, 1)) == 2
    with sqlite3.connect(server.home / "picloud.sqlite", timeout=10) as database:
        assert database.execute("DELETE FROM code").rowcount
    database.close()
    assert cloud.result(cloud.call(more, 2)) == 3
    assert cloud.result(cloud.map(more, [1, 2, 3])) == [2, 3, 4]
